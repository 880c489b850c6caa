//! Locks, one per object, and leases: what a running operation needs, so that nobody sweeps it away.

use super::Store;
use crate::error::{Context, Result};
use crate::image::digest::Digest;
use crate::sys::OFlag;
use crate::sys::file::{self, flock, try_flock};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    /// Waits until nobody else has the lock `name`: a word and a digest's digits, say.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        self.lock_as(name, file::Lock::Exclusive)
    }

    pub(super) fn lock_as(&self, name: &str, kind: file::Lock) -> Result<Lock> {
        let path = self.path.join("locks").join(name);
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = file.with(|| format!("open lock {name}"))?;
            flock(&file, kind).with(|| format!("lock {name}"))?;
            // A sweep may have removed the file while we waited; then this one locks nothing.
            let same = path.metadata().is_ok_and(|named| file.metadata().is_ok_and(|held| held.ino() == named.ino()));
            if same {
                return Ok(Lock { _file: file });
            }
        }
    }
}

/// What an operation is going to use or to make. Everything in it stays until it is dropped, or its process is gone.
#[derive(Debug)]
pub struct Lease<'a> {
    store: &'a Store,
    path: PathBuf,
    file: File,
    held: Mutex<BTreeSet<Digest>>,
}

impl Store {
    /// Begins an operation. Leftovers of dead ones are removed on this occasion.
    pub fn lease(&self) -> Result<Lease<'_>> {
        self.remove_leftovers()?;
        let scratch = self.scratch_file()?;
        let file = scratch.file.try_clone().context("lease")?;
        let name = format!("{}-{}", std::process::id(), file.metadata().context("lease")?.ino());
        let path = self.path.join("leases").join(name);
        scratch.publish(&path).context("lease")?;
        Ok(Lease { store: self, path, file, held: Mutex::default() })
    }

    /// What the leases of all living processes hold; those of dead ones are removed.
    pub(super) fn leased(&self) -> Result<BTreeSet<Digest>> {
        let mut held = BTreeSet::new();
        for entry in std::fs::read_dir(self.path.join("leases")).context("read leases")? {
            let path = entry.context("read leases")?.path();
            let flags = OFlag::O_NOFOLLOW.bits();
            let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(&path) else {
                continue;
            };
            if try_flock(&file, file::Lock::Exclusive).context("lock lease")? {
                std::fs::remove_file(&path).context("remove lease")?;
                continue;
            }
            let text = std::fs::read_to_string(&path).context("read lease")?;
            held.extend(text.lines().filter_map(|line| line.parse().ok()));
        }
        Ok(held)
    }
}

impl Lease<'_> {
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Holds a blob or, by its chain id, a layer, there or not. What is there after this call stays.
    pub fn hold(&self, digest: &Digest) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if held.contains(digest) {
            return Ok(());
        }
        // A sweep that is going on does not know of this line yet.
        let _no_sweep = self.store.lock_as("sweep", file::Lock::Shared)?;
        (&self.file).write_all(format!("{digest}\n").as_bytes()).context("write lease")?;
        held.insert(digest.clone());
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // The next sweep removes what stays.
        let _ = std::fs::remove_file(&self.path);
    }
}
