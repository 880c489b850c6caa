//! Images of the store as an OCI layout, in an archive or a directory. With docker's manifest.json in it, the same
//! archive is one for `docker load`, as docker's own are.

use super::{CONTAINERD_NAME, DOCKER_MANIFEST};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{Descriptor, Index, REF_NAME};
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::image::store::{Image, Lease, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// An image, and the names that it goes out under.
pub struct Saved {
    pub image: Image,
    pub names: Vec<Reference>,
}

/// The blobs that the images need, each once, by their digests.
fn blobs(images: &[Saved]) -> BTreeMap<&Digest, u64> {
    let mut blobs = BTreeMap::new();
    for Saved { image, .. } in images {
        let all = image.manifest.layers.iter().chain([&image.manifest.config, &image.descriptor]);
        blobs.extend(all.map(|descriptor| (&descriptor.digest, descriptor.size)));
    }
    blobs
}

fn index(images: &[Saved]) -> Index {
    let mut index = Index::default();
    for Saved { image, names } in images {
        let mut entry = Descriptor { annotations: BTreeMap::new(), ..image.descriptor.clone() };
        for name in names {
            entry.annotations.insert(REF_NAME.to_owned(), name.familiar());
            entry.annotations.insert(CONTAINERD_NAME.to_owned(), name.to_string());
            index.manifests.push(entry.clone());
        }
        if names.is_empty() {
            index.manifests.push(entry);
        }
    }
    index
}

fn docker_manifest(images: &[Saved]) -> Value {
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let entry = |Saved { image, names }: &Saved| {
        json!({
            "Config": path(image.id()),
            "RepoTags": names.iter().map(Reference::familiar).collect::<Vec<_>>(),
            "Layers": image.manifest.layers.iter().map(|layer| path(&layer.digest)).collect::<Vec<_>>(),
        })
    };
    images.iter().map(entry).collect()
}

/// Writes an archive; the same images give the same bytes.
pub fn archive(store: &Store, lease: &Lease, images: &[Saved], docker: bool, out: impl Write) -> Result<()> {
    let mut out = Archive { tar: tar::Builder::new(out) };
    for directory in ["blobs/", "blobs/sha256/"] {
        out.entry(directory, tar::EntryType::Directory, 0o755, 0, std::io::empty())?;
    }
    for Saved { image, .. } in images {
        store.hold_image(lease, image)?;
    }
    for (digest, size) in blobs(images) {
        let file = store.open_blob(digest)?;
        out.file(&format!("blobs/sha256/{}", digest.hex()), size, file).with(|| format!("save blob {digest}"))?;
    }
    out.bytes("index.json", &serde_json::to_vec(&index(images)).context("write index.json")?)?;
    if docker {
        out.bytes(DOCKER_MANIFEST, docker_manifest(images).to_string().as_bytes())?;
    }
    out.bytes("oci-layout", LAYOUT.as_bytes())?;
    out.tar.into_inner().and_then(|mut out| out.flush()).context("write archive")
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
}

impl<W: Write> Archive<W> {
    fn entry(&mut self, path: &str, kind: tar::EntryType, mode: u32, size: u64, data: impl Read) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        self.tar.append_data(&mut header, path, data).with(|| format!("write {path}"))
    }

    fn file(&mut self, path: &str, size: u64, file: File) -> Result<()> {
        let length = file.metadata().context("stat")?.len();
        if length != size {
            bail!("it has {length} bytes, its descriptor says {size}");
        }
        self.entry(path, tar::EntryType::Regular, 0o644, size, file)
    }

    fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.entry(path, tar::EntryType::Regular, 0o644, bytes.len() as u64, bytes)
    }
}

/// Adds the images to a layout in a directory, which is made where there is none.
pub fn directory(store: &Store, lease: &Lease, images: &[Saved], target: &Path) -> Result<()> {
    let save = || -> Result<()> {
        let places = target.join("blobs/sha256");
        std::fs::create_dir_all(&places).context("create blobs")?;
        for Saved { image, .. } in images {
            store.hold_image(lease, image)?;
        }
        for (digest, size) in blobs(images) {
            let path = places.join(digest.hex());
            if path.metadata().is_ok_and(|metadata| metadata.len() == size) {
                continue;
            }
            // The final name is for what is whole.
            let new = places.join(format!(".{}.{}", digest.hex(), std::process::id()));
            std::fs::copy(store.blob_path(digest), &new).with(|| format!("copy blob {digest}"))?;
            std::fs::rename(&new, &path).with(|| format!("name blob {digest}"))?;
        }
        let write = |name: &str, bytes: &[u8]| -> Result<()> {
            let new = target.join(format!(".{name}.{}", std::process::id()));
            std::fs::write(&new, bytes).with(|| format!("write {name}"))?;
            std::fs::rename(&new, target.join(name)).with(|| format!("write {name}"))
        };
        let mut known = match std::fs::read(target.join("index.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("parse index.json")?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Index::default(),
            Err(error) => return Err(error).context("read index.json"),
        };
        for entry in index(images).manifests {
            let name = |entry: &Descriptor| entry.annotations.get(REF_NAME).cloned();
            known
                .manifests
                .retain(|old| name(old) != name(&entry) || (name(old).is_none() && old.digest != entry.digest));
            known.manifests.push(entry);
        }
        write("index.json", &serde_json::to_vec(&known).context("write index.json")?)?;
        write("oci-layout", LAYOUT.as_bytes())
    };
    save().with(|| format!("save to {}", target.display()))
}
