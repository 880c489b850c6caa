//! Where a user's calls of forno find each other: a directory that is gone when the user has left the machine.

use super::ids;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container::state::{open_process, start_time};
use crate::sys::file::{Lock, flock};
use crate::sys::identity;
use crate::sys::process::pid_t;
use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const HOLDER: &str = "holder";
const MEMBERS: &str = "members";

/// ```text
/// holder             PID START of the process that holds the namespaces
/// members/PID-START  others that are in them for long: supervisors
/// lock               held by who makes a holder
/// ```
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// `$XDG_RUNTIME_DIR/forno`; without one, /run/user/UID/forno or /tmp/forno-UID.
    pub(super) fn open() -> Result<Place> {
        let user = ids::user();
        let is_ours = |path: &Path| {
            let metadata = std::fs::symlink_metadata(path);
            metadata.is_ok_and(|found| found.is_dir() && found.uid() == identity::effective_uid())
        };
        let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = PathBuf::from(format!("/run/user/{user}"));
        let above = given.into_iter().chain([usual]).find(|path| is_ours(path));
        let path = match above {
            Some(above) => above.join("forno"),
            None => std::env::temp_dir().join(format!("forno-{user}")),
        };
        let open = || -> Result<()> {
            for directory in [&path, &path.join(MEMBERS)] {
                match DirBuilder::new().mode(0o700).create(directory) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    made => made.context("create")?,
                }
            }
            // In /tmp somebody else may have been first.
            if !is_ours(&path) || std::fs::symlink_metadata(&path).context("stat")?.mode() & 0o022 != 0 {
                bail!("it is not yours alone");
            }
            Ok(())
        };
        open().with(|| format!("runtime directory {}", path.display()))?;
        Ok(Place { path })
    }

    pub(super) fn lock(&self) -> Result<File> {
        let file = File::options().create(true).truncate(false).write(true).open(self.path.join("lock"));
        let file = file.context("open lock")?;
        flock(&file, Lock::Exclusive).context("lock")?;
        Ok(file)
    }

    pub(super) fn holder(&self) -> Option<(pid_t, OwnedFd)> {
        let text = std::fs::read_to_string(self.path.join(HOLDER)).ok()?;
        open(text.trim().split_once(' ')?)
    }

    pub(super) fn set_holder(&self, pid: pid_t) -> Result<()> {
        let Some(start) = start_time(pid) else {
            bail!("the process that was to hold the namespace has died");
        };
        let new = self.path.join(format!("{HOLDER}.new"));
        let write = || -> std::io::Result<()> {
            std::fs::write(&new, format!("{pid} {start}\n"))?;
            std::fs::rename(&new, self.path.join(HOLDER))
        };
        write().with(|| format!("write {}", self.path.join(HOLDER).display()))
    }

    /// A process that has been in the namespaces for some time and still is.
    pub(super) fn member(&self) -> Option<OwnedFd> {
        for entry in std::fs::read_dir(self.path.join(MEMBERS)).ok()?.flatten() {
            let name = entry.file_name();
            match name.to_str().and_then(|name| open(name.split_once('-')?)) {
                Some((_, process)) => return Some(process),
                // It was killed.
                None => drop(std::fs::remove_file(entry.path())),
            }
        }
        None
    }
}

/// The very process, by its pid and when it started.
fn open((pid, start): (&str, &str)) -> Option<(pid_t, OwnedFd)> {
    let pid = pid.parse().ok()?;
    Some((pid, open_process(pid, start.parse().ok()?)?))
}

/// As long as it lives, the namespaces can be found again though their holder was killed.
#[derive(Debug)]
pub struct Member(PathBuf);

/// Says that this process is in the user's namespaces, and will be for long.
pub fn register() -> Result<Option<Member>> {
    if !ids::is_users_root() {
        return Ok(None);
    }
    let pid = pid_t::try_from(std::process::id()).unwrap_or(0);
    let name = format!("{pid}-{}", start_time(pid).unwrap_or(0));
    let path = Place::open()?.path.join(MEMBERS).join(name);
    std::fs::write(&path, "").with(|| format!("write {}", path.display()))?;
    Ok(Some(Member(path)))
}

impl Drop for Member {
    fn drop(&mut self) {
        // Whoever looks for members removes what is left of those that are gone.
        let _ = std::fs::remove_file(&self.0);
    }
}
