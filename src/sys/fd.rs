//! Descriptors.

use super::{Errno, Result};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The answer of a system call that gives nothing but success.
pub(super) fn check(answer: libc::c_long) -> Result<()> {
    if answer == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// The answer of a system call that gives a new descriptor.
pub(super) fn owned(answer: libc::c_long) -> Result<OwnedFd> {
    check(answer)?;
    // SAFETY: the kernel has just given this descriptor to us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as RawFd) })
}

/// A descriptor that an engine told us the number of: `--preserve-fds`, LISTEN_FDS.
pub fn borrow(number: RawFd) -> Result<BorrowedFd<'static>> {
    // SAFETY: fcntl checks the number; the descriptor belongs to our caller, who keeps it open as long as we live.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) }.into())?;
    // SAFETY: as above.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Opens a path of the host.
pub fn open(path: &CStr, flags: OFlag) -> Result<OwnedFd> {
    // Not open(3): musl's sets close-on-exec by another call, for kernels that are long gone.
    openat(nix::fcntl::AT_FDCWD, path, flags)
}

pub fn openat(directory: impl AsFd, name: &CStr, flags: OFlag) -> Result<OwnedFd> {
    nix::fcntl::openat(directory, name, flags | OFlag::O_CLOEXEC, Mode::empty())
}

/// Marks every descriptor from `first` on close-on-exec (CVE-2024-21626). KERNEL(5.11)
pub fn close_range_cloexec(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: no pointers; nothing is closed now.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) })
}

pub fn set_cloexec(fd: impl AsFd, on: bool) -> Result<()> {
    let flags = if on { nix::fcntl::FdFlag::FD_CLOEXEC } else { nix::fcntl::FdFlag::empty() };
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(flags)).map(drop)
}

/// Makes descriptor `number` (0, 1 or 2) refer to what `fd` does.
pub fn dup_onto(fd: impl AsFd, number: RawFd) -> Result<()> {
    // SAFETY: the standard descriptors belong to the process as a whole; nothing owns them.
    check(unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) }.into())
}

/// Type and numbers of what a descriptor refers to.
pub fn stat(fd: impl AsFd) -> Result<Stat> {
    let stat = nix::sys::stat::fstatat(fd, c"", nix::fcntl::AtFlags::AT_EMPTY_PATH)?;
    Ok(Stat { mode: stat.st_mode, uid: stat.st_uid, device: stat.st_dev, inode: stat.st_ino, number: stat.st_rdev })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub mode: u32,
    pub uid: u32,
    pub device: u64,
    pub inode: u64,
    /// The device number of a device node.
    pub number: u64,
}

impl Stat {
    pub fn is_dir(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    pub fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }

    pub fn is_char_device(&self, major: u32, minor: u32) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFCHR && self.number == libc::makedev(major, minor)
    }

    pub fn is_block_device(&self, major: u32, minor: u32) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFBLK && self.number == libc::makedev(major, minor)
    }

    pub fn is_fifo(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFIFO
    }
}

/// Writes all of `bytes` in one system call, as files of /proc, /sys and cgroups want it.
pub fn write_once(fd: impl AsFd, bytes: &[u8]) -> Result<()> {
    loop {
        match nix::unistd::write(&fd, bytes) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads what is there, up to `limit` bytes.
pub fn read_up_to(fd: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while bytes.len() < limit {
        let room = buffer.len().min(limit - bytes.len());
        match nix::unistd::read(&fd, &mut buffer[..room]) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// The path that the kernel knows for a descriptor: for messages and for people.
pub fn path(fd: impl AsFd) -> Result<String> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    nix::fcntl::readlink(link.as_str())?.into_string().map_err(|_| Errno::EILSEQ)
}

/// Takes the lock of an open file (flock(2)), if nobody has it.
pub fn try_lock(fd: impl AsFd) -> Result<bool> {
    // SAFETY: no pointers.
    match check(unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }.into()) {
        Ok(()) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives such a lock back.
pub fn unlock(fd: impl AsFd) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_UN) }.into())
}

/// Closes every descriptor but 0 to 2, those below `preserved`, and `kept`. For the child of a clone, which inherits what
/// is not its business; the owners of what is closed must never be dropped there. KERNEL(5.9)
pub fn close_all_but(preserved: u32, kept: &mut [RawFd]) -> Result<()> {
    kept.sort_unstable();
    let mut first = preserved.max(3);
    for number in kept.iter().map(|fd| *fd as u32) {
        if number > first {
            close_range(first, number - 1)?;
        }
        first = first.max(number + 1);
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: no pointers; see the promise of our only caller about owners.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
}

/// A file in memory, closed at exec.
pub fn memory_file(name: &CStr, sealable: bool) -> Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | if sealable { libc::MFD_ALLOW_SEALING } else { 0 };
    // SAFETY: name is a C string.
    owned(unsafe { libc::memfd_create(name.as_ptr(), flags) }.into())
}

const SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// Nobody can write to this file in memory any more.
pub fn seal(file: impl AsFd) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_ADD_SEALS, SEALS) }.into())
}

pub fn is_sealed(file: impl AsFd) -> bool {
    // SAFETY: no pointers.
    let seals = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_GET_SEALS) };
    seals != -1 && seals & SEALS == SEALS
}

/// Copies what is left in `from` to `to`, in the kernel.
pub fn copy_all(from: impl AsFd, to: impl AsFd) -> Result<()> {
    const CHUNK: usize = 1 << 30;
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    loop {
        // SAFETY: without an offset pointer the files' own offsets are used.
        match unsafe { libc::sendfile(to, from, std::ptr::null_mut(), CHUNK) } {
            0 => return Ok(()),
            -1 if Errno::last() != Errno::EINTR => return Err(Errno::last()),
            _ => {}
        }
    }
}

/// Writes all of `bytes` to a file.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(&fd, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The next read or write of the file is at its start.
pub fn rewind(fd: impl AsFd) -> Result<()> {
    nix::unistd::lseek(fd, 0, nix::unistd::Whence::SeekSet).map(drop)
}

/// Reads and writes give EAGAIN instead of waiting.
pub fn set_nonblocking(fd: impl AsFd) -> Result<()> {
    let flags = OFlag::from_bits_retain(nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFL)?);
    nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}
