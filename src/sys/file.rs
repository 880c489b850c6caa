//! Open files as units of safety: locks, durability, atomic replacement.

use super::{Errno, Result};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    Shared,
    Exclusive,
}

/// `flock(2)`: waits until the lock is had. It belongs to the open file, and goes with its last descriptor, at the
/// latest with the process; the file may be a directory.
pub fn flock(file: impl AsFd, lock: Lock) -> Result<()> {
    let operation = match lock {
        Lock::Shared => libc::LOCK_SH,
        Lock::Exclusive => libc::LOCK_EX,
    };
    loop {
        match flock_with(file.as_fd().as_raw_fd(), operation) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// `flock(2)` without waiting: whether the lock was had.
pub fn try_flock(file: impl AsFd, lock: Lock) -> Result<bool> {
    let operation = match lock {
        Lock::Shared => libc::LOCK_SH,
        Lock::Exclusive => libc::LOCK_EX,
    };
    match flock_with(file.as_fd().as_raw_fd(), operation | libc::LOCK_NB) {
        Ok(()) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn flock_with(fd: i32, operation: i32) -> Result<()> {
    // SAFETY: no pointers; the caller's borrow keeps the descriptor open during the call.
    Errno::result(unsafe { libc::flock(fd, operation) }).map(drop)
}

/// The file's data and what is needed to find it are on the disk when this returns; for a directory, its names.
pub fn fsync(file: impl AsFd) -> Result<()> {
    nix::unistd::fsync(file)
}

/// Everything of the filesystem that `file` is on.
pub fn syncfs(file: impl AsFd) -> Result<()> {
    // SAFETY: no pointers; the borrow keeps the descriptor open during the call.
    Errno::result(unsafe { libc::syncfs(file.as_fd().as_raw_fd()) }).map(drop)
}

/// `rename(2)` that gives EEXIST where `to` exists, instead of replacing it.
pub fn rename_noreplace(from: &Path, to: &Path) -> Result<()> {
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL);
    let (from, to, here) = (name(from)?, name(to)?, libc::AT_FDCWD);
    // The call itself: not every C library has a function for it.
    // SAFETY: both paths are C strings that outlive the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_renameat2, here, from.as_ptr(), here, to.as_ptr(), libc::RENAME_NOREPLACE) };
    Errno::result(answer).map(drop)
}

/// Bytes that an ordinary user can still write where `path` is.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    #[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between architectures")]
    Ok((found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64))
}

/// How many names the open file has; 0 when somebody has removed the last.
pub fn link_count(file: impl AsFd) -> Result<u64> {
    #[allow(clippy::unnecessary_cast, reason = "st_nlink is narrower on some architectures")]
    nix::sys::stat::fstat(file).map(|stat| stat.st_nlink as u64)
}
