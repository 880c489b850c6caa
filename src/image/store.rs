//! Where images are kept: an OCI image layout (image-spec image-layout.md), which any tool of the field reads, and
//! beside it what makes containers quick.
//!
//! ```text
//! oci-layout  index.json  blobs/sha256/HEX   the truth
//! layers/HEX/fs                              a layer laid out, by chain id: a lower directory of overlays
//! snapshots/ID/{upper,work}                  what is written on top of layers
//! downloads/HEX                              blobs that are being fetched, and parts of such
//! pins/NAME                                  other things to keep, with a value: the build cache
//! containers/  volumes/                      belong to the verbs that run containers
//! tmp/  leases/  locks/                      of running processes
//! ```
//!
//! Many processes work here at once, and each may be killed at any moment. What is visible under its final name is
//! whole: it was made in `tmp/`, and renamed. What is in `tmp/` is locked by its maker, so that what a dead one left is
//! told from what is being made. What an operation needs is in its lease, and [`sweep`] removes only what neither a
//! lease nor the index, a snapshot or a pin leads to.

use super::layer::whiteout::Marks;
use super::rootless::{self, Owners};
use crate::bail;
use crate::error::{Context, Result};
use serde_json::json;
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

mod blobs;
mod downloads;
mod images;
mod index;
mod layers;
mod lease;
mod pins;
mod scratch;
mod sweep;
mod usage;

pub use blobs::{Blob, Hashed};
pub use downloads::{Download, Growing};
pub use images::Image;
pub use layers::Ingested;
pub use lease::{Lease, Lock};
pub use pins::Pin;
pub use scratch::ScratchDir;
pub(in crate::image) use scratch::remove_tree;
pub use sweep::Swept;
pub use usage::Usage;

const LAYOUT_FILE: &str = "oci-layout";
/// Whose ids the files of layers have, where it is not the host's root who works here.
const OWNERS_FILE: &str = "owners.json";
const LAYOUT_VERSION: &str = "1.0.0";
/// Layers have setuid programs in them, old ones too; only we go there.
const PLACES: [(&str, u32); 11] = [
    ("blobs", 0o755),
    ("blobs/sha256", 0o755),
    ("layers", 0o700),
    ("snapshots", 0o700),
    ("pins", 0o700),
    ("downloads", 0o700),
    ("containers", 0o711),
    ("volumes", 0o711),
    ("tmp", 0o700),
    ("leases", 0o700),
    ("locks", 0o700),
];

#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    marks: Marks,
}

impl Store {
    /// `/var/lib/forno` for root, else `$XDG_DATA_HOME/forno` or `~/.local/share/forno`.
    pub fn default_path() -> Result<PathBuf> {
        if crate::sys::tree::effective_ids().0 == 0 && !rootless::is_users_root() {
            return Ok(PathBuf::from("/var/lib/forno"));
        }
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        match (absolute("XDG_DATA_HOME"), absolute("HOME")) {
            (Some(data), _) => Ok(data.join("forno")),
            (None, Some(home)) => Ok(home.join(".local/share/forno")),
            (None, None) => bail!("neither XDG_DATA_HOME nor HOME is set; say where images are kept with --root"),
        }
    }

    /// Opens the store at `path`, and makes what is missing of it.
    pub fn open(path: &Path) -> Result<Store> {
        let open = || -> Result<Store> {
            make_directory(path, 0o711)?;
            let path = path.canonicalize().context("resolve")?;
            for (name, mode) in PLACES {
                make_directory(&path.join(name), mode)?;
            }
            let store = Store { path, marks: Marks::of_this_process()? };
            store.check_layout()?;
            store.check_owners()?;
            Ok(store)
        };
        open().with(|| format!("image store {}", path.display()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The overlay's marks in this store's layers.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Where containers have their state, one directory each.
    pub fn containers(&self) -> PathBuf {
        self.path.join("containers")
    }

    pub fn volumes(&self) -> PathBuf {
        self.path.join("volumes")
    }

    fn check_layout(&self) -> Result<()> {
        let path = self.path.join(LAYOUT_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let layout: serde_json::Value =
                    serde_json::from_slice(&bytes).with(|| format!("parse {LAYOUT_FILE}"))?;
                if layout["imageLayoutVersion"] != LAYOUT_VERSION {
                    bail!("{LAYOUT_FILE}: layout version {} is not known", layout["imageLayoutVersion"]);
                }
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let layout = json!({"imageLayoutVersion": LAYOUT_VERSION}).to_string();
                self.replace(&path, layout.as_bytes())
            }
            Err(error) => Err(error).with(|| format!("read {LAYOUT_FILE}")),
        }
    }

    /// The files of layers belong to ids that mean something in one user namespace only.
    fn check_owners(&self) -> Result<()> {
        let (path, owners) = (self.path.join(OWNERS_FILE), Owners::of_this_process()?);
        owners.remember();
        let known: Option<Owners> = match std::fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).with(|| format!("parse {OWNERS_FILE}"))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with(|| format!("read {OWNERS_FILE}")),
        };
        match known {
            None if owners.is_host() => Ok(()),
            Some(known) if known == owners => Ok(()),
            Some(known) if !owners.include(&known) => bail!(
                "its files have the ids of another user namespace ({known}); here {owners}: work as the user who made \
                 it, with the same ranges in /etc/subuid and /etc/subgid, or say --root with another place"
            ),
            _ => self.replace(&path, &serde_json::to_vec(&owners).with(|| format!("write {OWNERS_FILE}"))?),
        }
    }

    /// Writes a small file so that others see the old bytes or the new ones, also after a power cut.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        use std::io::Write;
        let mut scratch = self.scratch_file()?;
        let write = || -> Result<()> {
            scratch.file.write_all(bytes).context("write")?;
            scratch.file.set_permissions(Permissions::from_mode(0o644)).context("chmod")?;
            scratch.publish(path)
        };
        write().with(|| format!("replace {}", path.display()))
    }
}

/// A directory, with its parents; nothing changes where it exists.
fn make_directory(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).create(parent).with(|| format!("create {}", parent.display()))?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        result => result.with(|| format!("create {}", path.display())),
    }
}

#[cfg(test)]
mod tests;
