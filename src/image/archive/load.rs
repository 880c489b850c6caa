//! Images come into the store from a layout or from docker's archives of all ages. Every file of an archive becomes a blob
//! under the digest that it has; nothing is looked up by the names that the archive gives but what it brought itself.

use super::{CONTAINERD_NAME, DOCKER_MANIFEST};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::{CONFIG_BYTES_MAX, Descriptor, Document, ImageConfig, Index, MANIFEST_BYTES_MAX, Manifest};
use crate::image::config::{REF_NAME, media_type};
use crate::image::digest::Digest;
use crate::image::layer::Limits;
use crate::image::layer::pipe::{Compression, stream};
use crate::image::layer::tar::{Reader, Type};
use crate::image::reference::Reference;
use crate::image::store::{Hashed, Image, Lease, Store};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::path::Path;

/// docker's oldest archives have a chain of links from layer to layer.
const LINKS_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What came, by its name in the archive.
#[derive(Default)]
struct Files {
    blobs: BTreeMap<String, (Digest, u64)>,
    links: BTreeMap<String, String>,
}

impl Files {
    fn find(&self, name: &str) -> Option<&(Digest, u64)> {
        let mut name = clean("", name);
        for _ in 0..LINKS_MAX {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => return self.blobs.get(&name),
            }
        }
        None
    }
}

/// A path without `.` and `..`, of a name that is relative to a directory of the archive.
fn clean(directory: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Loads an archive, plain or compressed; the images, each with the names that it got.
pub fn archive(store: &Store, lease: &Lease, source: impl Read + Send, limits: Limits) -> Result<Vec<Image>> {
    let (files, _) = stream(source, std::io::sink(), limits, |plain| take(lease, plain, limits))?;
    let loading = Loading { store, lease };
    if let Some(file) = files.find("index.json") {
        let index: Index =
            serde_json::from_slice(&loading.document(file, MANIFEST_BYTES_MAX)?).context("index.json")?;
        return loading.index(&index);
    }
    match files.find(DOCKER_MANIFEST) {
        Some(file) => loading.docker(&files, &loading.document(file, MANIFEST_BYTES_MAX)?),
        None => bail!(
            "neither index.json nor manifest.json is in the archive: it is no image (forno import takes a root file system)"
        ),
    }
}

/// Keeps every file of the archive as a blob; the sweep takes those that nothing leads to.
fn take(lease: &Lease, source: impl BufRead, limits: Limits) -> Result<Files> {
    let mut reader = Reader::new(source, limits);
    let mut files = Files::default();
    while let Some(entry) = reader.next_entry()? {
        let raw = String::from_utf8_lossy(&entry.path).into_owned();
        let name = clean("", &raw);
        match entry.kind {
            Type::Regular if entry.sparse.is_none() => {
                let mut blob = Hashed::new(lease.store().new_blob(lease)?);
                loop {
                    let bytes = reader.data()?;
                    if bytes.is_empty() {
                        break;
                    }
                    blob.write_all(bytes).with(|| format!("keep {raw:?}"))?;
                    let length = bytes.len();
                    reader.consume(length);
                }
                let (blob, digest, size) = blob.finish();
                blob.commit(&digest, size)?;
                files.links.remove(&name);
                files.blobs.insert(name, (digest, size));
            }
            Type::Symlink | Type::Link => {
                let directory =
                    if entry.kind == Type::Link { "" } else { name.rsplit_once('/').map_or("", |(d, _)| d) };
                let target = clean(directory, &String::from_utf8_lossy(&entry.link));
                files.links.insert(name, target);
            }
            _ => {}
        }
    }
    Ok(files)
}

/// Loads a layout that is a directory.
pub fn directory(store: &Store, lease: &Lease, source: &Path) -> Result<Vec<Image>> {
    let load = || -> Result<Vec<Image>> {
        let path = source.join("index.json");
        let file = File::open(&path).with(|| format!("open {} (want an OCI layout)", path.display()))?;
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut bytes).context("read index.json")?;
        let index: Index = serde_json::from_slice(&bytes).context("parse index.json")?;
        for entry in &index.manifests {
            fetch(lease, source, entry)?;
        }
        Loading { store, lease }.index(&index)
    };
    load().with(|| format!("load {}", source.display()))
}

/// Copies what a descriptor leads to, as far as it is there.
fn fetch(lease: &Lease, source: &Path, entry: &Descriptor) -> Result<()> {
    let copy = |descriptor: &Descriptor| -> Result<bool> {
        let path = source.join("blobs/sha256").join(descriptor.digest.hex());
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            file => file.with(|| format!("open blob {}", descriptor.digest))?,
        };
        let mut blob = Hashed::new(lease.store().new_blob(lease)?);
        std::io::copy(&mut file, &mut blob).with(|| format!("copy blob {}", descriptor.digest))?;
        let (blob, digest, size) = blob.finish();
        if digest != descriptor.digest || size != descriptor.size {
            bail!("blob {}: what is there is something else", descriptor.digest);
        }
        blob.commit(&digest, size)?;
        Ok(true)
    };
    let mut left = vec![entry.clone()];
    let mut depth = 0;
    while let Some(descriptor) = left.pop() {
        depth += 1;
        if depth > 10_000 {
            bail!("index.json leads to more than 10000 documents");
        }
        if !copy(&descriptor)? {
            continue;
        }
        let kind = &descriptor.media_type;
        if media_type::is_index(kind) || media_type::is_manifest(kind) {
            let bytes = lease.store().read_blob(&descriptor, MANIFEST_BYTES_MAX)?;
            match Document::parse(kind, &bytes)? {
                Document::Index(index) => left.extend(index.manifests),
                Document::Manifest(manifest) => {
                    for part in manifest.layers.iter().chain([&manifest.config]) {
                        copy(part)?;
                    }
                }
            }
        }
    }
    Ok(())
}

struct Loading<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
}

impl Loading<'_> {
    fn document(&self, (digest, size): &(Digest, u64), limit: u64) -> Result<Vec<u8>> {
        self.store.read_blob(&Descriptor::new("", digest.clone(), *size), limit)
    }

    fn index(&self, index: &Index) -> Result<Vec<Image>> {
        let mut images: Vec<Image> = Vec::new();
        for entry in &index.manifests {
            let mut image = self.store.image(entry, Vec::new())?;
            for blob in image.manifest.layers.iter().chain([&image.manifest.config]) {
                if self.store.blob_size(&blob.digest)? != Some(blob.size) {
                    bail!("image {}: blob {} is not in it", entry.digest, blob.digest);
                }
            }
            let name = [CONTAINERD_NAME, REF_NAME].iter().find_map(|key| entry.annotations.get(*key)?.parse().ok());
            self.store.hold_image(self.lease, &image)?;
            self.store.enter(self.lease, &image.descriptor, name.as_ref())?;
            match images.iter_mut().find(|known| known.descriptor.digest == image.descriptor.digest) {
                Some(known) => known.names.extend(name),
                None => {
                    image.names.extend(name);
                    images.push(image);
                }
            }
        }
        Ok(images)
    }

    fn docker(&self, files: &Files, manifest: &[u8]) -> Result<Vec<Image>> {
        let entries: Vec<DockerImage> = serde_json::from_slice(manifest).context("parse manifest.json")?;
        entries.iter().map(|entry| self.docker_image(files, entry)).collect()
    }

    fn docker_image(&self, files: &Files, entry: &DockerImage) -> Result<Image> {
        let missing = |name: &str| Error::new(format!("manifest.json names {name:?}, which is not in the archive"));
        let config_file = files.find(&entry.config).ok_or_else(|| missing(&entry.config))?;
        let config = ImageConfig::parse(&self.document(config_file, CONFIG_BYTES_MAX)?)?;
        if config.rootfs.diff_ids.len() != entry.layers.len() {
            bail!("{}: the configuration and manifest.json have different layers", entry.config);
        }
        let mut layers = Vec::new();
        for (name, diff_id) in entry.layers.iter().zip(&config.rootfs.diff_ids) {
            let (digest, size) = files.find(name).ok_or_else(|| missing(name))?;
            layers.push(Descriptor::new(self.layer_type(digest, diff_id, name)?, digest.clone(), *size));
        }
        let (digest, size) = config_file.clone();
        let manifest = Manifest::new(Descriptor::new(media_type::CONFIG, digest, size), layers);
        let bytes = serde_json::to_vec(&manifest).context("write manifest")?;
        let descriptor = self.store.put_blob(self.lease, media_type::MANIFEST, &bytes)?;
        let mut image = self.store.image(&descriptor, Vec::new())?;
        self.store.hold_image(self.lease, &image)?;
        let names: Vec<Reference> = entry.repo_tags.iter().flatten().map(|name| name.parse()).collect::<Result<_>>()?;
        if names.is_empty() {
            self.store.enter(self.lease, &descriptor, None)?;
        }
        for name in &names {
            self.store.enter(self.lease, &descriptor, Some(name))?;
        }
        image.names = names;
        Ok(image)
    }

    fn layer_type(&self, digest: &Digest, diff_id: &Digest, name: &str) -> Result<&'static str> {
        let mut start = [0; 8];
        let count = self.store.open_blob(digest)?.read(&mut start).with(|| format!("read {name:?}"))?;
        match Compression::of(&start[..count]) {
            Compression::Gzip => Ok(media_type::LAYER_GZIP),
            Compression::Zstd => Ok(media_type::LAYER_ZSTD),
            Compression::None if digest == diff_id => Ok(media_type::LAYER),
            Compression::None => bail!("{name:?} has digest {digest}, the configuration says {diff_id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_links_stay_in_the_archive() {
        for (directory, name, want) in [
            ("", "./a//b/", "a/b"),
            ("a", "../b/layer.tar", "b/layer.tar"),
            ("a", "../../../etc/x", "etc/x"),
            ("", "/etc/x", "etc/x"),
        ] {
            assert_eq!(clean(directory, name), want);
        }
        let mut files = Files::default();
        files.links.insert("a".to_owned(), "b".to_owned());
        files.links.insert("b".to_owned(), "a".to_owned());
        assert!(files.find("a").is_none());
        files.links.insert("b".to_owned(), "c".to_owned());
        files.blobs.insert("c".to_owned(), (Digest::of(b""), 0));
        assert!(files.find("./a").is_some());
    }
}
