//! Snapshots: a writable directory on top of an image's layers, an overlay when it is mounted. Build steps, bundles and
//! containers all have one.

use super::copy::copy_attributes;
use super::digest::Digest;
use super::layer::whiteout::Marks;
use super::store::{Lease, Store, remove_tree};
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::file::{Lock, try_flock};
use crate::sys::{Errno, mount, overlay};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const RECORD: &str = "snapshot.json";

/// snapshot.json.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
struct Record {
    /// Chain ids, lowest first.
    layers: Vec<Digest>,
    /// A path that has to be there for the snapshot to be kept; without it, the snapshot goes with its process.
    keeper: Option<PathBuf>,
    /// Where it was mounted last.
    target: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Snapshot {
    directory: PathBuf,
    record: Record,
    /// Tells the others that somebody is here.
    _lock: File,
}

impl Store {
    fn snapshots(&self) -> PathBuf {
        self.path().join("snapshots")
    }

    /// An empty snapshot on `layers` (chain ids, lowest first), which are laid out and held. It stays as long as
    /// `keeper` exists, a bundle's or a container's directory; without one, as long as this process.
    pub fn create_snapshot(&self, lease: &Lease, layers: &[Digest], keeper: Option<&Path>) -> Result<Snapshot> {
        for layer in layers {
            lease.hold(layer)?;
        }
        let scratch = self.scratch_dir()?;
        let record = Record { layers: layers.to_vec(), keeper: keeper.map(Path::to_owned), target: None };
        for name in ["upper", "work"] {
            std::fs::create_dir(scratch.path().join(name)).context("create snapshot")?;
        }
        self.copy_root_attributes(layers, &scratch.path().join("upper"))?;
        write_record(&scratch.path().join(RECORD), &record)?;
        let name = scratch.path().to_string_lossy().into_owned();
        let id = Digest::of(name.as_bytes()).hex().get(..32).unwrap_or_default().to_owned();
        let directory = self.snapshots().join(id);
        match scratch.publish(&directory).context("create snapshot")? {
            Some(lock) => Ok(Snapshot { directory, record, _lock: lock }),
            None => bail!("create snapshot {}: exists", directory.display()),
        }
    }

    /// The root of an overlay is its uppermost directory's; it starts as that of the image.
    fn copy_root_attributes(&self, layers: &[Digest], upper: &Path) -> Result<()> {
        let Some(top) = layers.last() else {
            return Ok(());
        };
        copy_attributes(&self.layer_root(top), upper).context("create snapshot")
    }

    /// The snapshots that `keeper` keeps.
    pub fn snapshots_of(&self, keeper: &Path) -> Result<Vec<Snapshot>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.snapshots()).context("read snapshots")? {
            let name = entry.context("read snapshots")?.file_name();
            let is_it = |record: Record| record.keeper.as_deref() == Some(keeper);
            if read_record(&self.snapshots().join(&name)).is_ok_and(is_it) {
                found.push(self.snapshot(&name.to_string_lossy())?);
            }
        }
        Ok(found)
    }

    pub fn snapshot(&self, id: &str) -> Result<Snapshot> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("snapshot {id:?}: not an id");
        }
        let directory = self.snapshots().join(id);
        let open = || -> Result<Snapshot> {
            let lock = File::open(&directory).context("open")?;
            crate::sys::file::flock(&lock, Lock::Exclusive).context("lock")?;
            Ok(Snapshot { record: read_record(&directory)?, directory: directory.clone(), _lock: lock })
        };
        open().with(|| format!("snapshot {id}"))
    }

    /// The layers of all snapshots.
    pub(super) fn snapshot_layers(&self) -> Result<Vec<Digest>> {
        let mut layers = Vec::new();
        for entry in std::fs::read_dir(self.snapshots()).context("read snapshots")? {
            let directory = entry.context("read snapshots")?.path();
            match read_record(&directory) {
                Ok(record) => layers.extend(record.layers),
                // Removed meanwhile.
                Err(error) if error.errno() == Some(Errno::ENOENT) => {}
                Err(error) => return Err(error.context(format!("snapshot {}", directory.display()))),
            }
        }
        Ok(layers)
    }

    /// Removes snapshots whose keeper, or whose process, is gone.
    pub(super) fn remove_dead_snapshots(&self) -> Result<usize> {
        let mut removed = 0;
        for entry in std::fs::read_dir(self.snapshots()).context("read snapshots")? {
            let directory = entry.context("read snapshots")?.path();
            let Ok(lock) = File::open(&directory) else {
                continue;
            };
            if !try_flock(&lock, Lock::Exclusive).context("lock snapshot")? {
                continue;
            }
            let Ok(record) = read_record(&directory) else {
                continue;
            };
            if record.keeper.as_ref().is_none_or(|keeper| !keeper.exists()) {
                Snapshot { directory, record, _lock: lock }.remove(self)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Snapshot {
    pub fn id(&self) -> &str {
        self.directory.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// What was written on top of the layers.
    pub fn upper(&self) -> PathBuf {
        self.directory.join("upper")
    }

    /// Chain ids, lowest first.
    pub fn layers(&self) -> &[Digest] {
        &self.record.layers
    }

    /// Mounts the snapshot on the directory `target`, if it is not there yet. `volatile`: nothing waits for the disk;
    /// after a crash of the machine the snapshot is worth nothing.
    pub fn mount(&mut self, store: &Store, target: &Path, volatile: bool) -> Result<()> {
        self.mount_over(store, target, None, volatile)
    }

    /// The same, with a directory below all layers.
    pub fn mount_over(&mut self, store: &Store, target: &Path, below: Option<&Path>, volatile: bool) -> Result<()> {
        let target = target.canonicalize().with(|| format!("mount point {}", target.display()))?;
        if self.is_mounted_at(&target)? {
            return Ok(());
        }
        // Written first, so that whoever finds the snapshot dead knows where to look.
        self.record.target = Some(target.clone());
        store.replace(&self.directory.join(RECORD), &to_bytes(&self.record)?)?;
        let mut lower: Vec<PathBuf> = self.record.layers.iter().rev().map(|layer| store.layer_root(layer)).collect();
        lower.extend(below.map(Path::to_owned));
        let upper = Upper { upper: self.upper(), work: self.directory.join("work"), volatile };
        mount_overlay(&lower, Some(&upper), store.marks(), &target)
    }

    /// Unmounts the snapshot from where it was mounted last.
    pub fn unmount(&self) -> Result<()> {
        let Some(target) = &self.record.target else {
            return Ok(());
        };
        while self.is_mounted_at(target)? {
            overlay::unmount(target).with(|| format!("unmount {}", target.display()))?;
        }
        Ok(())
    }

    /// Unmounts and removes the snapshot.
    pub fn remove(self, store: &Store) -> Result<()> {
        self.unmount()?;
        drop(store.to_trash(&self.directory)?);
        Ok(())
    }

    fn is_mounted_at(&self, target: &Path) -> Result<bool> {
        let mounts = std::fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
        let upper = escaped(&self.upper(), b" \t\n\\,");
        let target = escaped(target, b" \t\n\\");
        let is_it = |line: &[u8]| {
            let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            let options = fields.last().copied().unwrap_or_default();
            let ours = |option: &[u8]| option.strip_prefix(b"upperdir=").is_some_and(|path| path == upper);
            fields.get(4) == Some(&target.as_slice()) && options.split(|byte| *byte == b',').any(ours)
        };
        // Only the topmost mount counts.
        let at_target = |line: &&[u8]| line.split(|byte| *byte == b' ').nth(4) == Some(target.as_slice());
        Ok(mounts.split(|byte| *byte == b'\n').rfind(at_target).is_some_and(is_it))
    }
}

/// A path as /proc/self/mountinfo writes it.
fn escaped(path: &Path, special: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            byte if special.contains(byte) => bytes.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => bytes.push(*byte),
        }
    }
    bytes
}

fn to_bytes(record: &Record) -> Result<Vec<u8>> {
    serde_json::to_vec(record).with(|| format!("write {RECORD}"))
}

fn write_record(path: &Path, record: &Record) -> Result<()> {
    std::fs::write(path, to_bytes(record)?).with(|| format!("write {}", path.display()))
}

fn read_record(directory: &Path) -> Result<Record> {
    let bytes = std::fs::read(directory.join(RECORD)).with(|| format!("read {RECORD}"))?;
    serde_json::from_slice(&bytes).with(|| format!("parse {RECORD}"))
}

/// The writable part of an overlay.
pub struct Upper {
    pub upper: PathBuf,
    pub work: PathBuf,
    pub volatile: bool,
}

/// Mounts an overlay of `lower`, uppermost first, on `target`; read-only without `upper`.
pub fn mount_overlay(lower: &[PathBuf], upper: Option<&Upper>, marks: Marks, target: &Path) -> Result<()> {
    let place = File::open(target).with(|| format!("open {}", target.display()))?;
    let mounted = match configured(lower, upper, marks) {
        Ok(overlay) => mount::move_mount(overlay, &place),
        // KERNEL(6.8): lowerdir+; and the new calls take no path of more than 255 bytes.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => by_options(lower, upper, marks, place.as_fd()),
        Err(errno) => Err(errno),
    };
    match mounted {
        Err(Errno::EINVAL) if upper.is_some() => Err(Errno::EINVAL).with(|| {
            let path = target.display();
            format!("mount overlay on {path} (the store must not be on an overlay, NFS or the like; see dmesg)")
        }),
        Err(Errno::EPERM) => Err(Errno::EPERM)
            .with(|| format!("mount overlay on {} (needs root, or a user namespace of one's own)", target.display())),
        mounted => mounted.with(|| format!("mount overlay on {}", target.display())),
    }
}

/// Options that keep a directory of the overlay meaning the same wherever it is used as a layer later.
const PLAIN: [(&str, &str); 3] = [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")];

fn configured(lower: &[PathBuf], upper: Option<&Upper>, marks: Marks) -> crate::sys::Result<std::os::fd::OwnedFd> {
    let fs = mount::fsopen(c"overlay")?;
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL);
    let set = |key: &str, value: &str| {
        let (key, value) =
            (CString::new(key).map_err(|_| Errno::EINVAL)?, CString::new(value).map_err(|_| Errno::EINVAL)?);
        mount::fsconfig_set(&fs, &key, Some(&value))
    };
    set("source", "overlay")?;
    for lower in lower {
        mount::fsconfig_set(&fs, c"lowerdir+", Some(&path(lower)?))?;
    }
    if let Some(Upper { upper, work, volatile }) = upper {
        mount::fsconfig_set(&fs, c"upperdir", Some(&path(upper)?))?;
        mount::fsconfig_set(&fs, c"workdir", Some(&path(work)?))?;
        if *volatile {
            mount::fsconfig_set(&fs, c"volatile", None)?;
        }
    }
    match marks {
        // It excludes the others, and has their values.
        Marks::User => mount::fsconfig_set(&fs, c"userxattr", None)?,
        Marks::Trusted => PLAIN.iter().try_for_each(|(key, value)| set(key, value))?,
    }
    mount::fsconfig_create(&fs)?;
    mount::fsmount(&fs, 0)
}

/// By a string of options, a page at most: descriptors keep the paths in it short.
fn by_options(lower: &[PathBuf], upper: Option<&Upper>, marks: Marks, target: BorrowedFd) -> crate::sys::Result<()> {
    let mut open = Vec::new();
    let mut short = |path: &Path| -> crate::sys::Result<String> {
        let file = File::open(path).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        let short = format!("/proc/self/fd/{}", file.as_raw_fd());
        open.push(file);
        Ok(short)
    };
    let lower: Vec<String> = lower.iter().map(|path| short(path)).collect::<crate::sys::Result<_>>()?;
    let mut options = vec![format!("lowerdir={}", lower.join(":"))];
    if let Some(Upper { upper, work, volatile }) = upper {
        // Under their real names, by which a mount is known again; only these are few.
        let real = |path: &Path| {
            let path = path.to_str().ok_or(Errno::EINVAL)?;
            Ok::<_, Errno>(path.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:"))
        };
        options.push(format!("upperdir={}", real(upper)?));
        options.push(format!("workdir={}", real(work)?));
        options.extend(volatile.then(|| "volatile".to_owned()));
    }
    match marks {
        Marks::User => options.push("userxattr".to_owned()),
        Marks::Trusted => options.extend(PLAIN.iter().map(|(key, value)| format!("{key}={value}"))),
    }
    let options = CString::new(options.join(",")).map_err(|_| Errno::EINVAL)?;
    overlay::mount(target, &options)
}

/// What [`remove_tree`] is to a directory: unmounts what may be there, and removes it.
pub fn remove_mount_point(target: &Path) -> Result<()> {
    overlay::unmount(target).with(|| format!("unmount {}", target.display()))?;
    remove_tree(target)
}
