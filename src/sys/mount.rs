//! Mounts by descriptor: nothing here takes a path of a rootfs.
//!
//! KERNEL(5.2): fsopen, fsconfig, fsmount, open_tree, move_mount. KERNEL(5.12): mount_setattr. There is no fallback to
//! mount(2), which can only name its target by a path.

use super::fd::{check, owned};
use super::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub use libc::{
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
};

/// The field of the access-time attributes: clear the whole field to set one of them.
pub const MOUNT_ATTR_ATIME_FIELD: u64 = 0x70;
pub const MOUNT_ATTR_RELATIME: u64 = 0x00;
pub const MOUNT_ATTR_NOATIME: u64 = 0x10;
pub const MOUNT_ATTR_STRICTATIME: u64 = 0x20;

/// Propagation types of mount_setattr(2); they are the MS_ flags of mount(2).
pub const SHARED: u64 = libc::MS_SHARED;
pub const SLAVE: u64 = libc::MS_SLAVE;
pub const PRIVATE: u64 = libc::MS_PRIVATE;
pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;

/// A new, unconfigured filesystem of type `fstype`.
pub fn fsopen(fstype: &CStr) -> Result<OwnedFd> {
    const FSOPEN_CLOEXEC: libc::c_uint = 1;
    // SAFETY: fstype is a C string that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), FSOPEN_CLOEXEC) })
}

/// Sets one option of a filesystem being configured: `key=value`, or the flag `key`.
pub fn fsconfig_set(fs: &OwnedFd, key: &CStr, value: Option<&CStr>) -> Result<()> {
    const FSCONFIG_SET_FLAG: libc::c_uint = 0;
    const FSCONFIG_SET_STRING: libc::c_uint = 1;
    let (command, value) = match value {
        Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
        None => (FSCONFIG_SET_FLAG, std::ptr::null()),
    };
    // SAFETY: key and value are C strings that outlive the call; a flag takes a null value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, key.as_ptr(), value, 0) })
}

/// Makes the superblock.
pub fn fsconfig_create(fs: &OwnedFd) -> Result<()> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the command takes no key and no value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0) })
}

/// A new filesystem on the current directory.
pub fn mount_here(source: &CStr, fstype: &CStr, data: &CStr) -> Result<()> {
    nix::mount::mount(Some(source), c".", Some(fstype), nix::mount::MsFlags::empty(), Some(data))
}

/// The superblock of the mount at `target`, to be configured anew.
pub fn fspick(target: impl AsFd) -> Result<OwnedFd> {
    const FSPICK_CLOEXEC: libc::c_uint = 1;
    const FSPICK_EMPTY_PATH: libc::c_uint = 8;
    let target = target.as_fd().as_raw_fd();
    // SAFETY: the path is an empty C string.
    owned(unsafe { libc::syscall(libc::SYS_fspick, target, c"".as_ptr(), FSPICK_CLOEXEC | FSPICK_EMPTY_PATH) })
}

/// Gives a superblock the options that were set on what [`fspick`] gave.
pub fn fsconfig_reconfigure(fs: &OwnedFd) -> Result<()> {
    const FSCONFIG_CMD_RECONFIGURE: libc::c_uint = 7;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the command takes no key and no value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), FSCONFIG_CMD_RECONFIGURE, null, null, 0) })
}

/// A detached mount of a configured filesystem.
pub fn fsmount(fs: &OwnedFd, attributes: u64) -> Result<OwnedFd> {
    const FSMOUNT_CLOEXEC: libc::c_uint = 1;
    // SAFETY: no pointers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), FSMOUNT_CLOEXEC, attributes) })
}

/// A detached copy of the mount at `path` below `directory` (an empty path: `directory` itself), with all below it where
/// `recursive`.
pub fn open_tree(directory: Option<BorrowedFd>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint;
    if recursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as libc::c_uint;
    }
    let directory = directory.map_or(libc::AT_FDCWD, |fd| fd.as_raw_fd());
    // SAFETY: path is a C string that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) })
}

/// Attaches a detached mount on top of what `target` refers to.
pub fn move_mount(mount: impl AsFd, target: impl AsFd) -> Result<()> {
    const F_EMPTY_PATH: libc::c_uint = 0x04;
    const T_EMPTY_PATH: libc::c_uint = 0x40;
    let (mount, target) = (mount.as_fd().as_raw_fd(), target.as_fd().as_raw_fd());
    let empty = c"".as_ptr();
    // SAFETY: both paths are empty C strings.
    check(unsafe { libc::syscall(libc::SYS_move_mount, mount, empty, target, empty, F_EMPTY_PATH | T_EMPTY_PATH) })
}

/// Moves an attached mount to the root of the mount namespace, as `mount --move . /` does.
pub fn move_to_root(mount: impl AsFd) -> Result<()> {
    const F_EMPTY_PATH: libc::c_uint = 0x04;
    let mount = mount.as_fd().as_raw_fd();
    // SAFETY: both paths are C strings.
    check(unsafe {
        libc::syscall(libc::SYS_move_mount, mount, c"".as_ptr(), libc::AT_FDCWD, c"/".as_ptr(), F_EMPTY_PATH)
    })
}

/// What mount_setattr changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    pub set: u64,
    pub clear: u64,
    /// One of [`SHARED`], [`SLAVE`], [`PRIVATE`], [`UNBINDABLE`], or 0.
    pub propagation: u64,
}

impl Attributes {
    pub fn is_empty(&self) -> bool {
        *self == Attributes::default()
    }
}

/// Changes the mount at `mount`, and all below it where `recursive`.
pub fn mount_setattr(mount: impl AsFd, recursive: bool, attributes: Attributes) -> Result<()> {
    setattr(mount.as_fd(), recursive, attributes, None)
}

/// Makes a detached mount show its files' owners as `user_namespace` maps them. KERNEL(5.12)
pub fn mount_setattr_idmap(mount: impl AsFd, recursive: bool, user_namespace: BorrowedFd) -> Result<()> {
    let attributes = Attributes { set: libc::MOUNT_ATTR_IDMAP, ..Attributes::default() };
    setattr(mount.as_fd(), recursive, attributes, Some(user_namespace))
}

fn setattr(mount: BorrowedFd, recursive: bool, attributes: Attributes, userns: Option<BorrowedFd>) -> Result<()> {
    let attr = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: userns.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: attr is a mount_attr of the size given; the path is an empty C string.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Makes the current directory the root of the mount namespace; the old root is left mounted on top of it.
pub fn pivot_root_here() -> Result<()> {
    // SAFETY: both paths are C strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })
}

/// Detaches the topmost mount at the current directory.
pub fn detach_here() -> Result<()> {
    nix::mount::umount2(c".", nix::mount::MntFlags::MNT_DETACH)
}

/// The filesystem's magic number.
pub fn filesystem_type(fd: impl AsFd) -> Result<i64> {
    let mut statfs = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: statfs is large enough for the answer.
    check(unsafe { libc::fstatfs(fd.as_fd().as_raw_fd(), statfs.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded, so the kernel filled it in.
    Ok(i64::from(unsafe { statfs.assume_init() }.f_type as u32))
}

pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;
pub const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
pub const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

/// Whether the file at `path` is on a read-only mount.
pub fn is_read_only(path: &CStr) -> Result<bool> {
    let mut statfs = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: path is a C string; statfs is large enough for the answer.
    check(unsafe { libc::statvfs(path.as_ptr(), statfs.as_mut_ptr()) }.into())?;
    // SAFETY: the call succeeded, so the kernel filled it in.
    let flags = unsafe { statfs.assume_init() }.f_flag;
    Ok(flags & libc::ST_RDONLY != 0)
}

/// KERNEL(5.12) A clear word for what the kernel lacks; everything else as it is.
pub fn is_missing(errno: Errno) -> bool {
    errno == Errno::ENOSYS
}
