//! A cache that is a directory: `keys/KEY` with a record each, and `blobs/sha256/HEX` with their layers.

use super::Record;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::Descriptor;
use crate::image::digest::Digest;
use crate::image::store::{Hashed, Lease, Store};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A record is a few hundred bytes.
const RECORD_BYTES_MAX: u64 = 64 << 10;

/// Brings the layer of an entry into the store.
pub(super) fn import(store: &Store, lease: &Lease, directory: &Path, key: &Digest) -> Result<Option<Record>> {
    let path = directory.join("keys").join(key.hex());
    let Ok(file) = File::open(&path) else {
        return Ok(None);
    };
    if file.metadata().context("stat")?.len() > RECORD_BYTES_MAX {
        bail!("{}: too large for an entry of a cache", path.display());
    }
    let record: Record = serde_json::from_reader(file).with(|| format!("read {}", path.display()))?;
    let Descriptor { digest, size, .. } = &record.layer.descriptor;
    lease.hold(digest)?;
    if store.blob_size(digest)? != Some(*size) {
        let path = blob_path(directory, digest);
        let mut source = File::open(&path).with(|| format!("open {}", path.display()))?;
        let mut out = Hashed::new(store.new_blob(lease)?);
        std::io::copy(&mut source, &mut out).with(|| format!("read {}", path.display()))?;
        let (blob, found, length) = out.finish();
        if found != *digest || length != *size {
            bail!("{}: is something else", path.display());
        }
        blob.commit(digest, *size)?;
    }
    Ok(Some(record))
}

/// What is there already stays.
pub(super) fn export(store: &Store, directory: &Path, used: &[(Digest, Record)]) -> Result<()> {
    for below in ["keys", "blobs/sha256"] {
        std::fs::create_dir_all(directory.join(below)).context("create")?;
    }
    for (key, record) in used {
        let digest = &record.layer.descriptor.digest;
        let path = blob_path(directory, digest);
        if !path.exists() {
            let mut blob = store.open_blob(digest)?;
            replace(&path, |file| std::io::copy(&mut blob, file).map(drop))?;
        }
        let bytes = serde_json::to_vec(record).context("write cache entry")?;
        replace(&directory.join("keys").join(key.hex()), |file| file.write_all(&bytes))?;
    }
    Ok(())
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
