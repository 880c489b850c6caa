//! Pins: named values that keep blobs and layers alive, the build cache's entries for one.

use super::{Lease, Store};
use crate::error::{Context, Result};
use crate::image::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Pin {
    /// Blobs, and layers by their chain ids.
    pub holds: Vec<Digest>,
    pub value: Value,
}

impl Store {
    fn pin_path(&self, name: &Digest) -> PathBuf {
        self.path.join("pins").join(name.hex())
    }

    /// `name` is the digest of whatever identifies the value.
    pub fn set_pin(&self, lease: &Lease, name: &Digest, pin: &Pin) -> Result<()> {
        for digest in &pin.holds {
            lease.hold(digest)?;
        }
        let bytes = serde_json::to_vec(pin).context("write pin")?;
        self.replace(&self.pin_path(name), &bytes)
    }

    /// The pin, if all that it holds is still there, from now on held by the lease too.
    pub fn pin(&self, lease: &Lease, name: &Digest) -> Result<Option<Pin>> {
        let pin = match std::fs::read(self.pin_path(name)) {
            Ok(bytes) => serde_json::from_slice::<Pin>(&bytes).with(|| format!("parse pin {name}"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with(|| format!("read pin {name}")),
        };
        for digest in &pin.holds {
            lease.hold(digest)?;
            if self.blob_size(digest)?.is_none() && !self.layer_path(digest).exists() {
                return Ok(None);
            }
        }
        Ok(Some(pin))
    }

    pub fn remove_pin(&self, name: &Digest) -> Result<()> {
        match std::fs::remove_file(self.pin_path(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with(|| format!("remove pin {name}"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn pinned(&self) -> Result<Vec<Digest>> {
        let mut held = Vec::new();
        for entry in std::fs::read_dir(self.path.join("pins")).context("read pins")? {
            let path = entry.context("read pins")?.path();
            // One that cannot be read holds nothing; the cache it belongs to does without.
            let pin = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Pin>(&bytes).ok());
            held.extend(pin.into_iter().flat_map(|pin| pin.holds));
        }
        Ok(held)
    }
}
