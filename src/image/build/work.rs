//! The root file system of one step, writable, on top of the layers below.

use super::cache::Layer;
use super::trees::{MountPoint, Trees};
use crate::error::{Context, Result};
use crate::image::config::{Descriptor, media_type};
use crate::image::digest::Digest;
use crate::image::snapshot::Snapshot;
use crate::image::store::{Lease, Store};
use crate::sys::root::Root;
use std::path::Path;

/// An archive without entries: two blocks of zeros.
const EMPTY_LAYER: [u8; 1024] = [0; 1024];

pub struct Work<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    chain: Vec<Digest>,
    snapshot: Option<Snapshot>,
    point: MountPoint,
}

impl<'a> Work<'a> {
    /// `stubs` is a directory below all layers: what is in it is seen where the layers have nothing, and never becomes
    /// part of the step's own layer.
    pub fn begin(
        store: &'a Store,
        lease: &'a Lease<'a>,
        trees: &Trees,
        layers: &[Layer],
        stubs: Option<&Path>,
    ) -> Result<Work<'a>> {
        let chain = trees.lay_out(layers)?;
        let point = trees.mount_point("rootfs")?;
        let snapshot = Some(store.create_snapshot(lease, &chain, None)?);
        let mut work = Work { store, lease, chain, snapshot, point };
        let empty = if work.chain.is_empty() && stubs.is_none() { Some(trees.directory("empty")?) } else { None };
        if let Some(snapshot) = &mut work.snapshot {
            snapshot.mount_over(store, work.point.path(), stubs.or(empty.as_deref()), true)?;
        }
        Ok(work)
    }

    pub fn path(&self) -> &Path {
        self.point.path()
    }

    pub fn root(&self) -> Result<Root> {
        Root::open(self.path()).context("open the step's root")
    }

    /// What was written becomes a layer; be it nothing, because history counts one.
    pub fn finish(mut self, epoch: Option<i64>) -> Result<Layer> {
        let Some(snapshot) = self.snapshot.take() else {
            return self.empty();
        };
        let made = || -> Result<Layer> {
            snapshot.unmount()?;
            match self.store.pack(self.lease, &snapshot.upper(), &self.chain, epoch)? {
                Some(packed) => {
                    self.store.adopt(self.lease, &snapshot.upper(), &packed)?;
                    Ok(Layer { descriptor: packed.descriptor, diff_id: packed.diff_id })
                }
                None => self.empty(),
            }
        };
        let made = made();
        snapshot.remove(self.store)?;
        made
    }

    fn empty(&self) -> Result<Layer> {
        let descriptor: Descriptor = self.store.put_blob(self.lease, media_type::LAYER, &EMPTY_LAYER)?;
        Ok(Layer { diff_id: descriptor.digest.clone(), descriptor })
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            // The step has failed, and says why; what cannot be removed now goes with the next sweep.
            let _ = snapshot.remove(self.store);
        }
    }
}
