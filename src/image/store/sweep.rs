//! Removes what nothing leads to any more.

use super::Store;
use super::scratch::ScratchDir;
use crate::error::{Context, Result};
use crate::image::config::{CONFIG_BYTES_MAX, Descriptor, Document, ImageConfig, MANIFEST_BYTES_MAX};
use crate::image::digest::Digest;
use crate::sys::file::{Lock, try_flock};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a sweep removed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Swept {
    pub blobs: Vec<Digest>,
    /// By chain id.
    pub layers: Vec<Digest>,
    /// Bytes of blobs and of layers' files.
    pub bytes: u64,
}

impl Store {
    /// Removes every blob and every layer that neither the index, a lease, a snapshot nor a pin leads to, and what dead
    /// processes left.
    pub fn sweep(&self) -> Result<Swept> {
        self.remove_leftovers()?;
        self.remove_dead_snapshots()?;
        self.remove_downloads(false)?;
        let mut trash: Vec<ScratchDir> = Vec::new();
        let mut swept = Swept::default();
        {
            // Who holds something new waits until this is over; nothing here takes long.
            let _lock = self.lock("sweep")?;
            let kept = self.reachable()?;
            for (digest, path) in self.digests_in("blobs/sha256")? {
                if !kept.contains(&digest) {
                    swept.bytes += path.metadata().map_or(0, |metadata| metadata.len());
                    std::fs::remove_file(&path).with(|| format!("remove blob {digest}"))?;
                    swept.blobs.push(digest);
                }
            }
            for (chain_id, path) in self.digests_in("layers")? {
                if !kept.contains(&chain_id) {
                    swept.bytes += self.layer_bytes(&chain_id).unwrap_or(0);
                    trash.push(self.to_trash(&path)?);
                    swept.layers.push(chain_id);
                }
            }
            self.remove_locks()?;
        }
        drop(trash);
        Ok(swept)
    }

    /// Files and directories whose names are digests; others are nobody's business.
    pub(super) fn digests_in(&self, place: &str) -> Result<Vec<(Digest, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path.join(place)).with(|| format!("read {place}"))? {
            let path = entry.with(|| format!("read {place}"))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Ok(digest) = format!("sha256:{name}").parse() {
                found.push((digest, path));
            }
        }
        Ok(found)
    }

    fn reachable(&self) -> Result<BTreeSet<Digest>> {
        let mut kept = self.leased()?;
        kept.extend(self.pinned()?);
        kept.extend(self.snapshot_layers()?);
        let mut seen = BTreeSet::new();
        for entry in &self.index()?.manifests {
            self.reach(entry, &mut seen, &mut kept);
        }
        kept.extend(seen);
        Ok(kept)
    }

    /// What cannot be read leads nowhere, and stays itself.
    pub(super) fn reach(&self, descriptor: &Descriptor, seen: &mut BTreeSet<Digest>, kept: &mut BTreeSet<Digest>) {
        if !seen.insert(descriptor.digest.clone()) {
            return;
        }
        let document = self.read_blob(descriptor, MANIFEST_BYTES_MAX);
        match document.and_then(|bytes| Document::parse(&descriptor.media_type, &bytes)) {
            Ok(Document::Index(index)) => {
                for entry in &index.manifests {
                    self.reach(entry, seen, kept);
                }
            }
            Ok(Document::Manifest(manifest)) => {
                kept.insert(manifest.config.digest.clone());
                kept.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
                let config = self.read_blob(&manifest.config, CONFIG_BYTES_MAX);
                if let Ok(config) = config.and_then(|bytes| ImageConfig::parse(&bytes)) {
                    kept.extend(config.chain_ids());
                }
            }
            Err(_) => {}
        }
    }

    /// Lock files of objects that nobody is at work on. Whoever waits for one sees that it is gone.
    fn remove_locks(&self) -> Result<()> {
        for entry in std::fs::read_dir(self.path.join("locks")).context("read locks")? {
            let path = entry.context("read locks")?.path();
            if is_permanent(&path) {
                continue;
            }
            let Ok(file) = File::open(&path) else {
                continue;
            };
            let named = path.metadata().is_ok_and(|now| file.metadata().is_ok_and(|held| held.ino() == now.ino()));
            if named && try_flock(&file, Lock::Exclusive).context("lock")? {
                std::fs::remove_file(&path).context("remove lock")?;
            }
        }
        Ok(())
    }
}

fn is_permanent(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "sweep" || name == "index")
}
