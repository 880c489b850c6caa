//! A cache that is a name in a registry: a manifest about a [`Catalogue`], with the layers as its blobs. A layer comes
//! when a step asks for it, and none where none does.

use super::Progress;
use super::{Layer, Record};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{ImageConfig, Manifest, media_type};
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::image::registry::progress::Progress as Transfers;
use crate::image::registry::{self, Artifact, Compressor, Options};
use crate::image::store::{Image, Lease, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

const KIND: &str = "application/vnd.bolo.forno.cache.v1+json";

#[derive(Debug, Default, Deserialize, Serialize)]
struct Catalogue {
    /// Of the manifest's layers, in order.
    diff_ids: Vec<Digest>,
    /// By key.
    steps: BTreeMap<Digest, Entry>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    /// Which of the layers.
    layer: usize,
    created: i64,
}

/// Asked for the first time when the store does not know a step: a build that finds everything there needs no network.
pub(super) struct Remote<'a> {
    name: &'a Reference,
    opened: OnceLock<Option<(Artifact, Catalogue)>>,
}

impl<'a> Remote<'a> {
    pub(super) fn new(name: &'a Reference) -> Remote<'a> {
        Remote { name, opened: OnceLock::new() }
    }

    pub(super) fn import(
        &self,
        store: &Store,
        lease: &Lease,
        progress: &Progress,
        key: &Digest,
    ) -> Result<Option<Record>> {
        // What is wrong with all of it is said once, and not once a step.
        let opened = self.opened.get_or_init(|| {
            open(lease, self.name).unwrap_or_else(|error| {
                progress.note(&format!("WARNING --cache-from: {error}"));
                None
            })
        });
        let Some((artifact, catalogue)) = opened else { return Ok(None) };
        let Some(entry) = catalogue.steps.get(key) else { return Ok(None) };
        let both = artifact.manifest.layers.get(entry.layer).zip(catalogue.diff_ids.get(entry.layer));
        let Some((descriptor, diff_id)) = both else {
            bail!("{}: step {key} has no layer", self.name);
        };
        let fetched = artifact.fetch(store, lease, descriptor);
        fetched.with(|| format!("{}: layer {}", self.name, descriptor.digest))?;
        let layer = Layer { descriptor: descriptor.clone(), diff_id: diff_id.clone() };
        Ok(Some(Record { layer, created: entry.created }))
    }
}

fn open(lease: &Lease, name: &Reference) -> Result<Option<(Artifact, Catalogue)>> {
    let Some(artifact) = Artifact::open(lease, name, KIND, &Options::default())? else { return Ok(None) };
    let catalogue: Catalogue = serde_json::from_slice(&artifact.document).with(|| format!("{name}: catalogue"))?;
    let layers = &artifact.manifest.layers;
    if let Some(layer) = layers.iter().find(|layer| !media_type::is_layer(&layer.media_type)) {
        bail!("{name}: layer {}: media type {:?} cannot be read", layer.digest, layer.media_type);
    }
    Ok(Some((artifact, catalogue)))
}

/// Replaces what has the name by what this build has used.
pub(super) fn export(
    store: &Store,
    lease: &Lease,
    name: &Reference,
    compressor: Compressor,
    used: &[(Digest, Record)],
) -> Result<()> {
    let (mut catalogue, mut layers) = (Catalogue::default(), Vec::new());
    for (key, Record { layer, created }) in used {
        let at = layers.iter().position(|known| *known == layer.descriptor).unwrap_or_else(|| {
            layers.push(layer.descriptor.clone());
            catalogue.diff_ids.push(layer.diff_id.clone());
            layers.len() - 1
        });
        catalogue.steps.insert(key.clone(), Entry { layer: at, created: *created });
    }
    let document = serde_json::to_vec(&catalogue).context("write catalogue")?;
    let manifest = Manifest::new(store.put_blob(lease, KIND, &document)?, layers);
    let bytes = serde_json::to_vec(&manifest).context("write manifest")?;
    let descriptor = store.put_blob(lease, media_type::MANIFEST, &bytes)?;
    let image = Image { names: Vec::new(), descriptor, manifest, config: ImageConfig::default() };
    registry::push(store, lease, &image, name, compressor, &Options::default(), &Transfers::Quiet)?;
    Ok(())
}
