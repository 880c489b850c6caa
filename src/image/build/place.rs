//! Where files go: the root file system of a step, in which every path is resolved inside.

use crate::bail;
use crate::error::{Context, Result};
use crate::image::mode::Chmod;
use crate::image::rootless;
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind, Stat, Time};
use crate::sys::{Errno, OFlag};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;
const DIRECTORY_MODE: u32 = 0o755;

/// Where new things belong to, and what time they carry.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub owner: (u32, u32),
    pub mode: u32,
    pub time: Option<Time>,
}

impl Made {
    /// A directory that nobody described: 0755, or what an octal `--chmod` says.
    pub fn parent(owner: (u32, u32), chmod: Option<&Chmod>, time: Option<Time>) -> Made {
        Made { owner, mode: chmod.and_then(Chmod::octal).unwrap_or(DIRECTORY_MODE), time }
    }
}

/// The name that a path means in the end: links are followed, also the last one, also where what it leads to does not
/// exist. `None`: the root itself.
pub struct Spot {
    pub directory: OwnedFd,
    pub name: CString,
    pub path: PathBuf,
    pub stat: Option<Stat>,
}

/// Finds the spot, making the directories above it.
pub fn spot(root: &Root, path: &Path, made: Made) -> Result<Option<Spot>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if path.file_name().is_none() {
            return Ok(None);
        }
        let above = path.parent().unwrap_or(Path::new("")).to_owned();
        let directory = make_dirs(root, &above, made)?;
        let name = tree::name(path.file_name().unwrap_or_default())?;
        let stat = stat_of(directory.as_fd(), &name)?;
        match stat {
            Some(stat) if stat.kind == Kind::Symlink => {
                let target = tree::readlinkat(directory.as_fd(), &name).context("read link")?;
                path = above.join(target);
            }
            stat => return Ok(Some(Spot { directory, name, path, stat })),
        }
    }
    Err(Errno::ELOOP.into())
}

pub fn stat_of(directory: BorrowedFd, name: &CString) -> Result<Option<Stat>> {
    match tree::stat_at(directory, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno).context("stat"),
    }
}

/// `mkdir -p`; only new directories get owner, mode and time.
pub fn make_dirs(root: &Root, path: &Path, made: Made) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    match root.open_at(path, flags, crate::sys::Mode::empty()) {
        Err(Errno::ENOENT) => {}
        found => return found.with(|| format!("open /{}", shown(path))),
    }
    make_dirs_at(root, path.to_owned(), made).with(|| format!("create /{}", shown(path)))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').to_owned()
}

fn make_dirs_at(root: &Root, mut path: PathBuf, made: Made) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    'links: for _ in 0..LINKS_MAX {
        let mut here = root.open_at("", flags, crate::sys::Mode::empty())?;
        let mut done = PathBuf::new();
        let mut parts = path.components();
        while let Some(part) = parts.next() {
            let name: &OsStr = match part {
                Component::Normal(name) => name,
                Component::ParentDir => OsStr::new(".."),
                _ => continue,
            };
            let below = done.join(name);
            here = match root.open_at(&below, flags, crate::sys::Mode::empty()) {
                Err(Errno::ENOENT) => {
                    let name = tree::name(name)?;
                    if let Some(Stat { kind: Kind::Symlink, .. }) = stat_of(here.as_fd(), &name)? {
                        // A dangling link: what it leads to is made.
                        path = done.join(tree::readlinkat(here.as_fd(), &name)?).join(parts.as_path());
                        continue 'links;
                    }
                    new_dir(here.as_fd(), &name, made)?
                }
                found => found?,
            };
            done = below;
        }
        return Ok(here);
    }
    Err(Errno::ELOOP.into())
}

/// Links are followed.
pub fn is_dir(root: &Root, path: &Path) -> bool {
    root.resolve(path).is_ok_and(|fd| tree::stat(&fd).is_ok_and(|stat| stat.is_dir()))
}

/// A directory that is not there yet.
pub fn new_dir(directory: BorrowedFd, name: &CString, made: Made) -> Result<OwnedFd> {
    tree::mkdirat(directory, name, 0o700).context("make directory")?;
    let fd = tree::openat(directory, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0).context("open")?;
    own(fd.as_fd(), made.owner)?;
    tree::fchmod(&fd, made.mode).context("chmod")?;
    if let Some(time) = made.time {
        tree::futimens(&fd, time, time).context("set time")?;
    }
    Ok(fd)
}

/// Changes the owner where it is not what it should be.
pub fn own(fd: BorrowedFd, owner: (u32, u32)) -> Result<()> {
    let owner = rootless::owner(owner);
    if owner == tree::effective_ids() {
        return Ok(());
    }
    tree::fchown(fd, owner.0, owner.1).context("chown")
}

/// Makes room for something that is no directory.
pub fn clear(directory: BorrowedFd, name: &CString) -> Result<()> {
    match stat_of(directory, name)? {
        None => Ok(()),
        Some(stat) if stat.is_dir() => bail!("a directory is there already"),
        Some(_) => tree::unlinkat(directory, name).context("replace"),
    }
}
