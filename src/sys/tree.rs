//! Calls on a tree of files: everything is named by a directory's descriptor and one component below it, which is
//! never followed where it is a symbolic link.

use super::{Errno, Result};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, LinkatFlags, Uid, UnlinkatFlags};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The mode bits of chmod(2), without the file type.
pub const PERMISSIONS: u32 = 0o7777;
pub const SETUID: u32 = libc::S_ISUID;
pub const SETGID: u32 = libc::S_ISGID;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Directory,
    Regular,
    Symlink,
    Fifo,
    Socket,
    Char,
    Block,
}

/// Since the epoch; `nanoseconds` below 10^9 and counted forwards, also before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl From<Time> for TimeSpec {
    fn from(time: Time) -> TimeSpec {
        TimeSpec::new(time.seconds, i64::from(time.nanoseconds))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    /// The bits of [`PERMISSIONS`].
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub links: u64,
    pub device: u64,
    pub inode: u64,
    /// Of a device node: major and minor.
    pub node: (u32, u32),
    pub modified: Time,
    pub accessed: Time,
}

impl Stat {
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Device and inode: equal for two names of one file.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between architectures")]
fn stat_from(stat: nix::sys::stat::FileStat) -> Stat {
    let kind = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFLNK => Kind::Symlink,
        SFlag::S_IFIFO => Kind::Fifo,
        SFlag::S_IFSOCK => Kind::Socket,
        SFlag::S_IFCHR => Kind::Char,
        SFlag::S_IFBLK => Kind::Block,
        _ => Kind::Regular,
    };
    Stat {
        kind,
        mode: stat.st_mode & PERMISSIONS,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size as u64,
        links: stat.st_nlink as u64,
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        node: (libc::major(stat.st_rdev), libc::minor(stat.st_rdev)),
        modified: Time { seconds: stat.st_mtime as i64, nanoseconds: stat.st_mtime_nsec as u32 },
        accessed: Time { seconds: stat.st_atime as i64, nanoseconds: stat.st_atime_nsec as u32 },
    }
}

/// Major and minor of a device number as stat(2) gives it.
pub fn device_numbers(number: u64) -> (u32, u32) {
    (libc::major(number), libc::minor(number))
}

pub fn stat_at(directory: BorrowedFd, name: &CStr) -> Result<Stat> {
    nix::sys::stat::fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(stat_from)
}

/// Of an open file, O_PATH or not.
pub fn stat(file: impl AsFd) -> Result<Stat> {
    nix::sys::stat::fstatat(file, c"", AtFlags::AT_EMPTY_PATH).map(stat_from)
}

/// O_CLOEXEC and O_NOFOLLOW are always added.
pub fn openat(directory: BorrowedFd, name: &CStr, flags: OFlag, mode: u32) -> Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(mode);
    nix::fcntl::openat(directory, name, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, mode)
}

pub fn mkdirat(directory: BorrowedFd, name: &CStr, mode: u32) -> Result<()> {
    nix::sys::stat::mkdirat(directory, name, Mode::from_bits_truncate(mode))
}

/// A device node, a fifo or a socket.
pub fn mknodat(directory: BorrowedFd, name: &CStr, kind: Kind, mode: u32, node: (u32, u32)) -> Result<()> {
    let kind = match kind {
        Kind::Fifo => SFlag::S_IFIFO,
        Kind::Socket => SFlag::S_IFSOCK,
        Kind::Char => SFlag::S_IFCHR,
        Kind::Block => SFlag::S_IFBLK,
        Kind::Regular => SFlag::S_IFREG,
        Kind::Directory | Kind::Symlink => return Err(Errno::EINVAL),
    };
    let device = libc::makedev(node.0, node.1);
    nix::sys::stat::mknodat(directory, name, kind, Mode::from_bits_truncate(mode), device)
}

pub fn linkat(old_directory: BorrowedFd, old: &CStr, directory: BorrowedFd, name: &CStr) -> Result<()> {
    nix::unistd::linkat(old_directory, old, directory, name, LinkatFlags::empty())
}

pub fn symlinkat(target: &CStr, directory: BorrowedFd, name: &CStr) -> Result<()> {
    nix::unistd::symlinkat(target, directory, name)
}

pub fn readlinkat(directory: BorrowedFd, name: &CStr) -> Result<OsString> {
    nix::fcntl::readlinkat(directory, name)
}

/// Clears setuid, setgid and file capabilities of a regular file, so comes before them.
pub fn fchownat(directory: BorrowedFd, name: &CStr, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::fchownat(directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
}

pub fn fchown(file: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    nix::unistd::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

pub fn fchmod(file: impl AsFd, mode: u32) -> Result<()> {
    nix::sys::stat::fchmod(file, Mode::from_bits_truncate(mode))
}

/// The mode of a name that cannot be opened without effect (a device, a fifo). The kernel follows a symbolic link here
/// (KERNEL(6.6): fchmodat2 would not), so the name must be one that nobody else can replace.
pub fn fchmodat(directory: BorrowedFd, name: &CStr, mode: u32) -> Result<()> {
    let flags = nix::sys::stat::FchmodatFlags::FollowSymlink;
    nix::sys::stat::fchmodat(directory, name, Mode::from_bits_truncate(mode), flags)
}

pub fn utimensat(directory: BorrowedFd, name: &CStr, accessed: Time, modified: Time) -> Result<()> {
    let flags = UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(directory, name, &accessed.into(), &modified.into(), flags)
}

pub fn futimens(file: impl AsFd, accessed: Time, modified: Time) -> Result<()> {
    nix::sys::stat::futimens(file, &accessed.into(), &modified.into())
}

pub fn ftruncate(file: impl AsFd, size: u64) -> Result<()> {
    let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
    nix::unistd::ftruncate(file, size)
}

pub fn unlinkat(directory: BorrowedFd, name: &CStr) -> Result<()> {
    nix::unistd::unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
}

pub fn rmdirat(directory: BorrowedFd, name: &CStr) -> Result<()> {
    nix::unistd::unlinkat(directory, name, UnlinkatFlags::RemoveDir)
}

/// Sets the process's file creation mask and gives the one before.
pub fn umask(mask: u32) -> u32 {
    nix::sys::stat::umask(Mode::from_bits_truncate(mask)).bits()
}

/// The owner and group that new files get.
pub fn effective_ids() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// The names in a directory, without `.` and `..`, in the filesystem's order.
pub fn read_dir(directory: BorrowedFd) -> Result<Vec<CString>> {
    let own = openat(directory, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(own)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Removes a name and all below it; what is not there (any more) is no error. What is mounted there is never entered:
/// EXDEV, or EBUSY. However deep the tree is, few descriptors are open.
pub fn remove_all(directory: BorrowedFd, name: &CStr) -> Result<()> {
    match unlinkat(directory, name) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    match empty_dir(directory, name).and_then(|()| rmdirat(directory, name)) {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}

/// A directory that is being emptied.
struct Level {
    identity: (u64, u64),
    left: Vec<CString>,
    /// Its own name in the level above.
    name: CString,
}

fn enter(directory: BorrowedFd, name: &CStr) -> Result<(OwnedFd, Level)> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_XDEV);
    let fd = match nix::fcntl::openat2(directory, name, how) {
        // KERNEL(5.6): before it, only what is on another device can be told from what is not.
        Err(Errno::ENOSYS | Errno::EPERM) => openat(directory, name, flags, 0)?,
        fd => fd?,
    };
    let identity = stat(&fd)?.identity();
    if identity.0 != stat(directory)?.device {
        return Err(Errno::EXDEV);
    }
    let left = read_dir(fd.as_fd())?;
    Ok((fd, Level { identity, left, name: name.to_owned() }))
}

fn empty_dir(directory: BorrowedFd, name: &CStr) -> Result<()> {
    let (mut here, first) = enter(directory, name)?;
    let mut levels = vec![first];
    while let Some(level) = levels.last_mut() {
        if let Some(entry) = level.left.pop() {
            match unlinkat(here.as_fd(), &entry) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(Errno::EISDIR | Errno::EPERM) => {
                    let (fd, below) = enter(here.as_fd(), &entry)?;
                    here = fd;
                    levels.push(below);
                }
                Err(errno) => return Err(errno),
            }
        } else if let (Some(done), Some(above)) = (levels.pop(), levels.last()) {
            here = openat(here.as_fd(), c"..", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
            // Somebody moved the directory while we were in it: `..` is no longer where we came from.
            if stat(&here)?.identity() != above.identity {
                return Err(Errno::EAGAIN);
            }
            rmdirat(here.as_fd(), &done.name)?;
        }
    }
    Ok(())
}

/// A file name as the calls above want it.
pub fn name(component: &OsStr) -> Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(component.as_bytes()).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests;
