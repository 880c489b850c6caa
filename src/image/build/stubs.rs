//! Places to mount on. A mount needs a file or a directory under it; where the image has none, one is shown below its
//! layers, so that it is never part of the step's own. What a link hides from there the runtime makes itself; that is
//! taken away again.

use crate::error::{Context, Result};
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind};
use crate::sys::{Errno, Mode, OFlag};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

const DIRECTORY: u32 = 0o755;
const FILE: u32 = 0o644;

/// Makes the places in the directory `below`, which is going to be the lowest layer. `true`: a directory.
pub fn make(below: &Path, targets: &[(String, bool)]) -> Result<()> {
    let root = Root::open(below).context("open")?;
    for (target, is_dir) in targets {
        let mode = Mode::from_bits_truncate(DIRECTORY);
        let made = match is_dir {
            true => root.create_dir_all(target, mode).map(drop),
            false => root.create_file(target, Mode::from_bits_truncate(FILE), mode).map(drop),
        };
        // One mount below another needs no place here: it will be made on the other one.
        match made {
            Err(Errno::ENOTDIR | Errno::EEXIST) => {}
            made => made.with(|| format!("make a place for {target}"))?,
        }
    }
    Ok(())
}

/// Places that are missing although [`make`] was asked for them.
pub struct Missing {
    /// Each with the directories above it that are missing too, the outermost first.
    paths: Vec<Vec<PathBuf>>,
}

impl Missing {
    pub fn before(root: &Root, targets: &[(String, bool)]) -> Missing {
        let mut paths = Vec::new();
        for (target, _) in targets {
            let Some(target) = followed(root, Path::new(target)) else {
                continue;
            };
            let missing: Vec<PathBuf> = target
                .ancestors()
                .filter(|path| path.file_name().is_some())
                .take_while(|path| matches!(root.resolve_link(path), Err(Errno::ENOENT)))
                .map(Path::to_owned)
                .collect();
            if !missing.is_empty() {
                paths.push(missing.into_iter().rev().collect());
            }
        }
        Missing { paths }
    }

    /// Takes away what is there now and empty.
    pub fn after(&self, root: &Root) -> Result<()> {
        for path in self.paths.iter().flat_map(|paths| paths.iter().rev()) {
            let Ok((directory, name)) = root.parent(path) else {
                continue;
            };
            let Ok(stat) = tree::stat_at(directory.as_fd(), &name) else {
                continue;
            };
            let above = tree::openat(directory.as_fd(), c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
            let before = tree::stat(&above)?;
            let removed = match stat.kind {
                Kind::Directory => tree::rmdirat(directory.as_fd(), &name),
                Kind::Regular if stat.size == 0 => tree::unlinkat(directory.as_fd(), &name),
                _ => continue,
            };
            match removed {
                // Something was put there.
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => continue,
                removed => removed.with(|| format!("remove the place of a mount {}", path.display()))?,
            }
            tree::futimens(&above, before.accessed, before.modified)?;
        }
        Ok(())
    }
}

/// The path with the links at its end followed, as far as there are any. `None`: something is there already.
fn followed(root: &Root, path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match root.resolve(&path) {
            Err(Errno::ENOENT) => {}
            _ => return None,
        }
        let Ok((directory, name)) = root.parent(&path) else {
            return Some(path);
        };
        match tree::readlinkat(directory.as_fd(), &name) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Some(path),
        }
    }
    None
}
