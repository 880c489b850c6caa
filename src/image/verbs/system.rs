//! `forno system`: what takes room, and what can go.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::{Listed, remove};
use crate::image::listing::{self, Listing};
use crate::image::network::definition;
use crate::image::store::Store;
use crate::image::{units, volume};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::Path;

const LISTING: Listing = Listing {
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    headers: &[("TotalCount", "TOTAL")],
};

#[derive(Debug, Args)]
pub(super) struct System {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what takes room
    Df {
        #[command(flatten)]
        format: listing::FormatArgs,
    },
    /// Remove stopped containers, unused networks, and what no image and no container leads to
    Prune {
        /// Images that no container uses too
        #[arg(short, long)]
        all: bool,
        /// Volumes that no container uses too
        #[arg(long)]
        volumes: bool,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Show what happens to containers, volumes and networks
    Events(super::events::Events),
    /// Show what is here, and what it runs on
    Info(super::info::Info),
}

impl Verb for System {
    const NAME: &'static str = "system";
    const ABOUT: &'static str = "Show what takes room, and make some";

    fn run(self, forno: &Forno) -> Result<u8> {
        match self.action {
            Action::Df { format } => {
                forno.print(&LISTING.show(&format, &rows(&forno.store()?)?)?)?;
                Ok(0)
            }
            Action::Prune { all, volumes, force } => prune(forno, all, volumes, force),
            Action::Events(events) => events.run(forno),
            Action::Info(info) => info.run(forno),
        }
    }
}

/// `Images 3 1 72MB 40MB (55%)`
fn row(kind: &str, parts: &[(bool, u64)]) -> Value {
    let sum =
        |parts: &mut dyn Iterator<Item = &(bool, u64)>| parts.map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
    let (whole, idle) = (sum(&mut parts.iter()), sum(&mut parts.iter().filter(|(active, _)| !active)));
    let share = idle.saturating_mul(100).checked_div(whole).unwrap_or(0);
    json!({
        "Type": kind,
        "TotalCount": parts.len().to_string(),
        "Active": parts.iter().filter(|(active, _)| *active).count().to_string(),
        "Size": units::size(whole),
        "Reclaimable": format!("{} ({share}%)", units::size(idle)),
    })
}

fn rows(store: &Store) -> Result<Vec<Value>> {
    let containers = store.list_containers()?.0;
    let mut images = Vec::new();
    for image in store.images()?.0 {
        let id = image.id().to_string();
        let active = containers.iter().any(|listed| listed.config.image_id == id);
        images.push((active, super::images::size(store, &image)));
    }
    let mut layers = Vec::new();
    for listed in &containers {
        layers.push((listed.is_running(), super::diff::size(store, listed).unwrap_or(0)));
    }
    let mut volumes = Vec::new();
    for found in volume::list(store)? {
        let active = !volume::users(store, &found.name)?.is_empty();
        volumes.push((active, super::diff::bytes_below(&volume::data(store, &found.name))?));
    }
    Ok(vec![row("Images", &images), row("Containers", &layers), row("Local Volumes", &volumes)])
}

fn prune(forno: &Forno, all: bool, volumes: bool, force: bool) -> Result<u8> {
    let question = "This removes all stopped containers, all unused networks, and what no image leads to.";
    if !force && !super::confirm(question)? {
        return Ok(1);
    }
    let store = forno.store()?;
    let before = room(store.path());
    for listed in store.list_containers()?.0.iter().filter(|listed| !listed.state.status.needs_supervisor()) {
        forget(forno, &store, listed)?;
    }
    for found in definition::list(&store)? {
        // The one that everybody is in is made again at once.
        if found.name != definition::DEFAULT && definition::users(&store, &found.name)?.is_empty() {
            definition::remove(&store, &found.name)?;
            forno.print(&format!("{}\n", found.name))?;
        }
    }
    if volumes {
        for found in volume::list(&store)?.iter().filter(|found| found.anonymous || all) {
            if volume::users(&store, &found.name)?.is_empty() {
                volume::remove_unused(&store, &found.name)?;
                forno.print(&format!("{}\n", found.name))?;
            }
        }
    }
    if all {
        remove_images(forno, &store)?;
    }
    store.sweep()?;
    let freed = room(store.path()).saturating_sub(before);
    forno.print(&format!("Total reclaimed space: {}\n", units::size(freed)))?;
    Ok(0)
}

fn remove_images(forno: &Forno, store: &Store) -> Result<()> {
    let containers = store.list_containers()?.0;
    for image in store.images()?.0 {
        let id = image.id().to_string();
        if !containers.iter().any(|listed| listed.config.image_id == id) {
            store.remove_manifest(&image.descriptor.digest)?;
            forno.print(&format!("Deleted: {id}\n"))?;
        }
    }
    Ok(())
}

/// Removes a container that does not run; one that is started meanwhile stays.
fn forget(forno: &Forno, store: &Store, listed: &Listed) -> Result<()> {
    let Ok(_lock) = listed.container.lock() else {
        return Ok(());
    };
    if listed.container.state()?.status.needs_supervisor() {
        return Ok(());
    }
    remove::clean(store, &listed.container, &listed.config, &forno.runtime())?;
    remove::remove(store, &listed.container, &listed.config, false)?;
    forno.print(&format!("{}\n", listed.container.id()))
}

/// Bytes that are free where the store is.
fn room(path: &Path) -> u64 {
    crate::sys::file::free_bytes(path).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle_can_go() {
        let row = row("Images", &[(true, 1000), (false, 3000)]);
        assert_eq!(row["TotalCount"], "2");
        assert_eq!(row["Active"], "1");
        assert_eq!(row["Size"], "4kB");
        assert_eq!(row["Reclaimable"], "3kB (75%)");
    }
}
