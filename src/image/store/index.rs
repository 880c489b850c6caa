//! index.json: which images there are, and their names.

use super::{Lease, Store};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{Descriptor, Index, MANIFEST_BYTES_MAX, REF_NAME};
use crate::image::digest::Digest;
use crate::image::reference::Reference;

const INDEX_FILE: &str = "index.json";

/// The name that an entry carries, where it is one that we understand.
pub(super) fn name_of(entry: &Descriptor) -> Option<Reference> {
    entry.annotations.get(REF_NAME)?.parse().ok()
}

impl Store {
    pub fn index(&self) -> Result<Index> {
        let path = self.path.join(INDEX_FILE);
        match path.metadata() {
            Ok(metadata) if metadata.len() > MANIFEST_BYTES_MAX => bail!("{INDEX_FILE} is larger than 4 MiB"),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Index::default()),
            Err(error) => return Err(error).with(|| format!("stat {INDEX_FILE}")),
        }
        let bytes = std::fs::read(&path).with(|| format!("read {INDEX_FILE}"))?;
        serde_json::from_slice(&bytes).with(|| format!("parse {}", path.display()))
    }

    /// Changes the index while nobody else does; an error leaves it as it was.
    fn change_index<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let _lock = self.lock("index")?;
        let mut index = self.index()?;
        let value = change(&mut index)?;
        let bytes = serde_json::to_vec(&index).with(|| format!("write {INDEX_FILE}"))?;
        self.replace(&self.path.join(INDEX_FILE), &bytes)?;
        Ok(value)
    }

    /// Enters an image, whose blobs the lease holds, under a name or without one. An image that had the name before
    /// stays, without it.
    pub fn enter(&self, lease: &Lease, descriptor: &Descriptor, name: Option<&Reference>) -> Result<()> {
        lease.hold(&descriptor.digest)?;
        self.change_index(|index| {
            if let Some(name) = name {
                untag(index, name);
            }
            let is_it = |entry: &Descriptor| entry.digest == descriptor.digest;
            match name {
                None if index.manifests.iter().any(is_it) => return Ok(()),
                None => {}
                // A name takes the place of the entry that had none.
                Some(_) => index.manifests.retain(|entry| !is_it(entry) || entry.annotations.contains_key(REF_NAME)),
            }
            let mut entry = descriptor.clone();
            entry.annotations.remove(REF_NAME);
            if let Some(name) = name {
                entry.annotations.insert(REF_NAME.to_owned(), name.familiar());
            }
            index.manifests.push(entry);
            Ok(())
        })
    }

    /// Takes a name away; the image goes with its last one, unless `keep`. Whether the image is still there, under
    /// another name.
    pub fn remove_name(&self, name: &Reference) -> Result<bool> {
        self.change_index(|index| {
            let is_it = |entry: &Descriptor| name_of(entry).as_ref() == Some(name);
            let Some(at) = index.manifests.iter().position(is_it) else {
                bail!("No such image: {}", name.familiar());
            };
            let gone = index.manifests.remove(at);
            Ok(index.manifests.iter().any(|entry| entry.digest == gone.digest))
        })
    }

    /// Removes an image with all its names.
    pub fn remove_manifest(&self, digest: &Digest) -> Result<()> {
        self.change_index(|index| {
            index.manifests.retain(|entry| entry.digest != *digest);
            Ok(())
        })
    }
}

/// Takes the name from the entry that has it; where that was its last, it stays as one without a name.
fn untag(index: &mut Index, name: &Reference) {
    let Some(at) = index.manifests.iter().position(|entry| name_of(entry).as_ref() == Some(name)) else {
        return;
    };
    let mut old = index.manifests.remove(at);
    if !index.manifests.iter().any(|entry| entry.digest == old.digest) {
        old.annotations.remove(REF_NAME);
        index.manifests.push(old);
    }
}
