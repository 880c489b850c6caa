//! tmpcopyup: what a new tmpfs covers is copied into it.

use crate::sys::tree::{self, Kind};
use crate::sys::{Errno, OFlag, Result, fd};
use std::os::fd::{AsFd, BorrowedFd};

/// Directories in directories: more than this is no image's content.
const DEPTH_MAX: usize = 128;

pub(super) fn copy(from: BorrowedFd, to: BorrowedFd) -> Result<()> {
    copy_directory(from, to, 0)
}

fn copy_directory(from: BorrowedFd, to: BorrowedFd, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    let readable = tree::openat(from, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
    for name in tree::read_dir(readable.as_fd())? {
        let stat = tree::stat_at(from, &name)?;
        match stat.kind {
            Kind::Directory => {
                tree::mkdirat(to, &name, stat.mode)?;
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
                let (below, copy) = (tree::openat(from, &name, flags, 0)?, tree::openat(to, &name, flags, 0)?);
                copy_directory(below.as_fd(), copy.as_fd(), depth + 1)?;
            }
            Kind::Regular => {
                // O_NONBLOCK: it may have become a FIFO meanwhile.
                let file = tree::openat(from, &name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK, 0)?;
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
                fd::copy_all(file, tree::openat(to, &name, flags, 0o600)?)?;
            }
            Kind::Symlink => {
                let target = tree::readlinkat(from, &name)?;
                tree::symlinkat(&tree::name(&target)?, to, &name)?;
            }
            kind => tree::mknodat(to, &name, kind, stat.mode, stat.node)?,
        }
        tree::fchownat(to, &name, stat.uid, stat.gid)?;
        if stat.kind != Kind::Symlink {
            // After the owner: a change of owner takes the setuid bit.
            tree::fchmodat(to, &name, stat.mode)?;
        }
    }
    Ok(())
}
