//! Directories and files of the kernel's own file systems, which have neither symbolic links nor contents that last:
//! a name in them is safe to use below a descriptor, and a write is a command.

use super::fd::check;
use super::{Errno, Result};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, UnlinkatFlags};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub fn mkdirat(directory: impl AsFd, path: &CStr, mode: Mode) -> Result<()> {
    nix::sys::stat::mkdirat(directory, path, mode)
}

pub fn rmdirat(directory: impl AsFd, path: &CStr) -> Result<()> {
    nix::unistd::unlinkat(directory, path, UnlinkatFlags::RemoveDir)
}

/// The owner of what is at `path`, or of `directory` itself where `path` is empty; the group stays.
pub fn chown_at(directory: impl AsFd, path: &CStr, uid: u32) -> Result<()> {
    let flags = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW;
    nix::unistd::fchownat(directory, path, Some(Uid::from_raw(uid)), None::<Gid>, flags)
}

/// The names of the directories in `directory`.
pub fn subdirectories(directory: BorrowedFd) -> Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = nix::dir::Dir::openat(directory, c".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == Some(nix::dir::Type::Directory) && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The first bytes of a file, which the kernel makes anew for each such read.
pub fn read_start(file: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    nix::sys::uio::pread(file, buffer, 0)
}

/// Waits until the kernel says that the file behind one of `fds` has changed since it was last read; which ones have.
/// `timeout` in milliseconds, -1 for ever. These files are always readable: what tells is POLLPRI.
pub fn poll_changes<const N: usize>(fds: [Option<BorrowedFd>; N], timeout: i32) -> Result<[bool; N]> {
    let mut polls =
        fds.map(|fd| libc::pollfd { fd: fd.map_or(-1, |fd| fd.as_raw_fd()), events: libc::POLLPRI, revents: 0 });
    // SAFETY: polls is an array of N pollfds.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, timeout) }.into()) {
        Err(Errno::EINTR) | Ok(()) => Ok(polls.map(|poll| poll.revents & libc::POLLPRI != 0)),
        Err(error) => Err(error),
    }
}

/// Waits until the process of `pidfd` ends, `counter` (an eventfd) is readable, or `file` has changed as
/// [`poll_changes`] means it; whether the process has ended.
pub fn poll_process(
    pidfd: BorrowedFd,
    counter: Option<BorrowedFd>,
    file: Option<BorrowedFd>,
    timeout: i32,
) -> Result<bool> {
    let wanted = [(Some(pidfd), libc::POLLIN), (counter, libc::POLLIN), (file, libc::POLLPRI)];
    let mut polls =
        wanted.map(|(fd, events)| libc::pollfd { fd: fd.map_or(-1, |fd| fd.as_raw_fd()), events, revents: 0 });
    // SAFETY: polls is an array of three pollfds.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), 3, timeout) }.into()) {
        Err(Errno::EINTR) | Ok(()) => Ok(polls[0].revents != 0),
        Err(error) => Err(error),
    }
}

/// A counter that becomes readable when the kernel adds to it (eventfd(2)); non-blocking.
pub fn eventfd() -> Result<OwnedFd> {
    // SAFETY: no pointers.
    super::fd::owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into())
}
