//! A container's root file system as the container sees it, for who stands outside.

use super::config::{Mount, MountKind};
use super::{Container, Listed};
use crate::error::{Context, Result};
use crate::image::store::Store;
use crate::image::volume;
use crate::sys::root::Root;
use crate::sys::{mount, process};
use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Opens the root. That of a container which does not run is mounted, with its volumes, in a mount namespace that goes
/// with this process; nobody may start it meanwhile.
pub fn open(store: &Store, listed: &Listed) -> Result<(Root, Option<File>)> {
    let container = &listed.container;
    if listed.state.is_alive() {
        let path = format!("/proc/{}/root", listed.state.pid);
        return Ok((Root::open(Path::new(&path)).context("open the container's root")?, None));
    }
    let lock = container.lock()?;
    own_mounts()?;
    mount_root(store, container, &listed.config.snapshot)?;
    let root = Root::open(&container.rootfs()).context("open the container's root")?;
    for mount in &listed.config.mounts {
        attach(store, &root, mount).with(|| format!("mount {}", mount.target))?;
    }
    // What was mounted on it is seen by paths that begin at it anew.
    Ok((Root::open(&container.rootfs()).context("open the container's root")?, Some(lock)))
}

fn mount_root(store: &Store, container: &Container, snapshot: &str) -> Result<()> {
    store.snapshot(snapshot)?.mount(store, &container.rootfs(), false)
}

fn attach(store: &Store, root: &Root, mount: &Mount) -> Result<()> {
    let source: PathBuf = match mount.kind {
        MountKind::Volume => volume::data(store, &mount.source),
        MountKind::Bind => mount.source.clone().into(),
        MountKind::Tmpfs => return Ok(()),
    };
    // A place that no start has made yet is empty.
    let (Ok(target), true) = (root.resolve(&mount.target), source.exists()) else {
        return Ok(());
    };
    let source = CString::new(source.as_os_str().as_bytes()).map_err(|_| crate::sys::Errno::EINVAL)?;
    let tree = mount::open_tree(None, &source, true).context("open the source")?;
    mount::move_mount(tree, target).context("attach")
}

/// A mount namespace of our own: what is mounted in it is gone when we are, however that comes.
pub fn own_mounts() -> Result<()> {
    use mount::{Attributes, SLAVE, mount_setattr};
    process::unshare(process::CLONE_NEWNS).context("make a mount namespace")?;
    let root = File::open("/").context("open /")?;
    let slave = Attributes { propagation: SLAVE, ..Attributes::default() };
    mount_setattr(&root, true, slave).context("make mounts receive only")
}
