//! What a registry keeps and is no image: a manifest about a document of a kind of its own, and blobs that are fetched
//! when somebody wants them.

use super::Options;
use super::client::Client;
use super::download::Fetch;
use super::manifest::{accept, fetch_small, resolve};
use super::progress::Progress;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{CONFIG_BYTES_MAX, Descriptor, Document, Manifest};
use crate::image::reference::Reference;
use crate::image::store::{Lease, Store};
use std::sync::atomic::AtomicBool;
use ureq::http::StatusCode;

pub struct Artifact {
    clients: Vec<Client>,
    retries: u32,
    pub manifest: Manifest,
    /// What the manifest is about.
    pub document: Vec<u8>,
}

impl Artifact {
    /// `None`: nothing has that name.
    pub fn open(lease: &Lease, name: &Reference, kind: &str, options: &Options) -> Result<Option<Artifact>> {
        let open = || -> Result<Option<Artifact>> {
            let clients = Client::all(name, options)?;
            if !exists(&clients, name)? {
                return Ok(None);
            }
            let (found, clients) = resolve(clients, name)?;
            let manifest = match found.document {
                Document::Manifest(manifest) if manifest.config.media_type == kind => manifest,
                Document::Manifest(manifest) => bail!("it is about a {}, not a {kind}", manifest.config.media_type),
                Document::Index(_) => bail!("it is an index of images, not a {kind}"),
            };
            let document = fetch_small(&clients, lease, &manifest.config, CONFIG_BYTES_MAX)?;
            Ok(Some(Artifact { clients, retries: options.retries, manifest, document }))
        };
        open().with(|| name.to_string())
    }

    /// Brings one of its blobs into the store.
    pub fn fetch(&self, store: &Store, lease: &Lease, blob: &Descriptor) -> Result<()> {
        let Some(mut download) = store.download(lease, blob)? else {
            return Ok(());
        };
        let bar = Progress::Quiet.begin(blob.digest.short(), "Downloading", blob.size);
        let (clients, stop) = (self.clients.as_slice(), AtomicBool::new(false));
        let fetch =
            Fetch { clients, retries: self.retries, descriptor: blob, bar: &bar, arrived: &|_| (), stop: &stop };
        fetch.run(&mut download)?;
        download.publish(store, &blob.digest)
    }
}

/// Whether one of them knows the name; of what went wrong, [`resolve`] tells more.
fn exists(clients: &[Client], name: &Reference) -> Result<bool> {
    let tag = name.digest().map_or_else(|| name.tag().unwrap_or("latest"), |digest| digest.as_str());
    for client in clients {
        let uri = client.in_repository(&format!("manifests/{tag}"))?;
        match client.head(uri, accept(), "pull") {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => {}
            _ => return Ok(true),
        }
    }
    Ok(false)
}
