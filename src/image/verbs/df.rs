//! `forno df`: what takes how much room.

use super::{Forno, Verb, diff};
use crate::error::Result;
use crate::image::container::Listed;
use crate::image::digest::Digest;
use crate::image::listing::{self, Listing};
use crate::image::store::Image;
use crate::image::{units, volume};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LISTING: Listing = Listing {
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    headers: &[("TotalCount", "TOTAL")],
};

#[derive(Debug, Args)]
pub(super) struct Df {
    #[command(flatten)]
    format: listing::FormatArgs,
}

impl Verb for Df {
    const NAME: &'static str = "df";
    const ABOUT: &'static str = "Show what takes how much room";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let (containers, _) = store.list_containers()?;
        let (images, _) = store.images()?;
        let used = in_use(&images, &containers);
        let usage = store.usage(&used)?;
        let mut written = (0u64, 0u64);
        for listed in &containers {
            let bytes = diff::size(&store, listed).unwrap_or(0);
            written.0 = written.0.saturating_add(bytes);
            written.1 = written.1.saturating_add(if listed.is_running() { 0 } else { bytes });
        }
        let running = containers.iter().filter(|listed| listed.is_running()).count();
        let (mut volumes, mut active) = ((0u64, 0u64), 0);
        let all = volume::list(&store)?;
        for found in &all {
            let bytes = diff::bytes_below(&volume::data(&store, &found.name)).unwrap_or(0);
            let is_used = !volume::users(&store, &found.name)?.is_empty();
            active += usize::from(is_used);
            volumes.0 = volumes.0.saturating_add(bytes);
            volumes.1 = volumes.1.saturating_add(if is_used { 0 } else { bytes });
        }
        let mut rows = vec![
            row("Images", images.len(), used.len(), usage.images, usage.unused_images),
            row("Containers", containers.len(), running, written.0, written.1),
            row("Local Volumes", all.len(), active, volumes.0, volumes.1),
            row("Build Cache", usage.cached, 0, usage.cache, usage.cache),
        ];
        if usage.unfinished > 0 {
            rows.push(row("Unfinished", 0, 0, usage.unfinished, usage.unfinished));
        }
        forno.print(&LISTING.show(&self.format, &rows)?)?;
        Ok(0)
    }
}

fn row(kind: &str, total: usize, active: usize, size: u64, reclaimable: u64) -> Value {
    let share = reclaimable.checked_mul(100).and_then(|part| part.checked_div(size));
    let share = share.map(|share| format!(" ({share}%)")).unwrap_or_default();
    json!({"Type": kind, "TotalCount": total.to_string(), "Active": active.to_string(), "Size": units::size(size),
        "Reclaimable": format!("{}{share}", units::size(reclaimable))})
}

/// The manifests of images that a container is made of.
pub(super) fn in_use(images: &[Image], containers: &[Listed]) -> BTreeSet<Digest> {
    let used = |image: &&Image| containers.iter().any(|listed| listed.config.image_id == image.id().as_str());
    images.iter().filter(used).map(|image| image.descriptor.digest.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle_can_go() {
        let row = row("Images", 2, 1, 4000, 3000);
        assert_eq!(row["TotalCount"], "2");
        assert_eq!(row["Active"], "1");
        assert_eq!(row["Size"], "4kB");
        assert_eq!(row["Reclaimable"], "3kB (75%)");
    }
}
