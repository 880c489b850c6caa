//! The build cache: what a step made, by everything that it was made from. A step's key is made of the layers below it,
//! the operation with its variables replaced, and the content of what it reads; never of times, and never of the name
//! of anything. So two Dockerfiles that ask for the same thing share it, and a hit needs no layer laid out.

use crate::error::{Context, Result};
use crate::image::config::Descriptor;
use crate::image::digest::Digest;
use crate::image::plan::Operation;
use crate::image::store::{Lease, Pin, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Changes where the meaning of an operation does, so that what an older forno made is not taken for its result.
const VERSION: u32 = 1;

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

/// What is known under the key. An entry that cannot be read is as good as none.
pub fn find(store: &Store, lease: &Lease, key: &Digest) -> Option<Record> {
    let pin = store.pin(lease, key).ok()??;
    serde_json::from_value(pin.value).ok()
}

pub fn keep(store: &Store, lease: &Lease, key: &Digest, record: &Record) -> Result<()> {
    let value = serde_json::to_value(record).context("write cache entry")?;
    store.set_pin(lease, key, &Pin { holds: vec![record.layer.descriptor.digest.clone()], value })
}
