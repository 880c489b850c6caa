//! What a source of COPY is worth to the cache: names, kinds, modes, owners, links, devices, extended attributes and
//! bytes; not times. A checkout with another umask is another content, as it is to docker.

use super::tree::{Event, Item, Pattern, Tree};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::digest::{Digest, Hasher};
use crate::image::dockerignore::Ignore;
use crate::sys::tree::{self, Kind};
use crate::sys::{OFlag, xattr};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const BUFFER: usize = 128 << 10;

/// The digest of everything that `pattern` names, and the paths that it names.
pub fn content(tree: &Tree, pattern: Pattern, exclude: &Ignore) -> Result<(Digest, Vec<PathBuf>)> {
    let paths = tree.select(pattern)?;
    let mut hash = Content { hasher: Hasher::new(), buffer: vec![0; BUFFER], anonymous: tree.anonymous };
    for path in &paths {
        // The name counts for files only: a directory's content is what is copied.
        hash.field(b"source");
        hash.field(path.as_os_str().as_bytes());
        walk_source(tree, path, exclude, &mut |item| hash.item(item))?;
    }
    Ok((hash.hasher.into(), paths))
}

/// Walks one source with the patterns of `--exclude`, which see a file by its name, and what is in a directory by its
/// path below it.
pub fn walk_source(
    tree: &Tree,
    path: &Path,
    exclude: &Ignore,
    visit: &mut dyn FnMut(&Item) -> Result<()>,
) -> Result<()> {
    if let Some(name) = path.file_name().filter(|_| !exclude.is_empty())
        && exclude.matches(&name.to_string_lossy())
        && !exclude.has_exceptions()
    {
        return Ok(());
    }
    tree.walk(path, exclude, visit).with(|| format!("/{} of {}", path.display(), tree.name))
}

struct Content {
    hasher: Hasher,
    buffer: Vec<u8>,
    anonymous: bool,
}

impl Content {
    /// With its length, so that no two sequences of fields look the same.
    fn field(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(&number.to_le_bytes());
    }

    fn item(&mut self, item: &Item) -> Result<()> {
        if item.event == Event::Leave {
            self.field(b"leave");
            return Ok(());
        }
        let stat = item.stat;
        self.field(item.path.as_os_str().as_bytes());
        self.number(stat.kind as u64);
        self.number(u64::from(stat.mode));
        let (uid, gid) = if self.anonymous { (0, 0) } else { (stat.uid, stat.gid) };
        self.number(u64::from(uid));
        self.number(u64::from(gid));
        match stat.kind {
            Kind::Regular => self.file(item).with(|| format!("read {}", item.path.display()))?,
            Kind::Symlink => {
                let target = tree::readlinkat(item.directory, item.name).context("read link")?;
                self.field(target.as_bytes());
            }
            Kind::Char | Kind::Block => {
                self.number(u64::from(stat.node.0));
                self.number(u64::from(stat.node.1));
            }
            _ => {}
        }
        for (key, value) in xattrs(item)? {
            self.field(key.to_bytes());
            self.field(&value);
        }
        Ok(())
    }

    fn file(&mut self, item: &Item) -> Result<()> {
        let mut file = open(item)?;
        self.number(item.stat.size);
        loop {
            let count = file.read(&mut self.buffer)?;
            let Some(bytes) = self.buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            self.hasher.update(bytes);
        }
    }
}

/// Opens a regular file that the walk has met; something else that was put in its place is refused.
pub fn open(item: &Item) -> Result<File> {
    let file = tree::openat(item.directory, item.name, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0).context("open")?;
    let stat = tree::stat(&file).context("stat")?;
    if stat.kind != Kind::Regular || stat.identity() != item.stat.identity() {
        bail!("changed while it was being read");
    }
    Ok(file.into())
}

/// Those that a copy gets: of `security.*` file capabilities only, since labels are this machine's; none of `system.*`
/// and of the overlay's own. Where a file system has none, there are none.
pub fn xattrs(item: &Item) -> Result<Vec<(CString, Vec<u8>)>> {
    let mut all = Vec::new();
    let Ok(keys) = xattr::llistxattrat(item.directory, item.name) else {
        return Ok(all);
    };
    for key in keys {
        let name = key.to_bytes();
        let foreign = name.starts_with(b"security.") && name != b"security.capability"
            || name.starts_with(b"system.")
            || name.starts_with(b"trusted.overlay.")
            || name.starts_with(b"user.overlay.");
        if foreign {
            continue;
        }
        if let Ok(Some(value)) = xattr::lgetxattrat(item.directory, item.name, &key) {
            all.push((key, value));
        }
    }
    all.sort();
    Ok(all)
}
