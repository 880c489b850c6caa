//! A tree of several layers seen as one, for as long as it takes to read it.

use crate::error::{Context, Error, Result};
use crate::image::layer::whiteout::Marks;
use crate::image::snapshot::mount_overlay;
use crate::image::store::Store;
use crate::sys::{Errno, mount, overlay, process};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Gives `read` the root of the overlay of `layers`, uppermost first. It is mounted in a namespace that this process has
/// from then on, so that nothing stays mounted, however it ends.
pub fn merged<T>(
    store: &Store,
    mut layers: Vec<PathBuf>,
    marks: Marks,
    read: impl FnOnce(OwnedFd) -> Result<T>,
) -> Result<T> {
    let scratch = store.scratch_dir()?;
    let (target, empty) = (scratch.path().join("merged"), scratch.path().join("empty"));
    for directory in [&target, &empty] {
        std::fs::create_dir(directory).context("create mount point")?;
    }
    match process::unshare(process::CLONE_NEWNS) {
        Err(Errno::EPERM) => return Err(Error::from(Errno::EPERM).context("mount the image (needs root)")),
        unshared => unshared.context("unshare the mount namespace")?,
    }
    let slave = mount::Attributes { propagation: mount::SLAVE, ..mount::Attributes::default() };
    mount::mount_setattr(File::open("/").context("open /")?, true, slave).context("make mounts our own")?;
    // An overlay that nobody writes to has two lower directories at least.
    layers.push(empty);
    mount_overlay(&layers, None, marks, &target)?;
    let read = File::open(&target).context("open the merged tree").and_then(|root| read(root.into()));
    overlay::unmount(&target).context("unmount")?;
    read
}
