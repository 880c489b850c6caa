//! Blobs: bytes by their digest.

use super::scratch::ScratchFile;
use super::{Lease, Store};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::Descriptor;
use crate::image::digest::{Digest, Hasher};
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A blob being written.
pub struct Blob<'a> {
    lease: &'a Lease<'a>,
    scratch: ScratchFile,
}

impl Blob<'_> {
    /// Makes the blob visible under its digest, which whoever wrote it has computed.
    pub fn commit(self, digest: &Digest, size: u64) -> Result<()> {
        let store = self.lease.store();
        let commit = || -> Result<()> {
            self.lease.hold(digest)?;
            if store.blob_size(digest)? == Some(size) {
                return Ok(());
            }
            self.scratch.file.set_permissions(Permissions::from_mode(0o644)).context("chmod")?;
            self.scratch.publish(&store.blob_path(digest))
        };
        commit().with(|| format!("keep blob {digest}"))
    }
}

impl Blob<'_> {
    /// What has been written, from the start; for who does not commit it.
    pub fn reader(&self) -> Result<File> {
        File::open(self.scratch.path()).context("open new blob")
    }
}

impl Write for Blob<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.scratch.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts and hashes what is written.
pub struct Hashed<W> {
    pub inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W> Hashed<W> {
    pub fn new(inner: W) -> Self {
        Hashed { inner, hasher: Hasher::new(), size: 0 }
    }

    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.into(), self.size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Store {
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.hex())
    }

    /// `None` where there is no such blob.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.blob_path(digest).metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with(|| format!("stat blob {digest}")),
        }
    }

    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        File::open(self.blob_path(digest)).with(|| format!("open blob {digest}"))
    }

    /// A document of at most `limit` bytes, verified.
    pub fn read_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let Descriptor { digest, size, .. } = descriptor;
        if *size > limit {
            bail!("blob {digest}: {size} bytes are more than the limit of {limit}");
        }
        let mut bytes = Vec::new();
        let file = self.open_blob(digest)?;
        file.take(size.saturating_add(1)).read_to_end(&mut bytes).with(|| format!("read blob {digest}"))?;
        if bytes.len() as u64 != *size || Digest::of(&bytes) != *digest {
            bail!("blob {digest}: what is stored is something else");
        }
        Ok(bytes)
    }

    pub fn new_blob<'a>(&self, lease: &'a Lease<'a>) -> Result<Blob<'a>> {
        Ok(Blob { lease, scratch: lease.store().scratch_file()? })
    }

    /// Keeps a document.
    pub fn put_blob(&self, lease: &Lease, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        let mut blob = self.new_blob(lease)?;
        blob.write_all(bytes).with(|| format!("write blob {digest}"))?;
        blob.commit(&digest, size)?;
        Ok(Descriptor::new(media_type, digest, size))
    }
}
