//! Where CRIU restores: a mount namespace in which the root filesystem is a mount, as CRIU wants it, and of which nothing is
//! left, whatever happens.

use crate::bail;
use crate::error::{Context, Result};
use crate::sys::mount::{self, Attributes};
use crate::sys::process::{self, CLONE_NEWNS};
use crate::sys::{OFlag, fd};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);

/// We are in it until `leave`. Directories that CRIU is to work in have to be opened here: it mounts there.
#[derive(Debug)]
pub struct Place {
    own: OwnedFd,
}

impl Place {
    /// `path` is where `rootfs` was found.
    pub fn enter(rootfs: impl AsFd, path: &str) -> Result<Place> {
        let own = fd::open(c"/proc/self/ns/mnt", OFlag::O_RDONLY).context("open our own mount namespace")?;
        process::unshare(CLONE_NEWNS).context("make a mount namespace for criu")?;
        let place = Place { own };
        match prepare(rootfs, path) {
            Ok(()) => Ok(place),
            Err(error) => place.leave().and(Err(error)),
        }
    }

    pub fn leave(self) -> Result<()> {
        process::setns(&self.own, CLONE_NEWNS).context("return to our own mount namespace")
    }
}

fn prepare(rootfs: impl AsFd, path: &str) -> Result<()> {
    // What is mounted on the host later still comes through; nothing goes the other way.
    let slave = Attributes { propagation: mount::SLAVE, ..Attributes::default() };
    let root = fd::open(c"/", DIRECTORY).context("open /")?;
    mount::mount_setattr(root, true, slave).context("make mounts private to criu")?;
    let name = CString::new(path).unwrap_or_default();
    let here = fd::open(&name, DIRECTORY | OFlag::O_NOFOLLOW).with(|| format!("root.path: open {path}"))?;
    if fd::stat(&here).ok() != fd::stat(rootfs).ok() {
        bail!("root.path: {path} is another directory now");
    }
    let copy = mount::open_tree(Some(here.as_fd()), c"", true).with(|| format!("root.path: copy {path}"))?;
    mount::move_mount(copy, here).with(|| format!("root.path: mount {path}"))?;
    Ok(())
}
