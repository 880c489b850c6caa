//! Where in the new layer an entry goes. A path is walked one component at a time, from the layer's root, by
//! descriptors, with nothing followed by the kernel: whatever symbolic links the layer has made, no step leads outside.
//! Directories that the layer takes for granted are made as they are in the layers below, because in an overlay the
//! uppermost one gives its owner and mode to all.

use super::whiteout::{Marks, is_whiteout};
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::tree::{self, Kind, SETGID, Stat, Time};
use crate::sys::{Errno, OFlag, xattr};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// A path as its components.
pub(super) type Names = Vec<CString>;

const O_PATH_DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);
const CACHED_MAX: usize = 64;
/// As many as the kernel follows before ELOOP.
const SYMLINKS_MAX: u32 = 40;
/// More nesting than any tree has, and fewer descriptors than a process may have.
const DEPTH_MAX: usize = 512;

/// A directory of the layer.
pub(super) struct Place {
    pub fd: OwnedFd,
    /// Its real path: without symbolic links.
    pub path: Names,
}

impl Place {
    pub(super) fn join(&self, name: &CString) -> Names {
        let mut path = self.path.clone();
        path.push(name.clone());
        path
    }

    pub(super) fn at(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a directory gets at the end, when nothing more is made in it: its times, and setgid, which new files inherit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    pub accessed: Time,
    pub modified: Time,
    pub mode: u32,
}

pub(super) struct Places<'a> {
    root: Rc<Place>,
    /// The layers below, uppermost first.
    below: &'a [OwnedFd],
    marks: Marks,
    cache: HashMap<Names, Rc<Place>>,
    links: u32,
    pub finish: BTreeMap<Names, Finish>,
    pub opaque: BTreeSet<Names>,
    pub whiteouts: BTreeSet<Names>,
    /// The time of the entry being placed, for directories that it takes for granted.
    pub now: Time,
}

impl<'a> Places<'a> {
    pub(super) fn new(root: OwnedFd, below: &'a [OwnedFd], marks: Marks) -> Self {
        Places {
            root: Rc::new(Place { fd: root, path: Vec::new() }),
            below,
            marks,
            cache: HashMap::new(),
            links: 0,
            finish: BTreeMap::new(),
            opaque: BTreeSet::new(),
            whiteouts: BTreeSet::new(),
            now: Time::default(),
        }
    }

    pub(super) fn root(&self) -> Rc<Place> {
        self.root.clone()
    }

    /// The directory at `path`, made where it is missing.
    pub(super) fn directory(&mut self, path: &[CString]) -> Result<Rc<Place>> {
        self.links = 0;
        if path.len() > DEPTH_MAX {
            bail!("more than {DEPTH_MAX} directories deep");
        }
        self.enter(path)
    }

    fn enter(&mut self, path: &[CString]) -> Result<Rc<Place>> {
        let Some((name, above)) = path.split_last() else {
            return Ok(self.root());
        };
        if let Some(place) = self.cache.get(path) {
            return Ok(place.clone());
        }
        let above = self.enter(above)?;
        let place = self.step(&above, name)?;
        if self.cache.len() >= CACHED_MAX {
            self.cache.clear();
        }
        self.cache.insert(path.to_vec(), place.clone());
        Ok(place)
    }

    fn step(&mut self, here: &Rc<Place>, name: &CString) -> Result<Rc<Place>> {
        match tree::openat(here.at(), name, O_PATH_DIRECTORY, 0) {
            Ok(fd) => return Ok(Rc::new(Place { fd, path: here.join(name) })),
            Err(Errno::ENOENT) => {}
            // A symbolic link, or something else that is no directory.
            Err(Errno::ENOTDIR | Errno::ELOOP) => return self.step_over(here, name),
            Err(errno) => return Err(errno).with(|| format!("open directory {name:?}")),
        }
        let path = here.join(name);
        match self.find_below(&path)? {
            Some(Found { at, stat, .. }) if stat.kind == Kind::Symlink => {
                let target = tree::readlinkat(at.as_fd(), name).with(|| format!("read link {name:?}"))?;
                self.follow(here, target.as_bytes())
            }
            Some(found) if found.stat.is_dir() => self.make(here, name, Some(&found)),
            _ => self.make(here, name, None),
        }
    }

    /// What is in the way of a directory: a link is followed, anything else makes room.
    fn step_over(&mut self, here: &Rc<Place>, name: &CString) -> Result<Rc<Place>> {
        let stat = tree::stat_at(here.at(), name).with(|| format!("stat {name:?}"))?;
        if stat.kind == Kind::Symlink {
            let target = tree::readlinkat(here.at(), name).with(|| format!("read link {name:?}"))?;
            return self.follow(here, target.as_bytes());
        }
        self.remove(here, name)?;
        let place = self.make(here, name, None)?;
        self.set_opaque(here, name)?;
        Ok(place)
    }

    fn follow(&mut self, here: &Rc<Place>, target: &[u8]) -> Result<Rc<Place>> {
        self.links += 1;
        if self.links > SYMLINKS_MAX {
            return Err(Errno::ELOOP.into());
        }
        let mut at = if target.starts_with(b"/") { self.root() } else { here.clone() };
        for part in target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
            at = match part {
                // The path of a place has no links in it, so that its parent is what `..` means.
                b".." => self.enter(at.path.get(..at.path.len().saturating_sub(1)).unwrap_or_default())?,
                part => {
                    if at.path.len() >= DEPTH_MAX {
                        bail!("more than {DEPTH_MAX} directories deep");
                    }
                    self.step(&at, &CString::new(part).map_err(|_| Errno::EINVAL)?)?
                }
            };
        }
        Ok(at)
    }

    fn make(&mut self, here: &Rc<Place>, name: &CString, model: Option<&Found>) -> Result<Rc<Place>> {
        let path = here.join(name);
        let mode = model.map_or(0o755, |found| found.stat.mode);
        tree::mkdirat(here.at(), name, 0o700).with(|| format!("make directory {name:?}"))?;
        if let Some(found) = model {
            copy_attributes(found, here.at(), name, self.marks)?;
        }
        let mode_now = mode & !SETGID;
        tree::fchmodat(here.at(), name, mode_now).with(|| format!("chmod {name:?}"))?;
        let (accessed, modified) =
            model.map_or((self.now, self.now), |found| (found.stat.accessed, found.stat.modified));
        self.finish.insert(path.clone(), Finish { accessed, modified, mode });
        let fd = tree::openat(here.at(), name, O_PATH_DIRECTORY, 0).with(|| format!("open directory {name:?}"))?;
        Ok(Rc::new(Place { fd, path }))
    }

    /// Removes what is at `name`, and forgets what was known of it.
    pub(super) fn remove(&mut self, here: &Place, name: &CString) -> Result<()> {
        let stat = tree::stat_at(here.at(), name).with(|| format!("stat {name:?}"))?;
        let path = here.join(name);
        if stat.is_dir() {
            let under = |at: &Names| at.starts_with(&path);
            let gone: Vec<Names> =
                self.finish.range(path.clone()..).map(|(at, _)| at.clone()).take_while(under).collect();
            for at in gone {
                self.finish.remove(&at);
            }
            for set in [&mut self.opaque, &mut self.whiteouts] {
                let gone: Vec<Names> = set.range(path.clone()..).take_while(|at| under(at)).cloned().collect();
                for at in gone {
                    set.remove(&at);
                }
            }
        }
        if stat.is_dir() || stat.kind == Kind::Symlink {
            self.cache.clear();
        }
        self.whiteouts.remove(&path);
        tree::remove_all(here.at(), name).with(|| format!("remove {name:?}"))
    }

    pub(super) fn set_opaque(&mut self, here: &Place, name: &CString) -> Result<()> {
        self.marks.set_opaque(here.at(), name).with(|| format!("mark {name:?} as opaque"))?;
        self.opaque.insert(here.join(name));
        Ok(())
    }

    /// The root of the layer right below.
    pub(super) fn root_below(&self) -> Result<Option<Found>> {
        let Some(layer) = self.below.first() else {
            return Ok(None);
        };
        let (at, stat) = (layer.try_clone()?, tree::stat(layer).context("stat layer below")?);
        Ok(Some(Found { at, name: c".".to_owned(), stat }))
    }

    /// Everything that layers below have in their roots.
    pub(super) fn names_below(&self) -> Result<BTreeSet<CString>> {
        let mut names = BTreeSet::new();
        for layer in self.below {
            names.extend(tree::read_dir(layer.as_fd()).context("read layer below")?);
        }
        Ok(names)
    }

    /// Whether this layer hides what the layers below have in `path`'s directory.
    pub(super) fn is_hidden(&self, path: &[CString]) -> bool {
        (1..path.len()).any(|length| self.opaque.contains(path.get(..length).unwrap_or_default()))
    }

    /// What an overlay of the layers below has at `path`.
    pub(super) fn find_below(&self, path: &[CString]) -> Result<Option<Found>> {
        if self.is_hidden(path) {
            return Ok(None);
        }
        for layer in self.below {
            match find_in(layer, path, self.marks).with(|| format!("look up {path:?} in the layers below"))? {
                Looked::Found(found) => return Ok(Some(found)),
                Looked::Hidden => return Ok(None),
                Looked::Missing => {}
            }
        }
        Ok(None)
    }
}

/// Something in a layer below: a name in a directory.
pub(super) struct Found {
    pub at: OwnedFd,
    pub name: CString,
    pub stat: Stat,
}

enum Looked {
    Found(Found),
    /// Neither here, nor can a lower layer's be seen.
    Hidden,
    Missing,
}

fn find_in(layer: &OwnedFd, path: &[CString], marks: Marks) -> Result<Looked> {
    let Some((last, directories)) = path.split_last() else {
        return Ok(Looked::Missing);
    };
    let mut at = layer.try_clone()?;
    let mut opaque = false;
    for name in directories {
        match tree::stat_at(at.as_fd(), name) {
            Ok(stat) if stat.is_dir() => {
                opaque |= marks.is_opaque(at.as_fd(), name)?;
                at = tree::openat(at.as_fd(), name, O_PATH_DIRECTORY, 0)?;
            }
            Ok(_) => return Ok(Looked::Hidden),
            Err(Errno::ENOENT) => return Ok(if opaque { Looked::Hidden } else { Looked::Missing }),
            Err(errno) => return Err(errno.into()),
        }
    }
    match tree::stat_at(at.as_fd(), last) {
        Ok(stat) if is_whiteout(&stat) => Ok(Looked::Hidden),
        Ok(stat) => Ok(Looked::Found(Found { at, name: last.clone(), stat })),
        Err(Errno::ENOENT) if !opaque => Ok(Looked::Missing),
        Err(Errno::ENOENT) => Ok(Looked::Hidden),
        Err(errno) => Err(errno.into()),
    }
}

/// Owner and extended attributes, but for the overlay's own.
pub(super) fn copy_attributes(from: &Found, at: BorrowedFd, name: &CString, marks: Marks) -> Result<()> {
    let stat = &from.stat;
    if (stat.uid, stat.gid) != tree::effective_ids() {
        tree::fchownat(at, name, stat.uid, stat.gid).with(|| format!("chown {name:?}"))?;
    }
    let copy = || -> Result<()> {
        for key in xattr::llistxattrat(from.at.as_fd(), &from.name)? {
            if marks.unescape(key.to_bytes()).is_none() || key.to_bytes() == b"security.selinux" {
                continue;
            }
            if let Some(value) = xattr::lgetxattrat(from.at.as_fd(), &from.name, &key)? {
                xattr::lsetxattrat(at, name, &key, &value)?;
            }
        }
        Ok(())
    };
    copy().with(|| format!("copy extended attributes of {name:?}"))
}
