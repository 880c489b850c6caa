//! Blobs on their way from a registry. What has come of one stays when its process dies, and the next pull goes on from
//! there. The file is its own lock: who fetches a blob that somebody else fetches waits for them.

use super::{Lease, Store};
use crate::error::{Context, Result};
use crate::image::config::Descriptor;
use crate::image::digest::{Digest, Hasher};
use crate::sys::file::{Lock, flock, fsync, try_flock};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

const DIRECTORY: &str = "downloads";
/// Older parts are nobody's any more.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A part of a blob, which may become all of it.
pub struct Download {
    file: File,
    path: PathBuf,
    have: u64,
}

impl Download {
    /// Bytes that have come.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// For readers beside the one who writes.
    pub fn reader(&self) -> Result<File> {
        self.file.try_clone().context("share download")
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        (&self.file).write_all(bytes).context("write blob")?;
        self.have += bytes.len() as u64;
        Ok(())
    }

    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).context("empty download")?;
        self.have = 0;
        Ok(())
    }

    /// What has come so far, hashed.
    pub fn hash(&self) -> Result<Hasher> {
        let (mut hasher, mut at) = (Hasher::new(), 0);
        let mut buffer = vec![0; 256 << 10];
        while at < self.have {
            let count = self.file.read_at(&mut buffer, at).context("read download")?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            at += count as u64;
        }
        Ok(hasher)
    }

    /// Forgets what has come: it was not the blob.
    pub fn discard(self) -> Result<()> {
        std::fs::remove_file(&self.path).with(|| format!("remove {}", self.path.display()))
    }

    /// Makes the blob visible; its digest and size have been checked.
    pub fn publish(self, store: &Store, digest: &Digest) -> Result<()> {
        let publish = || -> Result<()> {
            self.file.set_permissions(Permissions::from_mode(0o644)).context("chmod")?;
            fsync(&self.file).context("write to disk")?;
            std::fs::rename(&self.path, store.blob_path(digest)).context("rename")?;
            fsync(File::open(store.path.join("blobs/sha256")).context("open blobs")?).context("write to disk")
        };
        publish().with(|| format!("keep blob {digest}"))
    }
}

impl Store {
    /// Begins to fetch a blob, or goes on with it; `None`: it is here.
    pub fn download(&self, lease: &Lease, descriptor: &Descriptor) -> Result<Option<Download>> {
        let Descriptor { digest, size, .. } = descriptor;
        lease.hold(digest)?;
        let path = self.path.join(DIRECTORY).join(digest.hex());
        let begin = || -> Result<Option<Download>> {
            loop {
                if self.blob_size(digest)? == Some(*size) {
                    return Ok(None);
                }
                let mut options = OpenOptions::new();
                let file = options.read(true).append(true).create(true).mode(0o600).open(&path).context("open")?;
                flock(&file, Lock::Exclusive).context("lock")?;
                // Who had it may have made it the blob.
                let same = path.metadata().is_ok_and(|named| file.metadata().is_ok_and(|own| own.ino() == named.ino()));
                if same {
                    let have = file.metadata().context("stat")?.len();
                    let mut download = Download { file, path: path.clone(), have };
                    if have > *size {
                        download.restart()?;
                    }
                    return Ok(Some(download));
                }
            }
        };
        begin().with(|| format!("fetch blob {digest}"))
    }

    /// Parts that nobody is at work on, with their bytes.
    pub(super) fn idle_downloads(&self) -> Result<Vec<(PathBuf, u64)>> {
        let mut idle = Vec::new();
        for entry in std::fs::read_dir(self.path.join(DIRECTORY)).context("read downloads")? {
            let path = entry.context("read downloads")?.path();
            let Ok(file) = File::open(&path) else { continue };
            if try_flock(&file, Lock::Exclusive).context("lock download")? {
                idle.push((path, file.metadata().context("stat download")?.len()));
            }
        }
        Ok(idle)
    }

    /// Removes parts that nobody is at work on: the old ones, or all; their bytes.
    pub(super) fn remove_downloads(&self, all: bool) -> Result<u64> {
        let mut bytes = 0;
        for (path, size) in self.idle_downloads()? {
            let Ok(file) = File::open(&path) else { continue };
            let metadata = file.metadata().context("stat download")?;
            let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
            if (all || age > KEPT) && try_flock(&file, Lock::Exclusive).context("lock download")? {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => {
                        removed.context("remove download")?;
                        bytes += size;
                    }
                }
            }
        }
        Ok(bytes)
    }
}

/// Reads a download while it comes.
pub struct Growing<F> {
    file: File,
    at: u64,
    /// Waits until there are more than this many bytes; how many there are, or `None` where no more will come.
    wait: F,
}

impl<F: FnMut(u64) -> std::io::Result<Option<u64>>> Growing<F> {
    pub fn new(file: File, wait: F) -> Growing<F> {
        Growing { file, at: 0, wait }
    }
}

impl<F: FnMut(u64) -> std::io::Result<Option<u64>>> Read for Growing<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(have) = (self.wait)(self.at)? else { return Ok(0) };
        let length = usize::try_from(have.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
