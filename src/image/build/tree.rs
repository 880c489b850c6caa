//! A tree that files are copied from: the build context, a stage, an image. Which of its files are meant, and a walk
//! through them; every step is a descriptor and a name, so that no link in a stranger's tree leads out of it.

use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerignore::{Above, Ignore};
use crate::image::glob::{Glob, has_wildcard};
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind, Stat};
use crate::sys::{Errno, OFlag};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Deeper than any tree that people make, and fewer than the descriptors that a process may have.
const DEPTH_MAX: usize = 400;

#[derive(Debug)]
pub struct Tree {
    pub root: Root,
    /// What `.dockerignore` leaves out.
    pub ignore: Ignore,
    /// Files belong to whoever keeps the context; in the image they belong to root.
    pub anonymous: bool,
    /// What messages call it.
    pub name: String,
}

/// What the walk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A directory; what is in it follows.
    Enter,
    /// The directory is done.
    Leave,
    /// Anything else.
    File,
}

#[derive(Debug)]
pub struct Item<'a> {
    pub event: Event,
    /// Below where the walk began; empty for that itself.
    pub path: &'a Path,
    /// The directory that it is in, and its name there.
    pub directory: BorrowedFd<'a>,
    pub name: &'a CString,
    pub stat: &'a Stat,
    /// The directory itself, for [`Event::Enter`].
    pub opened: Option<BorrowedFd<'a>>,
}

/// How a path of COPY is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern<'a> {
    pub text: &'a str,
    /// `**` stands for any depth (`--parents`).
    pub deep: bool,
}

impl Tree {
    /// The paths that a source names, in order. A name without wildcards that is not there is an error; a pattern may
    /// match nothing.
    pub fn select(&self, pattern: Pattern) -> Result<Vec<PathBuf>> {
        let text = pattern.text;
        if !has_wildcard(text) {
            let literal = unescaped(text);
            if !literal.is_empty() && self.is_ignored(&literal)? {
                bail!("not found in {}: an ignore file leaves it out", self.name);
            }
            return match self.root.resolve(&literal) {
                Ok(_) => Ok(vec![PathBuf::from(literal)]),
                Err(Errno::ENOENT | Errno::ENOTDIR) => bail!("not found in {}", self.name),
                Err(errno) => Err(errno.into()),
            };
        }
        if pattern.deep && text.contains("**") {
            return self.select_deep(&Glob::with_deep(text)?);
        }
        let mut found = vec![PathBuf::new()];
        let parts: Vec<&str> = text.split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            found = self.select_part(found, part, at + 1 == parts.len())?;
        }
        let mut kept = Vec::with_capacity(found.len());
        for path in found {
            if !self.is_ignored(&path.to_string_lossy())? {
                kept.push(path);
            }
        }
        Ok(kept)
    }

    /// Whether nothing at or below the path is in the tree. A directory that is left out may have files in it that are
    /// taken back.
    fn is_ignored(&self, path: &str) -> Result<bool> {
        if self.ignore.is_empty() || !self.ignore.matches(path) {
            return Ok(false);
        }
        if !self.ignore.has_exceptions() {
            return Ok(true);
        }
        let is_dir = self.root.resolve(path).is_ok_and(|fd| tree::stat(fd).is_ok_and(|stat| stat.is_dir()));
        if !is_dir {
            return Ok(true);
        }
        let mut any = false;
        self.walk(Path::new(path), &Ignore::default(), &mut |item| {
            any |= !item.path.as_os_str().is_empty();
            Ok(())
        })?;
        Ok(!any)
    }

    fn select_part(&self, above: Vec<PathBuf>, part: &str, last: bool) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        if !has_wildcard(part) {
            let name = unescaped(part);
            let there = |path: &PathBuf| if last { self.root.resolve_link(path).is_ok() } else { true };
            found.extend(above.into_iter().map(|path| path.join(&name)).filter(there));
            return Ok(found);
        }
        let glob = Glob::new(part)?;
        for path in above {
            let directory = match self.root.open_at(&path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, tree_mode()) {
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                directory => directory.with(|| format!("open {}", path.display()))?,
            };
            for name in sorted_names(directory.as_fd()).with(|| format!("read {}", path.display()))? {
                let name = OsStr::from_bytes(name.to_bytes());
                if glob.matches(&name.to_string_lossy()) {
                    found.push(path.join(name));
                }
            }
        }
        Ok(found)
    }

    fn select_deep(&self, glob: &Glob) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        self.walk(Path::new(""), &Ignore::default(), &mut |item| {
            if item.event != Event::Leave && glob.matches(&item.path.to_string_lossy()) {
                found.push(item.path.to_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Meets what is at `start`, and everything below it, in order of names. A link at `start` is followed, others are
    /// met. What the tree's ignore file or `exclude` leave out is not met, nor directories that have nothing else in them.
    pub fn walk(&self, start: &Path, exclude: &Ignore, visit: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        let root = self.root.resolve(start).with(|| format!("open {}", start.display()))?;
        let stat = tree::stat(&root).context("stat")?;
        if !stat.is_dir() {
            // The name that it really has.
            let (directory, name) = self.real_place(start)?;
            let item = Item {
                event: Event::File,
                path: Path::new(""),
                directory: directory.as_fd(),
                name: &name,
                stat: &stat,
                opened: None,
            };
            return visit(&item);
        }
        let mut above = Above::default();
        let mut whole = PathBuf::new();
        for part in start.components() {
            whole.push(part);
            above = self.ignore.matches_below(&whole.to_string_lossy(), &above).1;
        }
        let first = Level::open(root.as_fd(), c".".to_owned(), PathBuf::new(), stat)?;
        let first = Level { ignored: [above, Above::default()], ..first };
        Walk { tree: self, start, exclude, levels: vec![first] }.run(visit)
    }

    /// Where a path leads when the links at its end are followed.
    fn real_place(&self, path: &Path) -> Result<(OwnedFd, CString)> {
        let mut path = path.to_owned();
        for _ in 0..40 {
            let (directory, name) = self.root.parent(&path).with(|| format!("open {}", path.display()))?;
            let stat = tree::stat_at(directory.as_fd(), &name).with(|| format!("stat {}", path.display()))?;
            if stat.kind != Kind::Symlink {
                return Ok((directory, name));
            }
            let target = tree::readlinkat(directory.as_fd(), &name).context("read link")?;
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        Err(Errno::ELOOP).with(|| format!("open {}", path.display()))
    }
}

fn tree_mode() -> crate::sys::Mode {
    crate::sys::Mode::empty()
}

/// A name in which `\` took the meaning from what followed.
fn unescaped(text: &str) -> String {
    let mut name = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        name.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    name
}

fn sorted_names(directory: BorrowedFd) -> crate::sys::Result<Vec<CString>> {
    let mut names = tree::read_dir(directory)?;
    names.sort_unstable();
    Ok(names)
}

/// A directory on the way.
struct Level {
    fd: OwnedFd,
    name: CString,
    path: PathBuf,
    stat: Stat,
    /// Of the tree's ignore file, and of the walk's.
    ignored: [Above; 2],
    /// It was met.
    entered: bool,
    /// The next one last.
    left: Vec<CString>,
}

impl Level {
    fn open(directory: BorrowedFd, name: CString, path: PathBuf, stat: Stat) -> Result<Level> {
        let fd = tree::openat(directory, &name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)
            .with(|| format!("open {}", path.display()))?;
        let mut left = sorted_names(fd.as_fd()).with(|| format!("read {}", path.display()))?;
        left.reverse();
        let ignored = [Above::default(), Above::default()];
        Ok(Level { fd, name, path, stat, ignored, entered: false, left })
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    start: &'a Path,
    exclude: &'a Ignore,
    levels: Vec<Level>,
}

impl Walk<'_> {
    fn run(mut self, visit: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        // Where the walk begins is met even if nothing is in it.
        self.enter(visit)?;
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.left.pop() else {
                self.leave(visit)?;
                continue;
            };
            let path = level.path.join(OsStr::from_bytes(name.to_bytes()));
            let stat = match tree::stat_at(level.fd.as_fd(), &name) {
                // Removed meanwhile.
                Err(Errno::ENOENT) => continue,
                stat => stat.with(|| format!("stat {}", path.display()))?,
            };
            let ([a, b], [out_a, out_b]) = self.match_ignores(&path);
            let wanted = !out_a && !out_b;
            if stat.is_dir() {
                let may_have_exceptions = self.tree.ignore.has_exceptions() && out_a || self.exclude.has_exceptions();
                if !wanted && !may_have_exceptions {
                    continue;
                }
                if self.levels.len() >= DEPTH_MAX {
                    bail!("{}: deeper than {DEPTH_MAX} directories", path.display());
                }
                let Some(level) = self.levels.last() else { continue };
                let next = Level::open(level.fd.as_fd(), name, path, stat)?;
                self.levels.push(Level { ignored: [a, b], ..next });
                if wanted {
                    self.enter(visit)?;
                }
            } else if wanted {
                self.enter(visit)?;
                let Some(level) = self.levels.last() else { continue };
                visit(&Item {
                    event: Event::File,
                    path: &path,
                    directory: level.fd.as_fd(),
                    name: &name,
                    stat: &stat,
                    opened: None,
                })?;
            }
        }
        Ok(())
    }

    fn match_ignores(&self, path: &Path) -> ([Above; 2], [bool; 2]) {
        let Some(level) = self.levels.last() else {
            return Default::default();
        };
        let [above_a, above_b] = &level.ignored;
        let (out_a, a) = match self.tree.ignore.is_empty() {
            true => (false, Above::default()),
            false => self.tree.ignore.matches_below(&self.start.join(path).to_string_lossy(), above_a),
        };
        let (out_b, b) = match self.exclude.is_empty() {
            true => (false, Above::default()),
            false => self.exclude.matches_below(&path.to_string_lossy(), above_b),
        };
        ([a, b], [out_a, out_b])
    }

    /// Meets the directories on the way that were not met yet: something in them is wanted.
    fn enter(&mut self, visit: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        for at in 0..self.levels.len() {
            if self.levels.get(at).is_none_or(|level| level.entered) {
                continue;
            }
            self.tell(at, Event::Enter, visit)?;
            if let Some(level) = self.levels.get_mut(at) {
                level.entered = true;
            }
        }
        Ok(())
    }

    fn leave(&mut self, visit: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        let last = self.levels.len().saturating_sub(1);
        if self.levels.get(last).is_some_and(|level| level.entered) {
            self.tell(last, Event::Leave, visit)?;
        }
        self.levels.pop();
        Ok(())
    }

    fn tell(&self, at: usize, event: Event, visit: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        let Some(level) = self.levels.get(at) else {
            return Ok(());
        };
        let dot = c".".to_owned();
        let (directory, name) = match at.checked_sub(1).and_then(|above| self.levels.get(above)) {
            Some(above) => (above.fd.as_fd(), &level.name),
            None => (level.fd.as_fd(), &dot),
        };
        let opened = Some(level.fd.as_fd());
        visit(&Item { event, path: &level.path, directory, name, stat: &level.stat, opened })
    }
}
