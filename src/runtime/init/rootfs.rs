//! Into the root filesystem.

use super::Child;
use super::fault::{At, Fault, Part};
use crate::runtime::plan::step::Rootfs;
use crate::sys::mount::{self, Attributes};
use crate::sys::root::Root;
use crate::sys::{Errno, OFlag, fd};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);

pub(super) fn propagation_of_all(propagation: u64) -> Result<(), Fault> {
    let root = fd::open(c"/", DIRECTORY).at(Part::Target)?;
    mount::mount_setattr(root, true, Attributes { propagation, ..Attributes::default() }).at(Part::Whole)
}

/// The mount that the current directory is on: only its root can be told, so up until it answers.
pub(super) fn private_parent() -> Result<(), Fault> {
    let mut here = fd::open(c".", DIRECTORY).at(Part::Target)?;
    let private = Attributes { propagation: mount::PRIVATE, ..Attributes::default() };
    loop {
        match mount::mount_setattr(&here, false, private) {
            Err(Errno::EINVAL) => {}
            other => return other.at(Part::Whole),
        }
        let above = fd::openat(&here, c"..", DIRECTORY).at(Part::Target)?;
        if fd::stat(&above).at(Part::Target)? == fd::stat(&here).at(Part::Target)? {
            return Err(Fault { part: Part::Whole, detail: 0, errno: Errno::EINVAL as i32 });
        }
        here = above;
    }
}

/// pivot_root wants a mount.
fn bound_on_itself(directory: OwnedFd) -> Result<OwnedFd, Fault> {
    let copy = mount::open_tree(Some(directory.as_fd()), c"", true).at(Part::Source)?;
    mount::move_mount(&copy, directory).at(Part::Attach)?;
    Ok(copy)
}

impl Child {
    pub(super) fn enter_rootfs(&mut self, rootfs: &Rootfs) -> Result<(), Fault> {
        let root = match rootfs {
            Rootfs::Here => bound_on_itself(fd::open(c".", DIRECTORY).at(Part::Target)?)?,
            Rootfs::Joined(path) => bound_on_itself(fd::open(path, DIRECTORY | OFlag::O_NOFOLLOW).at(Part::Source)?)?,
            Rootfs::Path(path) => fd::open(path, DIRECTORY | OFlag::O_NOFOLLOW).at(Part::Source)?,
        };
        self.root = Some(Root::from(root));
        Ok(())
    }

    pub(super) fn go_to_root(&self) -> Result<(), Fault> {
        nix::unistd::fchdir(self.root()?).at(Part::Chdir)
    }

    pub(super) fn pivot_root(&mut self, shared: bool) -> Result<(), Fault> {
        self.go_to_root()?;
        let old = if shared { Some(fd::open(c"/", DIRECTORY).at(Part::Source)?) } else { None };
        // The old root comes to lie on top of the new one, at the same place, and is taken from there: no directory has to
        // be made for it (pivot_root(2), NOTES).
        mount::pivot_root_here().at(Part::Whole)?;
        if let Some(old) = old {
            // Or the host would lose its /proc, its /dev and all the rest together with us.
            let slave = Attributes { propagation: mount::SLAVE, ..Attributes::default() };
            mount::mount_setattr(&old, true, slave).at(Part::Propagate)?;
        }
        mount::detach_here().at(Part::Whole)?;
        nix::unistd::chdir(c"/").at(Part::Chdir)
    }

    pub(super) fn move_root(&mut self) -> Result<(), Fault> {
        self.go_to_root()?;
        mount::move_to_root(self.root()?.as_fd()).at(Part::Attach)?;
        self.chroot()
    }

    pub(super) fn chroot(&mut self) -> Result<(), Fault> {
        self.go_to_root()?;
        nix::unistd::chroot(c".").at(Part::Whole)?;
        nix::unistd::chdir(c"/").at(Part::Chdir)
    }

    pub(super) fn propagation(&self, propagation: u64, recursive: bool) -> Result<(), Fault> {
        let attributes = Attributes { propagation, ..Attributes::default() };
        mount::mount_setattr(self.root()?, recursive, attributes).at(Part::Whole)
    }

    pub(super) fn readonly_root(&self) -> Result<(), Fault> {
        let attributes = Attributes { set: mount::MOUNT_ATTR_RDONLY, ..Attributes::default() };
        mount::mount_setattr(self.root()?, false, attributes).at(Part::Whole)
    }

    pub(super) fn make_cwd(&self, path: &CStr) -> Result<(), Fault> {
        match self.root()?.create_dir_all(super::path(path), super::DIR_MODE) {
            // Who may be there is the user's business; a read-only root cannot be changed, and chdir will tell.
            Ok(_) | Err(Errno::EROFS | Errno::EACCES | Errno::EPERM) => Ok(()),
            Err(error) => Err(error).at(Part::Whole),
        }
    }

    /// The host's /dev/null leads back to the host's devtmpfs.
    pub(super) fn reopen_null(&self) -> Result<(), Fault> {
        let mut ours = None;
        for number in 0..=2 {
            let Ok(standard) = fd::borrow(number) else { continue };
            if !fd::stat(standard).is_ok_and(|stat| stat.is_char_device(1, 3)) {
                continue;
            }
            if ours.is_none() {
                let opened = self.root()?.open_at("dev/null", OFlag::O_RDWR | OFlag::O_NOCTTY, super::NO_MODE);
                // Without a /dev/null of its own the container keeps what it was given.
                let Ok(opened) = opened else { return Ok(()) };
                if !fd::stat(&opened).at(Part::Whole)?.is_char_device(1, 3) {
                    return Ok(());
                }
                ours = Some(opened);
            }
            if let Some(null) = &ours {
                fd::dup_onto(null, number).at(Part::Stdio)?;
            }
        }
        Ok(())
    }
}
