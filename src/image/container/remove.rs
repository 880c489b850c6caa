//! The end of a container: what its running needs is given back, and what it is made of removed. Both can be done again
//! when they were interrupted.

use super::Container;
use super::config::{Config, MountKind};
use super::runtime::{Runtime, STATE_ROOT};
use crate::error::{Context, Result};
use crate::image::store::{Store, remove_tree};
use crate::image::{events, network, volume};
use crate::sys::Errno;
use std::path::Path;

/// Gives back the runtime's state with all processes and cgroups, the network, and the mounts. There is nothing to do
/// where the supervisor could do it.
pub fn clean(store: &Store, container: &Container, config: &Config, program: &Path) -> Result<()> {
    let runtime = Runtime::new(program, container);
    runtime.delete()?;
    let left = container.directory().join(STATE_ROOT);
    if left.exists() {
        remove_tree(&left)?;
    }
    network::clean(store, config)?;
    unmount(store, config)
}

fn unmount(store: &Store, config: &Config) -> Result<()> {
    match store.snapshot(&config.snapshot) {
        Ok(snapshot) => snapshot.unmount(),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a container that does not run, and with `volumes` those that were made for it alone.
pub fn remove(store: &Store, container: &Container, config: &Config, volumes: bool) -> Result<()> {
    // First out of sight, at once; everything else is only space, which the next process finds.
    let trash = match store.to_trash(container.directory()) {
        Ok(trash) => trash,
        Err(error) if error.errno() == Some(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    store.naming()?.take_from(&config.name, &config.id)?;
    if let Ok(snapshot) = store.snapshot(&config.snapshot) {
        snapshot.remove(store)?;
    }
    if volumes {
        for mount in config.mounts.iter().filter(|mount| mount.kind == MountKind::Volume && mount.anonymous) {
            volume::remove_unused(store, &mount.source).with(|| format!("volume {}", mount.source))?;
        }
    }
    drop(trash);
    events::of_container(store, config, "destroy", &[]);
    Ok(())
}
