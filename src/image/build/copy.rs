//! Copies sources into the root file system of a step.

use super::hash::{open, walk_source, xattrs};
use super::place::{self, Made, clear, make_dirs, new_dir, own, spot};
use super::tree::{Event, Item, Tree};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerignore::Ignore;
use crate::image::mode::Chmod;
use crate::image::rootless;
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind, Stat, Time};
use crate::sys::{OFlag, xattr};
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const NEW_FILE: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL);
const INLINE_MODE: u32 = 0o644;

pub struct Copier<'a> {
    pub root: &'a Root,
    /// `--chown`
    pub owner: Option<(u32, u32)>,
    pub chmod: Option<&'a Chmod>,
    /// Directories that are there get the attributes of what is copied onto them (`--link`).
    pub overwrite: bool,
    /// Of what is made here and not copied.
    pub now: Option<Time>,
    /// The time of everything that is copied, whose modes become 0755 or 0644: what git knows of a file.
    pub plain: Option<Time>,
    /// Files with several names, and where the first one went.
    links: HashMap<(u64, u64), PathBuf>,
    /// Directories that are filled by several sources, and the times that they get when all is there.
    open: Vec<(OwnedFd, Time, Time)>,
}

impl<'a> Copier<'a> {
    pub fn new(root: &'a Root, owner: Option<(u32, u32)>, chmod: Option<&'a Chmod>) -> Copier<'a> {
        Copier { root, owner, chmod, overwrite: false, now: None, plain: None, links: HashMap::new(), open: Vec::new() }
    }

    pub fn parents(&self) -> Made {
        Made::parent(self.owner.unwrap_or((0, 0)), self.chmod, self.now)
    }

    /// Copies one source. A directory's content goes into the destination; anything else goes into it where it is a
    /// directory or ends with a slash, and becomes it where not.
    pub fn copy(&mut self, tree: &Tree, source: &Path, destination: &str, exclude: &Ignore) -> Result<()> {
        let fd = tree.root.resolve(source).with(|| format!("open /{}", source.display()))?;
        let stat = tree::stat(&fd).context("stat")?;
        if stat.is_dir() {
            return self.directory(tree, source, Path::new(destination), exclude);
        }
        let Some(name) = source.file_name() else {
            bail!("/{}: has no name", source.display());
        };
        let target = self.file_target(destination, name)?;
        let place = self.spot(&target)?;
        if let (directory, file_name, Some(path)) = place {
            walk_source(tree, source, exclude, &mut |item| {
                self.file(tree, item, directory.as_fd(), &file_name, &path)
            })?;
        }
        Ok(())
    }

    /// Where `--parents` puts a source: its own directories, as they are, below the destination, which is one too.
    pub fn with_parents(&mut self, tree: &Tree, source: &Path, pivot: &str, destination: &str) -> Result<String> {
        let below = source.strip_prefix(pivot).unwrap_or(source);
        let is_dir = place::is_dir(&tree.root, source);
        let mut to = PathBuf::from(destination);
        drop(make_dirs(self.root, &to, self.parents())?);
        let mut from = PathBuf::from(pivot);
        for part in below.parent().unwrap_or(Path::new("")).components() {
            from.push(part);
            to.push(part);
            if place::is_dir(self.root, &to) {
                continue;
            }
            let fd = tree.root.resolve(&from).with(|| format!("open /{}", from.display()))?;
            let stat = tree::stat(&fd).context("stat")?;
            let owner = self.owner.unwrap_or(if tree.anonymous { (0, 0) } else { (stat.uid, stat.gid) });
            let made = Made { owner, mode: self.mode(stat.mode, true), time: None };
            let new = make_dirs(self.root, &to, made)?;
            self.open.push((new, stat.accessed, stat.modified));
        }
        if is_dir {
            to.extend(below.file_name());
        }
        Ok(format!("{}/", to.display()))
    }

    /// When everything is there.
    pub fn finish(self) -> Result<()> {
        for (directory, accessed, modified) in &self.open {
            tree::futimens(directory, *accessed, *modified).context("set time")?;
        }
        Ok(())
    }

    /// The content of a heredoc.
    pub fn inline(&self, name: &str, content: &str, destination: &str) -> Result<()> {
        self.file_from(&mut content.as_bytes(), name, destination, INLINE_MODE, self.now)
    }

    /// A file that is in no tree.
    pub fn file_from(
        &self,
        content: &mut dyn Read,
        name: &str,
        destination: &str,
        mode: u32,
        time: Option<Time>,
    ) -> Result<()> {
        let target = self.file_target(destination, OsStr::new(name))?;
        let (directory, name, _) = self.spot(&target)?;
        clear(directory.as_fd(), &name)?;
        let mut file = File::from(tree::openat(directory.as_fd(), &name, NEW_FILE, 0o600).context("create")?);
        std::io::copy(content, &mut file).context("write")?;
        own(file.as_fd(), self.owner.unwrap_or((0, 0)))?;
        tree::fchmod(&file, self.mode(mode, false)).context("chmod")?;
        if let Some(time) = time {
            tree::futimens(&file, time, time).context("set time")?;
        }
        Ok(())
    }

    /// Where a file goes: below the destination where that is a directory.
    pub fn file_target(&self, destination: &str, name: &OsStr) -> Result<PathBuf> {
        let path = Path::new(destination);
        let is_dir = destination.ends_with('/') || place::is_dir(self.root, path);
        Ok(if is_dir { path.join(name) } else { path.to_owned() })
    }

    fn spot(&self, target: &Path) -> Result<(OwnedFd, CString, Option<PathBuf>)> {
        match spot(self.root, target, self.parents())? {
            Some(spot) => Ok((spot.directory, spot.name, Some(spot.path))),
            None => bail!("the root cannot be replaced by a file"),
        }
    }

    fn mode(&self, mode: u32, is_dir: bool) -> u32 {
        let mode = match self.plain {
            Some(_) if is_dir || mode & 0o100 != 0 => 0o755,
            Some(_) => 0o644,
            None => mode,
        };
        self.chmod.map_or(mode, |chmod| chmod.apply(mode, is_dir))
    }

    fn times(&self, stat: &Stat) -> (Time, Time) {
        self.plain.map_or((stat.accessed, stat.modified), |time| (time, time))
    }

    fn owner_of(&self, tree: &Tree, item: &Item) -> (u32, u32) {
        match self.owner {
            Some(owner) => owner,
            None if tree.anonymous => (0, 0),
            None => (item.stat.uid, item.stat.gid),
        }
    }

    fn directory(&mut self, tree: &Tree, source: &Path, destination: &Path, exclude: &Ignore) -> Result<()> {
        let mut levels: Vec<Target> = Vec::new();
        walk_source(tree, source, exclude, &mut |item| match item.event {
            Event::Enter => {
                let above = levels.last().map(|level| level.fd.as_fd());
                let target = self.enter(tree, item, above, destination)?;
                levels.push(target);
                Ok(())
            }
            Event::Leave => levels.pop().map_or(Ok(()), Target::finish),
            Event::File => {
                let Some(level) = levels.last() else {
                    bail!("{}: outside of any directory", item.path.display());
                };
                let path = destination.join(item.path);
                self.file(tree, item, level.fd.as_fd(), item.name, &path)
                    .with(|| format!("/{}", path.to_string_lossy().trim_start_matches('/')))
            }
        })
    }

    fn enter(&self, tree: &Tree, item: &Item, above: Option<BorrowedFd>, destination: &Path) -> Result<Target> {
        let made = Made { owner: self.owner_of(tree, item), mode: self.mode(item.stat.mode, true), time: None };
        let place = || format!("/{}", destination.join(item.path).to_string_lossy().trim_start_matches('/'));
        let (fd, new) = match above {
            Some(above) => self.enter_below(above, item, made).with(place)?,
            None => self.enter_first(destination, made).with(place)?,
        };
        if !new && self.overwrite {
            own(fd.as_fd(), made.owner)?;
            tree::fchmod(&fd, made.mode).context("chmod")?;
        }
        let new = new || self.overwrite;
        if new {
            set_xattrs(item, |key, value| xattr::fsetxattr(&fd, key, value));
        }
        Ok(Target { fd, times: new.then(|| self.times(item.stat)) })
    }

    fn enter_below(&self, above: BorrowedFd, item: &Item, made: Made) -> Result<(OwnedFd, bool)> {
        match place::stat_of(above, item.name)? {
            None => Ok((new_dir(above, item.name, made)?, true)),
            Some(stat) if stat.is_dir() => {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
                Ok((tree::openat(above, item.name, flags, 0).context("open")?, false))
            }
            Some(_) => bail!("cannot copy a directory onto something that is none"),
        }
    }

    /// The destination itself: links on the way to it are followed.
    fn enter_first(&self, destination: &Path, made: Made) -> Result<(OwnedFd, bool)> {
        let Some(spot) = spot(self.root, destination, self.parents())? else {
            return Ok((make_dirs(self.root, Path::new(""), made)?, false));
        };
        match spot.stat {
            None => Ok((new_dir(spot.directory.as_fd(), &spot.name, made)?, true)),
            Some(stat) if stat.is_dir() => Ok((make_dirs(self.root, &spot.path, made)?, false)),
            Some(_) => bail!("cannot copy a directory onto something that is none"),
        }
    }

    /// Makes a copy of what the walk has met. `path` is where it goes, for the other names of the same file.
    fn file(&mut self, tree: &Tree, item: &Item, to: BorrowedFd, name: &CString, path: &Path) -> Result<()> {
        clear(to, name)?;
        let stat = item.stat;
        if stat.links > 1 && stat.kind == Kind::Regular {
            if let Some(first) = self.links.get(&stat.identity()) {
                let (directory, first) = self.root.parent(first).context("open")?;
                return tree::linkat(directory.as_fd(), &first, to, name).context("link");
            }
            self.links.insert(stat.identity(), path.to_owned());
        }
        let owner = self.owner_of(tree, item);
        let mode = self.mode(stat.mode, false);
        match stat.kind {
            Kind::Regular => {
                let mut source = open(item)?;
                let mut file = File::from(tree::openat(to, name, NEW_FILE, 0o600).context("create")?);
                std::io::copy(&mut source, &mut file).context("copy")?;
                own(file.as_fd(), owner)?;
                tree::fchmod(&file, mode).context("chmod")?;
                let (accessed, modified) = self.times(stat);
                tree::futimens(&file, accessed, modified).context("set time")?;
                set_xattrs(item, |key, value| xattr::fsetxattr(&file, key, value));
                return Ok(());
            }
            Kind::Symlink => {
                let target = tree::readlinkat(item.directory, item.name).context("read link")?;
                tree::symlinkat(&tree::name(&target)?, to, name).context("link")?;
            }
            kind => tree::mknodat(to, name, kind, 0o600, stat.node).context("make node")?,
        }
        let owner = rootless::owner(owner);
        if owner != tree::effective_ids() {
            tree::fchownat(to, name, owner.0, owner.1).context("chown")?;
        }
        if stat.kind != Kind::Symlink {
            tree::fchmodat(to, name, mode).context("chmod")?;
        }
        let (accessed, modified) = self.times(stat);
        tree::utimensat(to, name, accessed, modified).context("set time")?;
        set_xattrs(item, |key, value| xattr::lsetxattrat(to, name, key, value));
        Ok(())
    }
}

/// A directory that is being filled.
struct Target {
    fd: OwnedFd,
    /// Accessed and modified; `None`: those that it has.
    times: Option<(Time, Time)>,
}

impl Target {
    /// The time last, since filling it has changed it.
    fn finish(self) -> Result<()> {
        if let Some((accessed, modified)) = self.times {
            tree::futimens(&self.fd, accessed, modified).context("set time")?;
        }
        Ok(())
    }
}

/// What cannot be kept is not worth a build.
fn set_xattrs(item: &Item, mut set: impl FnMut(&CString, &[u8]) -> crate::sys::Result<()>) {
    for (key, value) in xattrs(item).unwrap_or_default() {
        let _ = set(&key, &value);
    }
}
