//! `--build-context NAME=oci-layout://DIR[:TAG][@DIGEST]`: an image of a layout somewhere else. What is read is checked,
//! and kept in the store.

use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{CONFIG_BYTES_MAX, Descriptor, Document, ImageConfig, Index, MANIFEST_BYTES_MAX};
use crate::image::config::{REF_NAME, host_architecture};
use crate::image::digest::Digest;
use crate::image::store::{Hashed, Image, Lease, Store};
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub fn import(store: &Store, lease: &Lease, text: &str) -> Result<Image> {
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(digest.parse::<Digest>()?)),
        None => (text, None),
    };
    let (path, tag) = match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (text, None),
    };
    let layout = Layout { store, lease, path: Path::new(path) };
    let top = layout.entry(tag, digest.as_ref())?;
    let manifest = layout.manifest(&top)?;
    store.image(&manifest, Vec::new())
}

struct Layout<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    path: &'a Path,
}

impl Layout<'_> {
    fn entry(&self, tag: Option<&str>, digest: Option<&Digest>) -> Result<Descriptor> {
        let mut bytes = Vec::new();
        let file = File::open(self.path.join("index.json")).context("open index.json")?;
        file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).context("read index.json")?;
        let index: Index = serde_json::from_slice(&bytes).context("parse index.json")?;
        let has_tag = |entry: &&Descriptor| {
            let name = entry.annotations.get(REF_NAME);
            tag.is_none_or(|tag| name.is_some_and(|name| name == tag || name.ends_with(&format!(":{tag}"))))
        };
        let is_it = |entry: &&Descriptor| digest.is_none_or(|digest| entry.digest == *digest) && has_tag(entry);
        let mut found = index.manifests.iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some(entry), None) => Ok(entry.clone()),
            (Some(first), Some(second)) if first.digest == second.digest => Ok(first.clone()),
            (Some(_), Some(_)) => bail!("several images; say which with :TAG or @DIGEST"),
            (None, _) => bail!("no such image in index.json"),
        }
    }

    /// Brings in the image that a descriptor leads to; of an index, the one for this machine.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Descriptor> {
        self.blob(descriptor, MANIFEST_BYTES_MAX)?;
        let document = Document::parse(&descriptor.media_type, &self.store.read_blob(descriptor, MANIFEST_BYTES_MAX)?)?;
        match document {
            Document::Manifest(manifest) => {
                self.blob(&manifest.config, CONFIG_BYTES_MAX)?;
                ImageConfig::parse(&self.store.read_blob(&manifest.config, CONFIG_BYTES_MAX)?)?;
                for layer in &manifest.layers {
                    self.blob(layer, u64::MAX)?;
                }
                Ok(descriptor.clone())
            }
            Document::Index(index) => {
                let here = |entry: &&Descriptor| {
                    let platform = entry.platform.as_ref();
                    platform.is_none_or(|p| p.os == "linux" && p.architecture == host_architecture())
                };
                match index.manifests.iter().find(here) {
                    // One index does not lead to another.
                    Some(entry) if !crate::image::config::media_type::is_index(&entry.media_type) => {
                        self.manifest(entry)
                    }
                    _ => bail!("no image for linux/{} in the index", host_architecture()),
                }
            }
        }
    }

    fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<()> {
        let Descriptor { digest, size, .. } = descriptor;
        if *size > limit {
            bail!("blob {digest}: {size} bytes are more than the limit of {limit}");
        }
        self.lease.hold(digest)?;
        if self.store.blob_size(digest)? == Some(*size) {
            return Ok(());
        }
        let file =
            File::open(self.path.join("blobs/sha256").join(digest.hex())).with(|| format!("open blob {digest}"))?;
        let mut out = Hashed::new(self.store.new_blob(self.lease)?);
        std::io::copy(&mut file.take(size.saturating_add(1)), &mut out).with(|| format!("read blob {digest}"))?;
        let (blob, found, length) = out.finish();
        if found != *digest || length != *size {
            bail!("blob {digest}: is something else");
        }
        blob.commit(digest, *size)
    }
}
