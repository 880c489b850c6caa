//! Layers laid out, by chain id.

use super::scratch::ScratchDir;
use super::{Image, Lease, Store};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{Descriptor, media_type};
use crate::image::digest::{Digest, chain_ids};
use crate::image::layer::apply::{Applied, apply};
use crate::image::layer::pipe::{Compression, Streamed, stream};
use crate::image::layer::{Limits, confined, diff};
use crate::image::rootless;
use crate::sys::file::syncfs;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const RECORD: &str = "layer.json";
/// Later than this the kernel has written out what was written (vm.dirty_expire_centisecs, and some).
const WRITTEN_OUT_SECONDS: u64 = 90;

/// A layer that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingested {
    pub descriptor: Descriptor,
    pub diff_id: Digest,
    pub chain_id: Digest,
    pub applied: Applied,
}

/// layer.json. Waiting until tens of thousands of files are on the disk would take longer than laying them out; so a
/// layer counts until the machine goes down, and for good once its files had the time to get there.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    entries: u64,
    bytes: u64,
    /// Everything was given to root, because there was nobody else.
    #[serde(default)]
    alone: bool,
    /// /proc/sys/kernel/random/boot_id; `None`: safe on the disk.
    boot: Option<String>,
}

impl Store {
    pub(super) fn layer_path(&self, chain_id: &Digest) -> PathBuf {
        self.path.join("layers").join(chain_id.hex())
    }

    /// The lower directory of a layer.
    pub fn layer_root(&self, chain_id: &Digest) -> PathBuf {
        self.layer_path(chain_id).join("fs")
    }

    /// Bytes of the files of a layer that is laid out.
    pub fn layer_bytes(&self, chain_id: &Digest) -> Option<u64> {
        read_record(&self.layer_path(chain_id)).map(|record| record.bytes)
    }

    /// Lays out the layers of an image where that is not done yet; their chain ids, lowest first, held by the lease.
    pub fn unpack(&self, lease: &Lease, image: &Image, limits: Limits) -> Result<Vec<Digest>> {
        self.hold_image(lease, image)?;
        self.unpack_layers(lease, &image.manifest.layers, &image.config.rootfs.diff_ids, limits)
    }

    /// The same for layers that are no image yet.
    pub fn unpack_layers(
        &self,
        lease: &Lease,
        layers: &[Descriptor],
        diff_ids: &[Digest],
        limits: Limits,
    ) -> Result<Vec<Digest>> {
        let chain = chain_ids(diff_ids);
        for (at, (layer, diff_id)) in layers.iter().zip(diff_ids).enumerate() {
            if let Some(chain_id) = chain.get(at) {
                lease.hold(&layer.digest)?;
                lease.hold(chain_id)?;
            }
            let open = || self.open_blob(&layer.digest);
            self.unpack_layer(lease, (layer, diff_id), chain.get(..=at).unwrap_or_default(), open, limits)?;
        }
        Ok(chain)
    }

    /// Lays out a layer, whose blob is here or coming, on those below it; `chain` has their chain ids and its own, which
    /// the lease holds. What could not be kept, where there was something to do.
    pub fn unpack_layer<R: Read + Send>(
        &self,
        lease: &Lease,
        (layer, diff_id): (&Descriptor, &Digest),
        chain: &[Digest],
        open: impl FnOnce() -> Result<R>,
        limits: Limits,
    ) -> Result<Option<Applied>> {
        let unpack = || -> Result<Option<Applied>> {
            let Some((chain_id, below)) = chain.split_last() else {
                bail!("no chain id");
            };
            if self.has_layer(chain_id)? {
                return Ok(None);
            }
            let _lock = self.lock(&format!("layer-{}", chain_id.hex()))?;
            if self.has_layer(chain_id)? {
                return Ok(None);
            }
            let new = NewLayer::begin(self, below)?;
            let (applied, streamed) = new.fill(open()?, std::io::sink(), limits)?;
            check(&streamed, layer, diff_id)?;
            new.publish(self, lease, chain_id, &applied)?;
            Ok(Some(applied))
        };
        unpack().with(|| format!("layer {}", layer.digest))
    }

    /// Takes in a layer from outside, in one pass: the blob is kept, and laid out over the layers `below`, which are
    /// laid out already. Where `expected` says what it must be, nothing else becomes visible.
    pub fn ingest(
        &self,
        lease: &Lease,
        source: impl Read + Send,
        below: &[Digest],
        expected: Option<(&Descriptor, &Digest)>,
        limits: Limits,
    ) -> Result<Ingested> {
        let mut blob = self.new_blob(lease)?;
        let new = NewLayer::begin(self, below)?;
        let (applied, streamed) = new.fill(source, &mut blob, limits)?;
        if let Some((descriptor, diff_id)) = expected {
            check(&streamed, descriptor, diff_id)?;
        }
        let kind = match streamed.compression {
            Compression::None => media_type::LAYER,
            Compression::Gzip => media_type::LAYER_GZIP,
            Compression::Zstd => media_type::LAYER_ZSTD,
        };
        let descriptor = match expected {
            Some((descriptor, _)) => descriptor.clone(),
            None => Descriptor::new(kind, streamed.digest.clone(), streamed.size),
        };
        blob.commit(&streamed.digest, streamed.size)?;
        let chain_id = stacked(below, &streamed.diff_id);
        new.publish(self, lease, &chain_id, &applied)?;
        Ok(Ingested { descriptor, diff_id: streamed.diff_id, chain_id, applied })
    }

    /// Makes a layer of a directory: an overlay's upper one, or an ordinary tree. `None` where it is empty and there
    /// are layers `below`.
    pub fn pack(
        &self,
        lease: &Lease,
        directory: &Path,
        below: &[Digest],
        epoch: Option<i64>,
    ) -> Result<Option<Ingested>> {
        let root = File::open(directory).with(|| format!("open {}", directory.display()))?;
        let blob = std::io::BufWriter::with_capacity(1 << 18, self.new_blob(lease)?);
        let mut out = Hashed::new(blob);
        let options = diff::Options { marks: self.marks, epoch };
        let done = diff::diff(root.as_fd(), &mut out, options).with(|| format!("pack {}", directory.display()))?;
        if done.entries == 0 && !below.is_empty() {
            return Ok(None);
        }
        out.flush().context("write layer")?;
        let (blob, digest, size) = out.finish();
        let blob = blob.into_inner().map_err(|error| error.into_error()).context("write layer")?;
        blob.commit(&digest, size)?;
        let chain_id = stacked(below, &digest);
        lease.hold(&chain_id)?;
        let descriptor = Descriptor::new(media_type::LAYER, digest.clone(), size);
        let applied = Applied { entries: done.entries, bytes: done.bytes, warnings: Vec::new() };
        Ok(Some(Ingested { descriptor, diff_id: digest, chain_id, applied }))
    }

    /// Makes an overlay's upper directory, just packed and no longer mounted, the layer itself: it is moved.
    pub fn adopt(&self, lease: &Lease, upper: &Path, layer: &Ingested) -> Result<()> {
        lease.hold(&layer.chain_id)?;
        let _lock = self.lock(&format!("layer-{}", layer.chain_id.hex()))?;
        if self.has_layer(&layer.chain_id)? {
            return Ok(());
        }
        let directory = self.scratch_dir()?;
        std::fs::rename(upper, directory.path().join("fs")).with(|| format!("move {}", upper.display()))?;
        publish(self, directory, &layer.chain_id, &layer.applied)
    }

    /// Whether a layer is laid out and can be relied on.
    fn has_layer(&self, chain_id: &Digest) -> Result<bool> {
        let path = self.layer_path(chain_id);
        if !path.exists() {
            return Ok(false);
        }
        let Some(record) = read_record(&path) else {
            return self.discard(&path);
        };
        if record.alone && !rootless::is_alone() {
            // Now there is somebody.
            return self.discard(&path);
        }
        match &record.boot {
            None => Ok(true),
            Some(boot) if *boot == boot_id()? => {
                if age(&path).is_some_and(|seconds| seconds > WRITTEN_OUT_SECONDS) {
                    syncfs(File::open(&path)?).with(|| format!("write layer {chain_id} to disk"))?;
                    let bytes = serde_json::to_vec(&Record { boot: None, ..record }).context("write layer.json")?;
                    self.replace(&path.join(RECORD), &bytes)?;
                }
                Ok(true)
            }
            // The machine went down before all files were on the disk, or who knows.
            Some(_) => self.discard(&path),
        }
    }

    fn discard(&self, path: &Path) -> Result<bool> {
        if path.exists() {
            drop(self.to_trash(path)?);
        }
        Ok(false)
    }
}

use super::Hashed;

/// A layer being laid out, with those below it.
struct NewLayer {
    directory: ScratchDir,
    below: Vec<OwnedFd>,
    marks: crate::image::layer::whiteout::Marks,
}

impl NewLayer {
    fn begin(store: &Store, below: &[Digest]) -> Result<NewLayer> {
        let directory = store.scratch_dir()?;
        let fs = directory.path().join("fs");
        std::fs::create_dir(&fs).with(|| format!("create {}", fs.display()))?;
        let open = |chain_id: &Digest| -> Result<OwnedFd> {
            let file = File::open(store.layer_root(chain_id)).with(|| format!("open layer {chain_id}"))?;
            Ok(file.into())
        };
        let below = below.iter().rev().map(open).collect::<Result<_>>()?;
        Ok(NewLayer { directory, below, marks: store.marks })
    }

    fn fill(&self, source: impl Read + Send, keep: impl Write + Send, limits: Limits) -> Result<(Applied, Streamed)> {
        let root: OwnedFd = File::open(self.directory.path().join("fs")).context("open new layer")?.into();
        let confined = root.try_clone().context("share new layer")?;
        stream(source, keep, limits, |plain| {
            confined::run(confined.as_fd(), &self.below, || apply(plain, root, &self.below, self.marks, limits))
        })
    }

    fn publish(self, store: &Store, lease: &Lease, chain_id: &Digest, applied: &Applied) -> Result<()> {
        lease.hold(chain_id)?;
        publish(store, self.directory, chain_id, applied)
    }
}

fn publish(store: &Store, directory: ScratchDir, chain_id: &Digest, applied: &Applied) -> Result<()> {
    let (alone, boot) = (rootless::is_alone(), Some(boot_id()?));
    let record = Record { entries: applied.entries, bytes: applied.bytes, alone, boot };
    let bytes = serde_json::to_vec(&record).with(|| format!("write {RECORD}"))?;
    std::fs::write(directory.path().join(RECORD), bytes).with(|| format!("write {RECORD}"))?;
    // Where somebody else has made it meanwhile, theirs is as good.
    directory.publish(&store.layer_path(chain_id)).map(drop)
}

fn stacked(below: &[Digest], diff_id: &Digest) -> Digest {
    match below.last() {
        None => diff_id.clone(),
        // A chain id is made of the one below in the same way as of a first layer.
        Some(chain_id) => chain_ids(&[chain_id.clone(), diff_id.clone()]).pop().unwrap_or_else(|| diff_id.clone()),
    }
}

fn check(streamed: &Streamed, descriptor: &Descriptor, diff_id: &Digest) -> Result<()> {
    if streamed.size != descriptor.size {
        bail!("{} bytes came, the descriptor says {}", streamed.size, descriptor.size);
    }
    if streamed.digest != descriptor.digest {
        bail!("digest is {}, the descriptor says {}", streamed.digest, descriptor.digest);
    }
    if streamed.diff_id != *diff_id {
        bail!("diff id is {}, the configuration says {diff_id}", streamed.diff_id);
    }
    Ok(())
}

fn read_record(path: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(path.join(RECORD)).ok()?).ok()
}

fn boot_id() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("read boot_id")?;
    Ok(id.trim().to_owned())
}

fn age(path: &Path) -> Option<u64> {
    let modified = path.join(RECORD).metadata().ok()?.modified().ok()?;
    modified.elapsed().ok().map(|age| age.as_secs())
}
