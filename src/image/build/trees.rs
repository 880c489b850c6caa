//! The trees that a build reads from, mounted when somebody asks for them, and gone with the build.

use super::cache::Layer;
use super::tree::Tree;
use crate::error::{Context, Result};
use crate::image::digest::Digest;
use crate::image::dockerignore::Ignore;
use crate::image::layer::Limits;
use crate::image::snapshot::mount_overlay;
use crate::image::store::{Lease, ScratchDir, Store};
use crate::sys::root::Root;
use crate::sys::{mount, overlay};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A directory that something is mounted on for a while.
#[derive(Debug)]
pub struct MountPoint {
    path: PathBuf,
}

impl MountPoint {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        // In a mount namespace of our own; what stays is gone when we are.
        let _ = overlay::unmount(&self.path);
    }
}

/// Room for what a build needs besides the store's own things.
pub struct Trees<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    number: AtomicU32,
    /// By the topmost layer's chain id.
    mounted: Mutex<BTreeMap<String, Arc<Mounted>>>,
    scratch: ScratchDir,
}

#[derive(Debug)]
pub struct Mounted {
    pub tree: Tree,
    _mount: Option<MountPoint>,
}

impl<'a> Trees<'a> {
    pub fn new(store: &'a Store, lease: &'a Lease<'a>) -> Result<Trees<'a>> {
        let (number, mounted) = (AtomicU32::new(0), Mutex::default());
        Ok(Trees { store, lease, number, mounted, scratch: store.scratch_dir()? })
    }

    /// What keeps others from taking the room away, also when we are gone.
    pub fn lock(&self) -> Result<std::fs::File> {
        self.scratch.lock()
    }

    /// A new directory.
    pub fn directory(&self, what: &str) -> Result<PathBuf> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let path = self.scratch.path().join(format!("{what}-{number}"));
        std::fs::create_dir(&path).with(|| format!("create {}", path.display()))?;
        Ok(path)
    }

    pub fn mount_point(&self, what: &str) -> Result<MountPoint> {
        Ok(MountPoint { path: self.directory(what)? })
    }

    /// Makes what a descriptor refers to visible under a path of ours, for programs that know only paths.
    pub fn bind(&self, fd: BorrowedFd, is_dir: bool) -> Result<MountPoint> {
        let mut path = self.directory("bind")?;
        if !is_dir {
            path = path.join("file");
            std::fs::write(&path, b"").with(|| format!("create {}", path.display()))?;
        }
        let point = MountPoint { path };
        let bind = || -> Result<()> {
            let target = std::fs::File::open(&point.path)?;
            Ok(mount::move_mount(mount::open_tree(Some(fd), c"", false)?, &target)?)
        };
        bind().with(|| format!("bind on {}", point.path.display()))?;
        Ok(point)
    }

    /// Lays the layers out: their chain ids.
    pub fn lay_out(&self, layers: &[Layer]) -> Result<Vec<Digest>> {
        let descriptors: Vec<_> = layers.iter().map(|layer| layer.descriptor.clone()).collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        self.store.unpack_layers(self.lease, &descriptors, &diff_ids, Limits::default())
    }

    /// The files of a stack of layers, to be read.
    pub fn of_layers(&self, layers: &[Layer], name: &str) -> Result<Arc<Mounted>> {
        let chain = self.lay_out(layers)?;
        let key = chain.last().map(Digest::to_string).unwrap_or_default();
        let mut mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = mounted.get(&key) {
            return Ok(found.clone());
        }
        let lower: Vec<PathBuf> = chain.iter().rev().map(|chain_id| self.store.layer_root(chain_id)).collect();
        let (root, mount) = match lower.as_slice() {
            [] => (Root::open(&self.directory("empty")?), None),
            // An overlay has to have two.
            [one] => (Root::open(one), None),
            lower => {
                let point = self.mount_point("tree")?;
                mount_overlay(lower, None, self.store.marks(), point.path())?;
                (Root::open(point.path()), Some(point))
            }
        };
        let root = root.context("open tree")?;
        let tree = Tree { root, ignore: Ignore::default(), anonymous: false, name: name.to_owned() };
        let found = Arc::new(Mounted { tree, _mount: mount });
        mounted.insert(key, found.clone());
        Ok(found)
    }
}

impl Drop for Trees<'_> {
    fn drop(&mut self) {
        // Before the directory that they are mounted in.
        self.mounted.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
