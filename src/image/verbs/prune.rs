//! `forno prune`: removes what nothing uses.

use super::{Forno, Verb, df, diff};
use crate::error::Result;
use crate::image::container::{Listed, remove};
use crate::image::network::definition;
use crate::image::reference::Reference;
use crate::image::store::Store;
use crate::image::{units, volume};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes that no container has
    #[arg(long)]
    volumes: bool,
}

impl Verb for Prune {
    const NAME: &'static str = "prune";
    const ABOUT: &'static str = "Remove what nothing uses";

    fn run(self, forno: &Forno) -> Result<u8> {
        let images = if self.all { "all images without a container" } else { "all images without a name" };
        let volumes = if self.volumes { ", all anonymous volumes that no container has" } else { "" };
        let question = format!(
            "This removes all stopped containers, all networks that no container is in, {images}{volumes}, and the build cache."
        );
        if !self.force && !super::confirm(&question)? {
            return Ok(1);
        }
        let store = forno.store()?;
        let mut said = Said::default();
        let mut bytes = containers(forno, &store, &mut said)?;
        networks(&store, &mut said)?;
        if self.volumes {
            bytes = bytes.saturating_add(unused_volumes(&store, &mut said)?);
        }
        store.remove_pins()?;
        unused_images(&store, self.all, &mut said)?;
        said.finish(forno, bytes.saturating_add(store.sweep_all()?.bytes))
    }
}

#[derive(Debug, Args)]
pub(super) struct PruneImages {
    /// Remove those with names too, when no container uses them
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl PruneImages {
    pub(super) fn run(self, forno: &Forno) -> Result<u8> {
        let which = if self.all { "without a container" } else { "without a name" };
        if !self.force && !super::confirm(&format!("This removes all images {which}."))? {
            return Ok(1);
        }
        let store = forno.store()?;
        let mut said = Said::default();
        unused_images(&store, self.all, &mut said)?;
        said.finish(forno, store.sweep_all()?.bytes)
    }
}

/// What has been removed, in docker's sections.
#[derive(Default)]
struct Said(String);

impl Said {
    fn section(&mut self, title: &str, lines: &[String]) {
        if !lines.is_empty() {
            self.0.push_str(&format!("{title}\n{}\n\n", lines.join("\n")));
        }
    }

    fn finish(self, forno: &Forno, bytes: u64) -> Result<u8> {
        forno.print(&format!("{}Total reclaimed space: {}\n", self.0, units::size(bytes)))?;
        Ok(0)
    }
}

fn containers(forno: &Forno, store: &Store, said: &mut Said) -> Result<u64> {
    let mut bytes: u64 = 0;
    let mut gone = Vec::new();
    for listed in store.list_containers()?.0.iter().filter(|listed| !listed.state.status.needs_supervisor()) {
        let size = diff::size(store, listed).unwrap_or(0);
        match forget(forno, store, listed) {
            Ok(true) => {
                bytes = bytes.saturating_add(size);
                gone.push(listed.container.id().to_owned());
            }
            Ok(false) => {}
            Err(error) => forno.complain(&error),
        }
    }
    said.section("Deleted Containers:", &gone);
    Ok(bytes)
}

/// Removes a container that does not run; one that is started meanwhile stays.
fn forget(forno: &Forno, store: &Store, listed: &Listed) -> Result<bool> {
    let Ok(_lock) = listed.container.lock() else {
        return Ok(false);
    };
    if listed.container.state()?.status.needs_supervisor() {
        return Ok(false);
    }
    remove::clean(store, &listed.container, &listed.config, &forno.runtime())?;
    remove::remove(store, &listed.container, &listed.config, false)?;
    Ok(true)
}

fn networks(store: &Store, said: &mut Said) -> Result<()> {
    let mut gone = Vec::new();
    for found in definition::list(store)? {
        // The one that everybody is in is made again at once.
        if found.name != definition::DEFAULT && definition::users(store, &found.name)?.is_empty() {
            definition::remove(store, &found.name)?;
            gone.push(found.name);
        }
    }
    said.section("Deleted Networks:", &gone);
    Ok(())
}

fn unused_volumes(store: &Store, said: &mut Said) -> Result<u64> {
    let mut bytes: u64 = 0;
    let mut gone = Vec::new();
    for found in volume::list(store)?.into_iter().filter(|found| found.anonymous) {
        if volume::users(store, &found.name)?.is_empty() {
            let size = diff::bytes_below(&volume::data(store, &found.name)).unwrap_or(0);
            volume::remove_unused(store, &found.name)?;
            bytes = bytes.saturating_add(size);
            gone.push(found.name);
        }
    }
    said.section("Deleted Volumes:", &gone);
    Ok(bytes)
}

fn unused_images(store: &Store, all: bool, said: &mut Said) -> Result<()> {
    let (images, _) = store.images()?;
    let used = df::in_use(&images, &store.list_containers()?.0);
    let mut gone = Vec::new();
    for image in images.iter().filter(|image| !used.contains(&image.descriptor.digest)) {
        if all || image.names.is_empty() {
            store.remove_manifest(&image.descriptor.digest)?;
            gone.extend(image.names.iter().map(|name: &Reference| format!("untagged: {}", name.familiar())));
            gone.push(format!("deleted: {}", image.id()));
        }
    }
    said.section("Deleted Images:", &gone);
    Ok(())
}
