//! The older way to mount an overlay, and to unmount anything.

use super::{Errno, Result};
use nix::mount::{MntFlags, MsFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

/// `mount(2)` of an overlay on the directory that `target` refers to. `options` are what `mount -o` takes, a page at
/// most.
pub fn mount(target: BorrowedFd, options: &CStr) -> Result<()> {
    let target = format!("/proc/self/fd/{}", target.as_raw_fd());
    nix::mount::mount(Some("overlay"), target.as_str(), Some("overlay"), MsFlags::empty(), Some(options))
}

/// Takes the topmost mount at `target` out of the tree; it goes when nobody uses it any more. `false`: nothing was
/// mounted there.
pub fn unmount(target: &Path) -> Result<bool> {
    match nix::mount::umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL | Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
