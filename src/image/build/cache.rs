//! The build cache: what a step made, by everything that it was made from. A step's key is made of the layers below it,
//! the operation with its variables replaced, and the content of what it reads; never of times, and never of the name
//! of anything. So two Dockerfiles that ask for the same thing share it, and a hit needs no layer laid out.
//!
//! A directory can be a second cache (`--cache-from`, `--cache-to`): `keys/KEY` with a record each, and
//! `blobs/sha256/HEX` with their layers. The keys say nothing of a machine, so that it can be carried to others.

use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::Descriptor;
use crate::image::digest::Digest;
use crate::image::plan::Operation;
use crate::image::store::{Hashed, Lease, Pin, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Changes where the meaning of an operation does, so that what an older forno made is not taken for its result.
const VERSION: u32 = 2;
/// A record is a few hundred bytes.
const RECORD_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Layer {
    pub descriptor: Descriptor,
    pub diff_id: Digest,
}

/// What a step made.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Record {
    pub layer: Layer,
    /// Seconds since 1970.
    pub created: i64,
}

/// `parent` is the chain id that the step stands on; `contents`, what it reads besides; `epoch`, which time its files
/// are given at the latest.
pub fn key(parent: Option<&Digest>, operation: &Operation, contents: &[Digest], epoch: Option<i64>) -> Result<Digest> {
    let all = json!({
        "version": VERSION,
        "parent": parent,
        "operation": operation,
        "contents": contents,
        "epoch": epoch,
    });
    Ok(Digest::of(&serde_json::to_vec(&all).context("write cache key")?))
}

pub struct Cache<'a> {
    pub store: &'a Store,
    pub lease: &'a Lease<'a>,
    /// `--cache-from`
    pub from: &'a [PathBuf],
    /// What this build has found or made, for `--cache-to`.
    used: Mutex<Vec<(Digest, Record)>>,
}

impl<'a> Cache<'a> {
    pub fn new(store: &'a Store, lease: &'a Lease<'a>, from: &'a [PathBuf]) -> Cache<'a> {
        Cache { store, lease, from, used: Mutex::default() }
    }

    /// What is known under the key. An entry that cannot be read is as good as none.
    pub fn find(&self, key: &Digest) -> Option<Record> {
        let pin = self.store.pin(self.lease, key).ok().flatten();
        let own = pin.and_then(|pin| serde_json::from_value(pin.value).ok());
        own.or_else(|| self.from.iter().find_map(|directory| self.import(directory, key).ok().flatten()))
    }

    pub fn keep(&self, key: &Digest, record: &Record) -> Result<()> {
        let value = serde_json::to_value(record).context("write cache entry")?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), record.clone()));
        let pin = Pin { holds: vec![record.layer.descriptor.digest.clone()], value };
        self.store.set_pin(self.lease, key, &pin)
    }

    /// Brings the layer of an entry into the store.
    fn import(&self, directory: &Path, key: &Digest) -> Result<Option<Record>> {
        let path = directory.join("keys").join(key.hex());
        let Ok(file) = File::open(&path) else {
            return Ok(None);
        };
        if file.metadata().context("stat")?.len() > RECORD_BYTES_MAX {
            bail!("{}: too large for an entry of a cache", path.display());
        }
        let record: Record = serde_json::from_reader(file).with(|| format!("read {}", path.display()))?;
        let Descriptor { digest, size, .. } = &record.layer.descriptor;
        self.lease.hold(digest)?;
        if self.store.blob_size(digest)? != Some(*size) {
            let path = blob_path(directory, digest);
            let mut source = File::open(&path).with(|| format!("open {}", path.display()))?;
            let mut out = Hashed::new(self.store.new_blob(self.lease)?);
            std::io::copy(&mut source, &mut out).with(|| format!("read {}", path.display()))?;
            let (blob, found, length) = out.finish();
            if found != *digest || length != *size {
                bail!("{}: is something else", path.display());
            }
            blob.commit(digest, *size)?;
        }
        Ok(Some(record))
    }

    /// Writes what this build has used to a directory; what is there already stays.
    pub fn export(&self, directory: &Path) -> Result<()> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        for below in ["keys", "blobs/sha256"] {
            std::fs::create_dir_all(directory.join(below)).context("create")?;
        }
        for (key, record) in &used {
            let digest = &record.layer.descriptor.digest;
            let path = blob_path(directory, digest);
            if !path.exists() {
                let mut blob = self.store.open_blob(digest)?;
                replace(&path, |file| std::io::copy(&mut blob, file).map(drop))?;
            }
            let bytes = serde_json::to_vec(record).context("write cache entry")?;
            replace(&directory.join("keys").join(key.hex()), |file| file.write_all(&bytes))?;
        }
        Ok(())
    }
}

fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("blobs/sha256").join(digest.hex())
}

/// So that others see all of it or nothing.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let made = || -> Result<()> {
        let mut file = File::create(&new).context("create")?;
        write(&mut file).context("write")?;
        std::fs::rename(&new, path).context("rename")
    };
    made().with(|| format!("write {}", path.display()))
}
