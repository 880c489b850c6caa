//! Makes a layer of a tree: of an overlay's upper directory, which is a difference already, or of an ordinary directory.
//! The same tree gives the same bytes.

use super::tar::Type;
use super::whiteout::{self, Marks, is_whiteout};
use super::write::{Header, Writer};
use crate::error::{Context, Result};
use crate::sys::tree::{self, Kind, Stat, Time};
use crate::sys::{Errno, OFlag, xattr};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub marks: Marks,
    /// Later times become this one (SOURCE_DATE_EPOCH).
    pub epoch: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differed {
    pub entries: u64,
    /// Bytes of regular files.
    pub bytes: u64,
}

/// Writes everything below `root` as an uncompressed layer.
pub fn diff(root: BorrowedFd, out: impl Write, options: Options) -> Result<Differed> {
    let mut tree = Tree { writer: Writer::new(out), options, names: HashMap::new(), done: Differed::default() };
    tree.below(Level::open(root, c".", Vec::new())?)?;
    tree.writer.finish()?;
    Ok(tree.done)
}

/// Writes what is at a name as `path`, and everything below it.
pub fn pack(at: BorrowedFd, name: &CStr, path: &[u8], out: impl Write, options: Options) -> Result<()> {
    let mut tree = Tree { writer: Writer::new(out), options, names: HashMap::new(), done: Differed::default() };
    if tree.entry(at, name, path)? {
        tree.below(Level::open(at, name, [path, b"/"].concat())?)?;
    }
    tree.writer.finish()
}

/// A directory on the way, and what is left to do in it, the next one last.
struct Level {
    fd: OwnedFd,
    /// With a slash at its end, or empty.
    path: Vec<u8>,
    left: Vec<CString>,
}

impl Level {
    fn open(directory: BorrowedFd, name: &CStr, path: Vec<u8>) -> Result<Level> {
        let fd = tree::openat(directory, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0).context("open directory")?;
        let mut left = tree::read_dir(fd.as_fd()).context("read directory")?;
        left.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Level { fd, path, left })
    }
}

struct Tree<W> {
    writer: Writer<W>,
    options: Options,
    /// The first path of each file with several names.
    names: HashMap<(u64, u64), Vec<u8>>,
    done: Differed,
}

impl<W: Write> Tree<W> {
    /// Writes everything in a directory.
    fn below(&mut self, first: Level) -> Result<()> {
        let mut levels = vec![first];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.left.pop() else {
                levels.pop();
                continue;
            };
            let path = [level.path.as_slice(), name.to_bytes()].concat();
            let shown = || format!("pack {:?}", String::from_utf8_lossy(&path));
            if self.entry(level.fd.as_fd(), &name, &path).with(shown)? {
                let next = Level::open(level.fd.as_fd(), &name, [&path, &b"/"[..]].concat()).with(shown)?;
                levels.push(next);
            }
        }
        Ok(())
    }

    /// Writes one entry; whether it is a directory, whose own are to follow.
    fn entry(&mut self, at: BorrowedFd, name: &CStr, path: &[u8]) -> Result<bool> {
        let stat = tree::stat_at(at, name).context("stat")?;
        if is_whiteout(&stat) {
            self.hidden(path, whiteout::PREFIX)?;
            return Ok(false);
        }
        // Nothing can connect to a socket that comes out of an image.
        let kind = match stat.kind {
            Kind::Socket => return Ok(false),
            Kind::Directory => return self.directory(at, name, path, &stat).map(|()| true),
            Kind::Regular => return self.regular(at, name, path, &stat).map(|()| false),
            Kind::Symlink => Type::Symlink,
            Kind::Fifo => Type::Fifo,
            Kind::Char => Type::Char,
            Kind::Block => Type::Block,
        };
        if self.linked(path, &stat)? {
            return Ok(false);
        }
        let link = if kind == Type::Symlink { tree::readlinkat(at, name).context("read link")? } else { "".into() };
        let xattrs = self.xattrs_by_name(at, name)?;
        self.header(&Header { link: link.as_bytes(), xattrs: &xattrs, ..self.describe(kind, path, &stat) })?;
        Ok(false)
    }

    fn directory(&mut self, at: BorrowedFd, name: &CStr, path: &[u8], stat: &Stat) -> Result<()> {
        let path = [path, b"/"].concat();
        let xattrs = self.xattrs_by_name(at, name)?;
        self.header(&Header { xattrs: &xattrs, ..self.describe(Type::Directory, &path, stat) })?;
        if self.options.marks.is_opaque(at, name).context("read extended attributes")? {
            self.hidden(&path, whiteout::OPAQUE)?;
        }
        Ok(())
    }

    fn regular(&mut self, at: BorrowedFd, name: &CStr, path: &[u8], stat: &Stat) -> Result<()> {
        if self.linked(path, stat)? {
            return Ok(());
        }
        let file = File::from(tree::openat(at, name, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0).context("open")?);
        // Somebody may have put something else there since; what is open now is what is packed.
        let stat = tree::stat(&file).context("stat")?;
        if stat.kind != Kind::Regular {
            return Err(Errno::EAGAIN.into());
        }
        let keys = xattr::flistxattr(&file).context("list extended attributes")?;
        let xattrs = self.xattrs(keys, |key| xattr::fgetxattr(&file, key))?;
        self.header(&Header { size: stat.size, xattrs: &xattrs, ..self.describe(Type::Regular, path, &stat) })?;
        self.done.bytes += stat.size;
        self.writer.data(file, stat.size)
    }

    /// Writes a hard link where the file has been written under another name.
    fn linked(&mut self, path: &[u8], stat: &Stat) -> Result<bool> {
        if stat.links < 2 {
            return Ok(false);
        }
        let Some(first) = self.names.get(&stat.identity()).cloned() else {
            self.names.insert(stat.identity(), path.to_vec());
            return Ok(false);
        };
        self.header(&Header { link: &first, ..self.describe(Type::Link, path, stat) })?;
        Ok(true)
    }

    /// An empty file that stands for something gone: `prefix` before the last component of `path`.
    fn hidden(&mut self, path: &[u8], prefix: &[u8]) -> Result<()> {
        let slash = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let path = [&path[..slash], prefix, &path[slash..]].concat();
        self.header(&Header {
            path: &path,
            link: b"",
            kind: Type::Regular,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            node: (0, 0),
            modified: Time::default(),
            xattrs: &[],
        })
    }

    fn header(&mut self, header: &Header) -> Result<()> {
        self.done.entries += 1;
        self.writer.header(header)
    }

    fn describe<'a>(&self, kind: Type, path: &'a [u8], stat: &Stat) -> Header<'a> {
        let modified = match self.options.epoch {
            Some(epoch) if stat.modified.seconds >= epoch => Time { seconds: epoch, nanoseconds: 0 },
            _ => stat.modified,
        };
        let node = if matches!(kind, Type::Char | Type::Block) { stat.node } else { (0, 0) };
        let Stat { mode, uid, gid, .. } = *stat;
        Header { path, link: b"", kind, mode, uid, gid, size: 0, node, modified, xattrs: &[] }
    }

    fn xattrs_by_name(&self, at: BorrowedFd, name: &CStr) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let keys = xattr::llistxattrat(at, name).context("list extended attributes")?;
        self.xattrs(keys, |key| xattr::lgetxattrat(at, name, key))
    }

    fn xattrs(
        &self,
        keys: Vec<CString>,
        get: impl Fn(&CStr) -> crate::sys::Result<Option<Vec<u8>>>,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut xattrs = Vec::new();
        for key in keys {
            // The label is this machine's, not the image's.
            if key.to_bytes() == b"security.selinux" {
                continue;
            }
            let Some(name) = self.options.marks.unescape(key.to_bytes()) else {
                continue;
            };
            if let Some(value) = get(&key).with(|| format!("read extended attribute {key:?}"))? {
                xattrs.push((name, value));
            }
        }
        xattrs.sort();
        Ok(xattrs)
    }
}

#[cfg(test)]
mod tests;
