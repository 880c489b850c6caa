//! Lays a layer out as a lower directory of an overlay. The archive is not trusted: it may name anything, in any order.
//! Nothing outside of the directory is ever touched, and the directory is nobody else's until this is done.

use super::Limits;
use super::places::{Finish, Found, Names, Place, Places, copy_attributes};
use super::tar::{Entry, Reader, Segment, Type};
use super::whiteout::{self, Marks, is_whiteout};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::rootless;
use crate::sys::tree::{self, Kind, SETGID, SETUID, Time};
use crate::sys::{Errno, OFlag, xattr};
use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

const NAME_MAX: usize = 255;
const NEW_FILE: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub entries: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// What could not be kept, said once each.
    pub warnings: Vec<String>,
}

/// Lays out the archive in the empty directory `root`; `below` are the layers under it, uppermost first.
pub fn apply(source: impl BufRead, root: OwnedFd, below: &[OwnedFd], marks: Marks, limits: Limits) -> Result<Applied> {
    // Modes are given with the call that makes a file; what the mask takes away is set again below.
    tree::umask(0o022);
    let mut reader = Reader::new(source, limits);
    let own_ids = tree::effective_ids();
    let places = Places::new(root, below, marks);
    let mut layer = Layer { places, marks, limits, own_ids, done: Applied::default() };
    while let Some(entry) = reader.next_entry()? {
        layer.entry(&entry, &mut reader).with(|| format!("tar entry {}", entry.name()))?;
    }
    layer.finish()?;
    layer.done.entries = reader.entries();
    Ok(layer.done)
}

struct Layer<'a> {
    places: Places<'a>,
    marks: Marks,
    limits: Limits,
    own_ids: (u32, u32),
    done: Applied,
}

/// What the last component of a path asks for.
enum Name {
    Entry(CString),
    Whiteout(CString),
    Opaque,
    Reserved,
}

/// The components of a path of the archive; `.`, and a slash at either end, say nothing.
fn names(path: &[u8]) -> Result<Names> {
    let mut names = Names::new();
    for part in path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
        if part == b".." {
            bail!("path leads through '..'");
        }
        if part.len() > NAME_MAX {
            bail!("name is longer than {NAME_MAX} bytes");
        }
        names.push(c_string(part)?);
    }
    Ok(names)
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Errno::EINVAL.into())
}

fn last_name(name: CString) -> Result<Name> {
    let bytes = name.to_bytes();
    if bytes == whiteout::OPAQUE {
        return Ok(Name::Opaque);
    }
    if bytes.starts_with(whiteout::RESERVED) {
        return Ok(Name::Reserved);
    }
    match bytes.strip_prefix(whiteout::PREFIX) {
        None => Ok(Name::Entry(name)),
        Some(b"" | b"." | b"..") => bail!("whiteout of no name"),
        Some(hidden) => Ok(Name::Whiteout(c_string(hidden)?)),
    }
}

impl Layer<'_> {
    fn entry<R: BufRead>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        self.places.now = entry.modified;
        let mut path = names(&entry.path)?;
        let Some(last) = path.pop() else {
            return self.root(entry);
        };
        if path.iter().any(|name| name.to_bytes().starts_with(whiteout::RESERVED)) {
            return Ok(());
        }
        if path.iter().any(|name| name.to_bytes().starts_with(whiteout::PREFIX)) {
            bail!("something below a whiteout");
        }
        match last_name(last)? {
            Name::Reserved => Ok(()),
            Name::Entry(name) => {
                let place = self.places.directory(&path)?;
                self.create(entry, &place, &name, reader)
            }
            Name::Whiteout(name) => {
                let place = self.places.directory(&path)?;
                self.whiteout(&place, &name)
            }
            Name::Opaque => {
                let place = self.places.directory(&path)?;
                match place.path.split_last() {
                    Some((name, above)) => {
                        let above = self.places.directory(above)?;
                        self.places.set_opaque(&above, name)
                    }
                    None => self.opaque_root(&place),
                }
            }
        }
    }

    /// The kernel does not look for the mark at the root of a layer, so that each name there is hidden.
    fn opaque_root(&mut self, root: &Place) -> Result<()> {
        for name in self.places.names_below()? {
            self.whiteout(root, &name)?;
        }
        Ok(())
    }

    /// An entry for `/` itself: anything but a directory would replace the root (CVE-2021-29136).
    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Type::Directory {
            bail!("the root of a layer can only be a directory");
        }
        let root = self.places.root();
        self.forget_xattrs(&root, &c".".to_owned())?;
        self.directory_attributes(entry, &root, &c".".to_owned(), true)?;
        self.places.finish.insert(Names::new(), finish_of(entry));
        Ok(())
    }

    fn create<R: BufRead>(
        &mut self,
        entry: &Entry,
        place: &Place,
        name: &CString,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        match entry.kind {
            Type::Regular => self.regular(entry, place, name, reader),
            Type::Directory => self.directory(entry, place, name),
            Type::Link => self.link(entry, place, name),
            Type::Symlink => {
                let target = c_string(&entry.link).context("link target")?;
                self.anew(place, name, |at| tree::symlinkat(&target, at, name))?;
                self.attributes_by_name(entry, place.at(), name)
            }
            Type::Fifo => self.node(entry, place, name, Kind::Fifo),
            Type::Char => self.node(entry, place, name, Kind::Char),
            Type::Block => self.node(entry, place, name, Kind::Block),
        }
    }

    /// Makes something at a name; what an earlier entry made there makes room.
    fn anew<T>(
        &mut self,
        place: &Place,
        name: &CString,
        make: impl Fn(BorrowedFd) -> crate::sys::Result<T>,
    ) -> Result<T> {
        match make(place.at()) {
            Err(Errno::EEXIST) => {
                self.places.remove(place, name)?;
                make(place.at()).context("make")
            }
            result => result.context("make"),
        }
    }

    fn regular<R: BufRead>(
        &mut self,
        entry: &Entry,
        place: &Place,
        name: &CString,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        self.done.bytes = self.done.bytes.saturating_add(entry.size);
        if self.done.bytes > self.limits.bytes {
            bail!("layer's files are larger than {} bytes; a higher limit can be given", self.limits.bytes);
        }
        let file = File::from(self.anew(place, name, |at| tree::openat(at, name, NEW_FILE, entry.mode & 0o777))?);
        match &entry.sparse {
            Some(map) => write_sparse(reader, &file, map, entry.size)?,
            None => write_plain(reader, &file)?,
        }
        if self.is_foreign(entry) {
            let (uid, gid) = rootless::owner((entry.uid, entry.gid));
            chowned(entry, tree::fchown(&file, uid, gid))?;
        }
        if needs_chmod(entry.mode) {
            tree::fchmod(&file, entry.mode).context("chmod")?;
        }
        for (key, value) in &entry.xattrs {
            self.xattr(key, |key| xattr::fsetxattr(&file, key, value))?;
        }
        let accessed = entry.accessed.unwrap_or(entry.modified);
        tree::futimens(&file, accessed, entry.modified).context("set times")
    }

    fn directory(&mut self, entry: &Entry, place: &Place, name: &CString) -> Result<()> {
        let made = tree::mkdirat(place.at(), name, 0o700);
        match made {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                let old = tree::stat_at(place.at(), name).context("stat")?;
                if old.is_dir() {
                    self.forget_xattrs(place, name)?;
                } else {
                    // What was here hid the layers below, and still does.
                    self.places.remove(place, name)?;
                    tree::mkdirat(place.at(), name, 0o700).context("make directory")?;
                    self.places.set_opaque(place, name)?;
                }
            }
            Err(errno) => return Err(errno).context("make directory"),
        }
        self.directory_attributes(entry, place, name, made.is_err())?;
        self.places.finish.insert(place.join(name), finish_of(entry));
        Ok(())
    }

    fn directory_attributes(&mut self, entry: &Entry, place: &Place, name: &CString, had_owner: bool) -> Result<()> {
        if had_owner || self.is_foreign(entry) {
            self.chown(entry, place.at(), name)?;
        }
        tree::fchmodat(place.at(), name, entry.mode & !SETGID).context("chmod")?;
        for (key, value) in &entry.xattrs {
            self.xattr(key, |key| xattr::lsetxattrat(place.at(), name, key, value))?;
        }
        Ok(())
    }

    /// A directory that comes twice has the attributes of the second time only.
    fn forget_xattrs(&mut self, place: &Place, name: &CString) -> Result<()> {
        let directory = tree::openat(place.at(), name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0).context("open")?;
        for key in xattr::flistxattr(&directory).context("list extended attributes")? {
            if self.marks.unescape(key.to_bytes()).is_some() && key.to_bytes() != b"security.selinux" {
                xattr::fremovexattr(&directory, &key).context("remove extended attribute")?;
            }
        }
        Ok(())
    }

    /// A second name for a file of this layer, or for one below, which then comes up into this one.
    fn link(&mut self, entry: &Entry, place: &Place, name: &CString) -> Result<()> {
        let mut path = names(&entry.link).context("link target")?;
        let Some(old) = path.pop() else {
            bail!("hard link to the root");
        };
        let from = self.places.directory(&path)?;
        match tree::stat_at(from.at(), &old) {
            Ok(stat) if stat.is_dir() => bail!("hard link to the directory {:?}", String::from_utf8_lossy(&entry.link)),
            Ok(stat) if !is_whiteout(&stat) => {}
            Ok(_) | Err(Errno::ENOENT) => self.copy_up(&from, &old)?,
            Err(errno) => return Err(errno).context("link target"),
        }
        // Removing the new name first would remove the only one of a file that is linked to itself.
        if from.join(&old) == place.join(name) {
            return Ok(());
        }
        self.anew(place, name, |at| tree::linkat(from.at(), &old, at, name))
    }

    fn copy_up(&mut self, place: &Place, name: &CString) -> Result<()> {
        let found = self.places.find_below(&place.join(name))?;
        let Some(found) = found.filter(|found| found.stat.kind == Kind::Regular) else {
            bail!("link target {name:?} is in no layer");
        };
        let Found { at, stat, .. } = &found;
        let mut source = File::from(tree::openat(at.as_fd(), name, OFlag::O_RDONLY, 0).context("open link target")?);
        let mut copy = File::from(self.anew(place, name, |at| tree::openat(at, name, NEW_FILE, 0o600))?);
        std::io::copy(&mut source, &mut copy).context("copy link target")?;
        copy_attributes(&found, place.at(), name, self.marks)?;
        tree::fchmod(&copy, stat.mode).context("chmod")?;
        tree::futimens(&copy, stat.accessed, stat.modified).context("set times")
    }

    fn node(&mut self, entry: &Entry, place: &Place, name: &CString, kind: Kind) -> Result<()> {
        let make = |at: BorrowedFd| tree::mknodat(at, name, kind, entry.mode & 0o777, entry.node);
        let made = match make(place.at()) {
            Err(Errno::EEXIST) => {
                self.places.remove(place, name)?;
                make(place.at())
            }
            result => result,
        };
        match made {
            // Only the initial user namespace makes devices; elsewhere an empty file keeps the place.
            Err(Errno::EPERM) => {
                self.warn(format!("device nodes become empty files: {}", Errno::EPERM.desc()));
                tree::mknodat(place.at(), name, Kind::Regular, entry.mode & 0o777, (0, 0)).context("make")?;
            }
            made => made.context("make")?,
        }
        self.attributes_by_name(entry, place.at(), name)
    }

    /// For what cannot be opened: links and special files.
    fn attributes_by_name(&mut self, entry: &Entry, at: BorrowedFd, name: &CString) -> Result<()> {
        if self.is_foreign(entry) {
            self.chown(entry, at, name)?;
        }
        if entry.kind != Type::Symlink && needs_chmod(entry.mode) {
            tree::fchmodat(at, name, entry.mode).context("chmod")?;
        }
        for (key, value) in &entry.xattrs {
            self.xattr(key, |key| xattr::lsetxattrat(at, name, key, value))?;
        }
        let accessed = entry.accessed.unwrap_or(entry.modified);
        tree::utimensat(at, name, accessed, entry.modified).context("set times")
    }

    fn whiteout(&mut self, place: &Place, name: &CString) -> Result<()> {
        match tree::stat_at(place.at(), name) {
            // A whiteout speaks of the layers below only, wherever it stands in the archive: what this layer has
            // itself stays, and a directory of it starts from nothing.
            Ok(stat) if stat.is_dir() => return self.places.set_opaque(place, name),
            Ok(_) => return Ok(()),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno).context("whiteout"),
        }
        let path = place.join(name);
        // Where there is nothing to hide, the node itself would be seen: an overlay filters merged directories only.
        if self.places.find_below(&path)?.is_none() {
            return Ok(());
        }
        tree::mknodat(place.at(), name, Kind::Char, 0, (0, 0)).context("make whiteout")?;
        self.places.whiteouts.insert(path);
        Ok(())
    }

    fn is_foreign(&mut self, entry: &Entry) -> bool {
        let owner = rootless::owner((entry.uid, entry.gid));
        if owner != (entry.uid, entry.gid) {
            self.warn("files of other users become yours: /etc/subuid and /etc/subgid give you no ids".to_owned());
        }
        owner != self.own_ids
    }

    fn chown(&self, entry: &Entry, at: BorrowedFd, name: &CString) -> Result<()> {
        let (uid, gid) = rootless::owner((entry.uid, entry.gid));
        chowned(entry, tree::fchownat(at, name, uid, gid))
    }

    fn xattr(&mut self, key: &[u8], set: impl FnOnce(&CString) -> crate::sys::Result<()>) -> Result<()> {
        // The label of the machine where the image was made; this one gives its own.
        if key == b"security.selinux" {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(key);
        let name = c_string(&self.marks.escape(key)).with(|| format!("extended attribute {shown:?}"))?;
        match set(&name) {
            Err(errno @ (Errno::ENOTSUP | Errno::EPERM)) => {
                self.warn(format!("extended attribute {shown} cannot be kept here: {}", errno.desc()));
                Ok(())
            }
            result => result.with(|| format!("set extended attribute {shown}")),
        }
    }

    fn warn(&mut self, warning: String) {
        const WARNINGS_MAX: usize = 16;
        if self.done.warnings.len() < WARNINGS_MAX && !self.done.warnings.contains(&warning) {
            self.done.warnings.push(warning);
        }
    }

    fn finish(&mut self) -> Result<()> {
        let whiteouts = std::mem::take(&mut self.places.whiteouts);
        for path in whiteouts.iter().filter(|path| self.places.is_hidden(path)).cloned().collect::<Vec<_>>() {
            // In an opaque directory there is nothing to hide, and the node itself would be seen.
            if let Some((name, above)) = path.split_last() {
                let place = self.places.directory(above)?;
                tree::unlinkat(place.at(), name).context("remove whiteout")?;
            }
        }
        self.finish_root()?;
        let finish = std::mem::take(&mut self.places.finish);
        for (path, Finish { accessed, modified, mode }) in finish {
            let (above, name) = match path.split_last() {
                Some((name, above)) => (self.places.directory(above)?, name.clone()),
                None => (self.places.root(), c".".to_owned()),
            };
            if mode & SETGID != 0 {
                tree::fchmodat(above.at(), &name, mode).with(|| format!("chmod {name:?}"))?;
            }
            tree::utimensat(above.at(), &name, accessed, modified).with(|| format!("set times of {name:?}"))?;
        }
        Ok(())
    }

    /// A layer that says nothing of `/` has that of the layer below.
    fn finish_root(&mut self) -> Result<()> {
        if self.places.finish.contains_key(&Names::new()) {
            return Ok(());
        }
        let root = self.places.root();
        let model = self.places.root_below()?;
        let (mode, accessed, modified) = match &model {
            Some(found) => {
                copy_attributes(found, root.at(), &c".".to_owned(), self.marks)?;
                (found.stat.mode, found.stat.accessed, found.stat.modified)
            }
            None => (0o755, Time::default(), Time::default()),
        };
        tree::fchmodat(root.at(), c".", mode & !SETGID).context("chmod /")?;
        self.places.finish.insert(Names::new(), Finish { accessed, modified, mode });
        Ok(())
    }
}

fn chowned(entry: &Entry, result: crate::sys::Result<()>) -> Result<()> {
    match result {
        Err(Errno::EINVAL) => bail!(
            "owner {}:{} is not mapped in this user namespace; /etc/subuid and /etc/subgid give more ids",
            entry.uid,
            entry.gid
        ),
        result => result.context("chown"),
    }
}

fn finish_of(entry: &Entry) -> Finish {
    let accessed = entry.accessed.unwrap_or(entry.modified);
    Finish { accessed, modified: entry.modified, mode: entry.mode }
}

/// Bits that the file creation mask takes away, or that open(2) or chown(2) does not leave.
fn needs_chmod(mode: u32) -> bool {
    mode & (SETUID | SETGID | 0o1022) != 0
}

fn write_plain<R: BufRead>(reader: &mut Reader<R>, mut file: &File) -> Result<()> {
    loop {
        let bytes = reader.data()?;
        if bytes.is_empty() {
            return Ok(());
        }
        file.write_all(bytes).context("write")?;
        let length = bytes.len();
        reader.consume(length);
    }
}

fn write_sparse<R: BufRead>(reader: &mut Reader<R>, file: &File, map: &[Segment], size: u64) -> Result<()> {
    tree::ftruncate(file, size).context("set size")?;
    for segment in map {
        let (mut offset, mut left) = (segment.offset, segment.length);
        while left > 0 {
            let bytes = reader.data()?;
            let length = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if length == 0 {
                bail!("data end before the sparse file's map does");
            }
            file.write_all_at(&bytes[..length], offset).context("write")?;
            reader.consume(length);
            (offset, left) = (offset + length as u64, left - length as u64);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
