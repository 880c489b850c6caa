//! The build cache: what a step made, by everything that it was made from. A step's key is made of the layers below it,
//! the operation with its variables replaced, and the content of what it reads; never of times, and never of the name
//! of anything. So two Dockerfiles that ask for the same thing share it, and a hit needs no layer laid out.
//!
//! A [`directory`] or a name in a [`registry`] can be another cache (`--cache-from`, `--cache-to`). The keys say nothing
//! of a machine, so that it can be carried to others.

mod directory;
mod registry;

use super::progress::Progress;
use crate::error::{Context, Result};
use crate::image::config::Descriptor;
use crate::image::digest::Digest;
use crate::image::plan::Operation;
use crate::image::reference::Reference;
use crate::image::registry::Compressor;
use crate::image::store::{Lease, Pin, Store};
use registry::Remote;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Changes where the meaning of an operation does, so that what an older forno made is not taken for its result.
const VERSION: u32 = 2;

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

/// Where else steps are kept than in the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Elsewhere {
    Directory(PathBuf),
    /// With how layers are compressed on their way there.
    Registry(Reference, Compressor),
}

impl std::fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Elsewhere::Directory(path) => write!(f, "{}", path.display()),
            Elsewhere::Registry(name, _) => f.write_str(&name.familiar()),
        }
    }
}

/// What is asked when the store does not know.
enum Source<'a> {
    Directory(&'a PathBuf),
    Registry(Box<Remote<'a>>),
}

pub struct Cache<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    progress: &'a Progress,
    from: Vec<Source<'a>>,
    /// What this build has found or made, for `--cache-to`.
    used: Mutex<Vec<(Digest, Record)>>,
}

impl<'a> Cache<'a> {
    pub fn new(store: &'a Store, lease: &'a Lease<'a>, progress: &'a Progress, from: &'a [Elsewhere]) -> Cache<'a> {
        let source = |from: &'a Elsewhere| match from {
            Elsewhere::Directory(path) => Source::Directory(path),
            Elsewhere::Registry(name, _) => Source::Registry(Box::new(Remote::new(name))),
        };
        Cache { store, lease, progress, from: from.iter().map(source).collect(), used: Mutex::default() }
    }

    /// What is known under the key. An entry that cannot be read is as good as none.
    pub fn find(&self, key: &Digest) -> Option<Record> {
        let pin = self.store.pin(self.lease, key).ok().flatten();
        let own = pin.and_then(|pin| serde_json::from_value(pin.value).ok());
        own.or_else(|| self.from.iter().find_map(|source| self.import(source, key)))
    }

    fn import(&self, source: &Source, key: &Digest) -> Option<Record> {
        let found = match source {
            Source::Directory(path) => directory::import(self.store, self.lease, path, key),
            Source::Registry(remote) => remote.import(self.store, self.lease, self.progress, key),
        };
        found.unwrap_or_else(|error| {
            self.progress.note(&format!("WARNING --cache-from: {error}"));
            None
        })
    }

    pub fn keep(&self, key: &Digest, record: &Record) -> Result<()> {
        let value = serde_json::to_value(record).context("write cache entry")?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), record.clone()));
        let pin = Pin { holds: vec![record.layer.descriptor.digest.clone()], value };
        self.store.set_pin(self.lease, key, &pin)
    }

    /// Writes what this build has used to each of the places.
    pub fn export(&self, to: &[Elsewhere]) -> Result<()> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        for place in to {
            let written = match place {
                Elsewhere::Directory(path) => directory::export(self.store, path, &used),
                Elsewhere::Registry(name, compressor) => {
                    registry::export(self.store, self.lease, name, *compressor, &used)
                }
            };
            written.with(|| format!("--cache-to {place}"))?;
        }
        Ok(())
    }
}
