//! Things in the making. Each is locked by the process that makes it; one that nobody has locked was left by a process
//! that died.

use super::Store;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::file::{Lock, fsync, link_count, try_flock};
use crate::sys::{Errno, OFlag, tree};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) struct ScratchFile {
    pub file: File,
    path: PathBuf,
}

impl ScratchFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name, with its bytes on the disk; what was there before is replaced.
    pub(super) fn publish(self, path: &Path) -> Result<()> {
        fsync(&self.file).context("write to disk")?;
        std::fs::rename(&self.path, path).context("rename")?;
        sync_directory_of(path)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // Gone already where it was published; where not, the next process removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A directory in `tmp/`, removed when dropped.
pub struct ScratchDir {
    path: PathBuf,
    /// The lock.
    file: File,
}

impl ScratchDir {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another holder of the lock: as long as it is open, nobody takes the directory for a dead one's.
    pub(in crate::image) fn lock(&self) -> Result<File> {
        self.file.try_clone().context("keep lock")
    }

    /// Gives the directory its final name, and to the caller what keeps it locked; `None` where the name is taken.
    pub(in crate::image) fn publish(self, path: &Path) -> Result<Option<File>> {
        match crate::sys::file::rename_noreplace(&self.path, path) {
            Err(Errno::EEXIST | Errno::ENOTEMPTY) => return Ok(None),
            result => result.with(|| format!("rename to {}", path.display()))?,
        }
        sync_directory_of(path)?;
        self.file.try_clone().context("keep lock").map(Some)
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // As with a file.
        let _ = remove_tree(&self.path);
    }
}

fn sync_directory_of(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let directory = File::open(parent).with(|| format!("open {}", parent.display()))?;
    fsync(directory).with(|| format!("write {} to disk", parent.display()))
}

pub(in crate::image) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let remove = || -> crate::sys::Result<()> {
        let directory = File::open(parent).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        tree::remove_all(directory.as_fd(), &tree::name(name)?)
    };
    match remove() {
        Err(Errno::EXDEV | Errno::EBUSY) => {
            bail!("remove {}: something is mounted in it; unmount that first", path.display())
        }
        removed => removed.with(|| format!("remove {}", path.display())),
    }
}

impl Store {
    fn scratch_path(&self) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.path.join(format!("tmp/{}-{now:x}-{count}", std::process::id()))
    }

    pub(super) fn scratch_file(&self) -> Result<ScratchFile> {
        loop {
            let path = self.scratch_path();
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            let file = file.with(|| format!("create {}", path.display()))?;
            if own(&file)? {
                return Ok(ScratchFile { file, path });
            }
        }
    }

    pub fn scratch_dir(&self) -> Result<ScratchDir> {
        loop {
            let path = self.scratch_path();
            DirBuilder::new().mode(0o700).create(&path).with(|| format!("create {}", path.display()))?;
            let file = match File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                file => file.with(|| format!("open {}", path.display()))?,
            };
            if own(&file)? {
                return Ok(ScratchDir { path, file });
            }
        }
    }

    /// Moves something out of sight, so that removing it takes nobody's time.
    pub(in crate::image) fn to_trash(&self, path: &Path) -> Result<ScratchDir> {
        let trash = self.scratch_dir()?;
        std::fs::rename(path, trash.path.join("trash")).with(|| format!("remove {}", path.display()))?;
        Ok(trash)
    }

    /// Removes what dead processes left in `tmp/`; how many things that were.
    pub(super) fn remove_leftovers(&self) -> Result<usize> {
        let tmp = self.path.join("tmp");
        let mut removed = 0;
        for entry in std::fs::read_dir(&tmp).context("read tmp")? {
            let path = entry.context("read tmp")?.path();
            let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
            let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(&path) else {
                continue;
            };
            if try_flock(&file, Lock::Exclusive).context("lock")? {
                remove_tree(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Locks something just made. `false`: somebody took it for a dead one's in between, and has removed it.
fn own(file: &File) -> Result<bool> {
    Ok(try_flock(file, Lock::Exclusive).context("lock")? && link_count(file).context("stat")? > 0)
}
