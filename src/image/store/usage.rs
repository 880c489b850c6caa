//! What takes how much room.

use super::Store;
use crate::error::{Context, Result};
use crate::image::digest::Digest;
use std::collections::BTreeSet;

/// Bytes of blobs and of layers' files, each counted once, for whoever keeps it first: images, then the build cache.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Usage {
    pub images: u64,
    /// What images alone keep that no container uses.
    pub unused_images: u64,
    /// Entries of the build cache.
    pub cached: usize,
    pub cache: u64,
    /// What nothing keeps: parts of downloads, and what the next sweep removes.
    pub unfinished: u64,
}

impl Store {
    /// `used` are the manifests of images that containers are made of.
    pub fn usage(&self, used: &BTreeSet<Digest>) -> Result<Usage> {
        let (mut images, mut active) = (BTreeSet::new(), self.snapshot_layers()?.into_iter().collect::<BTreeSet<_>>());
        for entry in &self.index()?.manifests {
            let mut kept = BTreeSet::new();
            let mut seen = BTreeSet::new();
            self.reach(entry, &mut seen, &mut kept);
            kept.extend(seen);
            if used.contains(&entry.digest) {
                active.extend(kept.iter().cloned());
            }
            images.extend(kept);
        }
        images.extend(self.snapshot_layers()?);
        let cached: BTreeSet<Digest> = self.pinned()?.into_iter().collect();
        let mut usage = Usage { cached: self.pins()?, ..Usage::default() };
        let mut count = |digest: &Digest, bytes: u64| {
            if images.contains(digest) {
                usage.images += bytes;
                usage.unused_images += if active.contains(digest) { 0 } else { bytes };
            } else if cached.contains(digest) {
                usage.cache += bytes;
            } else {
                usage.unfinished += bytes;
            }
        };
        for (digest, path) in self.digests_in("blobs/sha256")? {
            count(&digest, path.metadata().map_or(0, |metadata| metadata.len()));
        }
        for (chain_id, _) in self.digests_in("layers")? {
            count(&chain_id, self.layer_bytes(&chain_id).unwrap_or(0));
        }
        usage.unfinished += self.idle_downloads()?.iter().map(|(_, bytes)| bytes).sum::<u64>();
        Ok(usage)
    }

    fn pins(&self) -> Result<usize> {
        Ok(std::fs::read_dir(self.path.join("pins")).context("read pins")?.count())
    }

    /// Forgets the build cache; the sweep takes what only it kept.
    pub fn remove_pins(&self) -> Result<usize> {
        let mut removed = 0;
        for entry in std::fs::read_dir(self.path.join("pins")).context("read pins")? {
            let path = entry.context("read pins")?.path();
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                gone => {
                    gone.with(|| format!("remove {}", path.display()))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// A sweep that also takes the parts of downloads that nobody is at work on.
    pub fn sweep_all(&self) -> Result<super::Swept> {
        let bytes = self.remove_downloads(true)?;
        let mut swept = self.sweep()?;
        swept.bytes += bytes;
        Ok(swept)
    }
}
