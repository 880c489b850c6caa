//! `forno images`: a list of the images that are here.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::listing::{self, Listing};
use crate::image::reference::Reference;
use crate::image::store::{Image, Store};
use crate::image::{time, units};
use clap::Args;
use serde_json::{Value, json};

const LISTING: Listing = Listing {
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    headers: &[("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("CreatedAt", "CREATED AT")],
};

#[derive(Debug, Args)]
pub(super) struct Images {
    /// Only images of this name, or of any tag of it
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// Accepted for docker's sake: there are no images without an entry
    #[arg(short, long)]
    all: bool,
    /// Show digests of the manifests
    #[arg(long)]
    digests: bool,
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    format: listing::FormatArgs,
}

impl Verb for Images {
    const NAME: &'static str = "images";
    const ABOUT: &'static str = "List images";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let (images, broken) = store.images()?;
        for error in broken {
            forno.warn(&error.to_string());
        }
        let mut rows = Vec::new();
        for image in &images {
            for name in names(image).into_iter().filter(|name| self.wants(name.as_ref())) {
                rows.push(self.row(&store, image, name.as_ref()));
            }
        }
        if self.quiet && !self.format.is_given() {
            let mut ids: Vec<&str> = rows.iter().filter_map(|row| row["ID"].as_str()).collect();
            ids.dedup();
            forno.print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
            return Ok(0);
        }
        let with_digests = Listing {
            table: "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
            ..LISTING
        };
        let listing = if self.digests { with_digests } else { LISTING };
        forno.print(&listing.show(&self.format, &rows)?)?;
        Ok(0)
    }
}

/// One row per name; one without names has a row of its own.
fn names(image: &Image) -> Vec<Option<Reference>> {
    if image.names.is_empty() { vec![None] } else { image.names.iter().cloned().map(Some).collect() }
}

/// Bytes of an image's layers when they are laid out; of the blobs, where they are not.
pub(super) fn size(store: &Store, image: &Image) -> u64 {
    let layers = image.manifest.layers.iter().zip(image.config.chain_ids());
    layers.map(|(layer, chain_id)| store.layer_bytes(&chain_id).unwrap_or(layer.size)).sum()
}

impl Images {
    fn wants(&self, name: Option<&Reference>) -> bool {
        let Some(wanted) = &self.name else {
            return true;
        };
        let (Some(name), Ok(reference)) = (name, wanted.parse::<Reference>()) else {
            return false;
        };
        // `images debian` asks for every tag, `images debian:12` for one.
        let has_tag = wanted.rsplit('/').next().is_some_and(|last| last.contains(':'));
        name.familiar_name() == reference.familiar_name() && (!has_tag || name.tag() == reference.tag())
    }

    fn row(&self, store: &Store, image: &Image, name: Option<&Reference>) -> Value {
        const NONE: &str = "<none>";
        let created = image.config.created.as_deref().and_then(time::parse_rfc3339);
        let id = if self.no_trunc { image.id().as_str() } else { image.id().short() };
        json!({
            "Repository": name.map_or_else(|| NONE.to_owned(), Reference::familiar_name),
            "Tag": name.and_then(Reference::tag).unwrap_or(NONE),
            "Digest": image.descriptor.digest,
            "ID": id,
            "CreatedAt": created.map_or_else(|| "N/A".to_owned(), time::printed),
            "CreatedSince": created.map_or_else(|| "N/A".to_owned(), ago),
            "Size": units::size(size(store, image)),
        })
    }
}

/// `2 hours ago`
pub(super) fn ago(seconds: i64) -> String {
    format!("{} ago", units::duration(time::now().saturating_sub(seconds)))
}
