//! Volumes: directories that outlive containers, `volumes/NAME/_data`, with what is known of them beside it.

use super::container::names;
use super::container::state::now;
use super::events;
use super::store::{Store, remove_tree};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

const DATA: &str = "_data";
const RECORD: &str = "volume.json";

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    pub name: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    /// Made for one container, under a name that nobody chose.
    pub anonymous: bool,
    /// Nothing was put into it yet: what is in the image at its first place goes there.
    pub fresh: bool,
}

fn directory(store: &Store, name: &str) -> PathBuf {
    store.volumes().join(name)
}

/// Where the volume's files are.
pub fn data(store: &Store, name: &str) -> PathBuf {
    directory(store, name).join(DATA)
}

pub fn check_name(name: &str) -> Result<()> {
    names::check(name).map_err(|_| Error::new(format!("volume name {name:?}: want letters, digits, and _ . - inside")))
}

/// The volume of this name, made where it is missing.
pub fn ensure(store: &Store, new: Volume) -> Result<Volume> {
    check_name(&new.name)?;
    if let Some(volume) = find(store, &new.name)? {
        return Ok(volume);
    }
    let make = || -> Result<()> {
        let scratch = store.scratch_dir()?;
        std::fs::create_dir(scratch.path().join(DATA)).context("create its directory")?;
        open_to_all(&scratch.path().join(DATA))?;
        open_to_all(scratch.path())?;
        std::fs::write(scratch.path().join(RECORD), serde_json::to_vec(&new)?).with(|| format!("write {RECORD}"))?;
        // Where somebody else has made it meanwhile, theirs is the one.
        if scratch.publish(&directory(store, &new.name))?.is_some() {
            events::of(store, "volume", &new.name, "create");
        }
        Ok(())
    };
    make().with(|| format!("volume {}", new.name))?;
    match find(store, &new.name)? {
        Some(volume) => Ok(volume),
        None => bail!("volume {}: removed while it was made", new.name),
    }
}

/// Whoever has a place in a volume must get there, whatever the umask was.
fn open_to_all(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).context("chmod")
}

pub fn new(name: &str) -> Volume {
    Volume { name: name.to_owned(), created: now(), fresh: true, ..Volume::default() }
}

/// One under a name of 64 digits.
pub fn new_anonymous() -> Result<Volume> {
    Ok(Volume { anonymous: true, ..new(&names::new_id()?) })
}

pub fn find(store: &Store, name: &str) -> Result<Option<Volume>> {
    if check_name(name).is_err() {
        return Ok(None);
    }
    let read =
        || -> Result<Volume> { Ok(serde_json::from_slice(&std::fs::read(directory(store, name).join(RECORD))?)?) };
    match read() {
        Ok(volume) => Ok(Some(volume)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.context(format!("volume {name}"))),
    }
}

/// The volume was used; nothing of an image goes into it any more.
pub fn set_used(store: &Store, volume: &Volume) -> Result<()> {
    let bytes = serde_json::to_vec(&Volume { fresh: false, ..volume.clone() })?;
    store.replace(&directory(store, &volume.name).join(RECORD), &bytes)
}

/// Every volume, by name.
pub fn list(store: &Store) -> Result<Vec<Volume>> {
    let mut volumes = Vec::new();
    for entry in std::fs::read_dir(store.volumes()).context("read volumes")? {
        let name = entry.context("read volumes")?.file_name();
        if let Some(volume) = name.to_str().map(|name| find(store, name)).transpose()?.flatten() {
            volumes.push(volume);
        }
    }
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(volumes)
}

/// The short ids of the containers that have the volume.
pub fn users(store: &Store, name: &str) -> Result<Vec<String>> {
    let (containers, broken) = store.list_containers()?;
    // One that cannot be read might have it.
    if let Some(error) = broken.into_iter().next() {
        return Err(error);
    }
    let has_it = |listed: &&super::container::Listed| {
        listed
            .config
            .mounts
            .iter()
            .any(|mount| mount.kind == super::container::config::MountKind::Volume && mount.source == name)
    };
    Ok(containers.iter().filter(has_it).map(|listed| listed.container.short_id().to_owned()).collect())
}

/// Removes the volume and what is in it, if no container has it.
pub fn remove(store: &Store, name: &str) -> Result<()> {
    // A container that is being made takes its volumes under this lock too.
    let _lock = store.lock("volumes")?;
    if find(store, name)?.is_none() {
        bail!("no such volume: {name}");
    }
    let users = users(store, name)?;
    if !users.is_empty() {
        bail!("volume {name} is in use by {}", users.join(", "));
    }
    drop(store.to_trash(&directory(store, name))?);
    events::of(store, "volume", name, "destroy");
    Ok(())
}

/// Like [`remove`], where being in use or gone is fine.
pub fn remove_unused(store: &Store, name: &str) -> Result<()> {
    let _lock = store.lock("volumes")?;
    if find(store, name)?.is_none() || !users(store, name)?.is_empty() {
        return Ok(());
    }
    let trash = store.to_trash(&directory(store, name))?;
    events::of(store, "volume", name, "destroy");
    remove_tree(trash.path())
}
