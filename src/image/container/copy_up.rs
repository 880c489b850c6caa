//! What the image has where a new volume is mounted goes into the volume, once, with owners, modes and all.

use super::Container;
use super::config::{Config, MountKind};
use crate::error::{Context, Result};
use crate::image::copy::copy_directory;
use crate::image::store::Store;
use crate::image::volume;
use crate::sys::root::Root;
use crate::sys::{Errno, Mode, OFlag, tree};
use std::fs::File;
use std::os::fd::AsFd;

/// Fills the volumes that nobody has used yet. The root file system is mounted.
pub fn fill_volumes(store: &Store, container: &Container, config: &Config) -> Result<()> {
    for mount in config.mounts.iter().filter(|mount| mount.kind == MountKind::Volume) {
        // Two containers may begin with one volume at the same time; one fills it, the other waits.
        let _lock = store.lock(&format!("volume-{}", mount.source))?;
        let Some(found) = volume::find(store, &mount.source)?.filter(|found| found.fresh) else {
            continue;
        };
        let path = volume::data(store, &mount.source);
        let data = File::open(&path).with(|| format!("volume {}", mount.source))?;
        // docker asks the same: whether there is anything in it.
        if !mount.no_copy && tree::read_dir(data.as_fd()).context("read volume")?.is_empty() {
            let rootfs = Root::open(&container.rootfs()).context("open the root file system")?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            match rootfs.open_at(&mount.target, flags, Mode::empty()) {
                Ok(from) => drop(
                    copy_directory(&from, &path)
                        .with(|| format!("copy {} into volume {}", mount.target, mount.source))?,
                ),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => return Err(errno).with(|| format!("open {}", mount.target)),
            }
        }
        volume::set_used(store, &found)?;
    }
    Ok(())
}
