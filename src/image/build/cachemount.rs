//! `RUN --mount=type=cache`: a directory that stays from build to build. By its id, and the place that it begins with.

use super::copy::Copier;
use super::execute::Executor;
use crate::error::{Context, Result};
use crate::image::digest::Digest;
use crate::image::dockerfile::mount::Sharing;
use crate::image::dockerignore::Ignore;
use crate::image::plan::{Mount, Place};
use crate::image::rootless;
use crate::sys::file::{Lock, flock, try_flock};
use crate::sys::root::Root;
use crate::sys::tree;
use std::fs::File;
use std::path::{Path, PathBuf};

/// In the store.
pub const DIRECTORY: &str = "caches";
const FILES: &str = "files";
/// A private one for each of as many builds at the same time.
const PRIVATE_MAX: u32 = 1000;

#[derive(Debug)]
pub struct CacheMount {
    path: PathBuf,
    /// Locked while it is used.
    _lock: File,
}

impl CacheMount {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn open(executor: &Executor, mount: &Mount) -> Result<CacheMount> {
        let Mount::Cache { place, source, id, sharing, mode, uid, gid, .. } = mount else {
            crate::bail!("no cache");
        };
        let seed = match place {
            Place::Scratch => String::new(),
            place => format!("{} {source}", executor.name_of(place)),
        };
        let caches = executor.store.path().join(DIRECTORY);
        let name = Digest::of(format!("{id}\0{seed}").as_bytes());
        for number in 0..PRIVATE_MAX {
            let name = if number == 0 { name.hex().to_owned() } else { format!("{}-{number}", name.hex()) };
            let directory = caches.join(name);
            std::fs::create_dir_all(&directory).with(|| format!("create {}", directory.display()))?;
            let lock = File::open(&directory).with(|| format!("open {}", directory.display()))?;
            let got = match sharing {
                Sharing::Shared => try_flock(&lock, Lock::Shared),
                _ => try_flock(&lock, Lock::Exclusive),
            };
            match (got.context("lock")?, sharing) {
                (true, _) => {}
                (false, Sharing::Private) => continue,
                (false, Sharing::Locked) => flock(&lock, Lock::Exclusive).context("lock")?,
                (false, Sharing::Shared) => flock(&lock, Lock::Shared).context("lock")?,
            }
            let path = directory.join(FILES);
            if !path.exists() {
                fill(executor, (place, source), &directory, (*mode, *uid, *gid))?;
            }
            return Ok(CacheMount { path, _lock: lock });
        }
        crate::bail!("more than {PRIVATE_MAX} builds use it at once")
    }
}

/// Makes it; two that do so at once make the same.
fn fill(executor: &Executor, from: (&Place, &str), directory: &Path, made: (u32, u32, u32)) -> Result<()> {
    let new = executor.trees.directory("cache")?;
    let (place, source) = from;
    let (mode, uid, gid) = made;
    let root = Root::open(&new).context("open")?;
    let files = new.join(FILES);
    if *place == Place::Scratch {
        std::fs::create_dir(&files).context("create")?;
    } else {
        let tree = executor.tree(place)?;
        let source = Path::new(source.trim_start_matches('/'));
        Copier::new(&root, None, None).copy(tree.get(), source, &format!("/{FILES}/"), &Ignore::default())?;
    }
    let made = File::open(&files).context("open")?;
    let (uid, gid) = rootless::owner((uid, gid));
    tree::fchown(&made, uid, gid).context("chown")?;
    tree::fchmod(&made, mode).context("chmod")?;
    match crate::sys::file::rename_noreplace(&files, &directory.join(FILES)) {
        Err(crate::sys::Errno::EEXIST | crate::sys::Errno::ENOTEMPTY) => Ok(()),
        renamed => renamed.context("keep cache"),
    }
}
