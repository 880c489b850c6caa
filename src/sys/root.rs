//! A directory that paths are resolved under. Every path inside a rootfs or a layer goes through here: it can name
//! nothing outside, whatever symbolic links, `..` and renames are in it (CVE-2019-18837, CVE-2021-30465, CVE-2024-45310
//! and a dozen others were a path below a rootfs resolved as a string).
//!
//! KERNEL(5.6): openat2 does the resolution; where it is missing or a sandbox forbids it, [`walk`] does the same one
//! component at a time.

use super::{Errno, Result};
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

const O_PATH_CLOEXEC: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);
/// As many as the kernel follows before ELOOP.
const SYMLINKS_MAX: usize = 40;
/// openat2 gives EAGAIN when a rename raced with a `..`; an attacker can keep that up, we do not.
const RACES_MAX: usize = 128;

#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// `path` is trusted: an ordinary path of the host.
    pub fn open(path: &Path) -> Result<Root> {
        // Not open(3): see fd::open.
        nix::fcntl::openat(nix::fcntl::AT_FDCWD, path, O_PATH_CLOEXEC | OFlag::O_DIRECTORY, Mode::empty())
            .map(Root::from)
    }

    pub fn try_clone(&self) -> Result<Root> {
        self.fd.try_clone().map(Root::from).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))
    }

    /// What `path` names, as an O_PATH descriptor; symbolic links are followed, inside.
    pub fn resolve(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_at(path, OFlag::O_PATH, Mode::empty())
    }

    /// Like [`Root::resolve`], but a symbolic link as the last component is itself what is meant.
    pub fn resolve_link(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_at(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, Mode::empty())
    }

    /// A directory whose path has no symbolic link in it at all (ELOOP otherwise).
    pub fn resolve_real(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        let path = path.as_ref().strip_prefix("/").unwrap_or(path.as_ref());
        let mut here = self.fd.try_clone().map_err(|_| Errno::EMFILE)?;
        for part in path.components() {
            let Component::Normal(name) = part else { return Err(Errno::EINVAL) };
            let flags = O_PATH_CLOEXEC | OFlag::O_NOFOLLOW;
            let next = nix::fcntl::openat(&here, name, flags, Mode::empty())?;
            match file_type(next.as_fd())? {
                libc::S_IFDIR => here = next,
                libc::S_IFLNK => return Err(Errno::ELOOP),
                _ => return Err(Errno::ENOTDIR),
            }
        }
        Ok(here)
    }

    /// `open(2)` with every component resolved inside. O_CREAT works; O_CLOEXEC is always added.
    pub fn open_at(&self, path: impl AsRef<Path>, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(mode)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let path_or_dot = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        for _ in 0..RACES_MAX {
            match nix::fcntl::openat2(&self.fd, path_or_dot, how) {
                Err(Errno::EAGAIN) => {}
                Err(Errno::ENOSYS | Errno::EPERM) => return walk(self.fd(), path, flags, mode),
                result => return result,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// The directory that holds `path`'s last component, and that component's name, which nobody followed. An error
    /// (EINVAL) where there is no such name: `/`, `.`, `a/..`.
    pub fn parent(&self, path: impl AsRef<Path>) -> Result<(OwnedFd, CString)> {
        let path = path.as_ref();
        let name = file_name(path).ok_or(Errno::EINVAL)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let fd = self.open_at(directory, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok((fd, name))
    }

    /// `mkdir -p`: the directory at `path`, made with `mode` where missing, parents too. A dangling symbolic link on
    /// the way is followed and its target made, inside.
    pub fn create_dir_all(&self, path: impl AsRef<Path>, mode: Mode) -> Result<OwnedFd> {
        match self.open_at(path.as_ref(), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()) {
            Err(Errno::ENOENT) => self.create_dirs(path.as_ref().to_owned(), mode),
            found => found,
        }
    }

    /// A file that something can be mounted on: whatever is at `path`, or an empty regular file made there.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: Mode, dir_mode: Mode) -> Result<OwnedFd> {
        let mut path = path.as_ref().to_owned();
        for _ in 0..SYMLINKS_MAX {
            match self.resolve(&path) {
                Err(Errno::ENOENT) => {}
                found => return found,
            }
            let name = file_name(&path).ok_or(Errno::EINVAL)?;
            let directory = path.parent().unwrap_or(Path::new("")).to_owned();
            let parent = self.create_dir_all(&directory, dir_mode)?;
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            match nix::fcntl::openat(&parent, name.as_c_str(), flags, mode) {
                Ok(file) => return Ok(file),
                // A dangling link, or somebody else was faster.
                Err(Errno::EEXIST) => {
                    if let Ok(target) = readlink(parent.as_fd(), &name) {
                        path = directory.join(target);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Errno::ELOOP)
    }

    fn create_dirs(&self, mut path: PathBuf, mode: Mode) -> Result<OwnedFd> {
        for _ in 0..SYMLINKS_MAX {
            match self.create_dirs_until_link(&path, mode)? {
                Made::Directory(fd) => return Ok(fd),
                Made::Link(target) => path = target,
            }
        }
        Err(Errno::ELOOP)
    }

    fn create_dirs_until_link(&self, path: &Path, mode: Mode) -> Result<Made> {
        let mut here = self.open_at("", OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        let mut done = PathBuf::new();
        let mut parts = path.components();
        while let Some(part) = parts.next() {
            let below = done.join(match part {
                Component::Normal(name) => name,
                Component::ParentDir => OsStr::new(".."),
                _ => continue,
            });
            here = match self.open_at(&below, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()) {
                Err(Errno::ENOENT) => {
                    let name = file_name(&below).ok_or(Errno::ENOENT)?;
                    match nix::sys::stat::mkdirat(&here, name.as_c_str(), mode) {
                        Ok(()) => {}
                        Err(Errno::EEXIST) => {
                            if let Ok(target) = readlink(here.as_fd(), &name) {
                                return Ok(Made::Link(done.join(target).join(parts.as_path())));
                            }
                        }
                        Err(error) => return Err(error),
                    }
                    let flags = O_PATH_CLOEXEC | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
                    nix::fcntl::openat(&here, name.as_c_str(), flags, Mode::empty())?
                }
                found => found?,
            };
            done = below;
        }
        Ok(Made::Directory(here))
    }
}

enum Made {
    Directory(OwnedFd),
    /// A dangling symbolic link was in the way; this path goes on behind it.
    Link(PathBuf),
}

impl From<OwnedFd> for Root {
    fn from(fd: OwnedFd) -> Self {
        Root { fd }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Root {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The last component where it is an ordinary name.
fn file_name(path: &Path) -> Option<CString> {
    match path.components().next_back() {
        Some(Component::Normal(name)) => CString::new(name.as_bytes()).ok(),
        _ => None,
    }
}

fn readlink(directory: BorrowedFd, name: &CStr) -> Result<PathBuf> {
    nix::fcntl::readlinkat(directory, name).map(PathBuf::from)
}

/// What openat2 with RESOLVE_IN_ROOT does, by hand: no component is ever followed by the kernel, and `..` goes back to
/// the descriptor it came from, so that a directory moved meanwhile cannot lead outside.
fn walk(root: BorrowedFd, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
    let own = |fd: BorrowedFd| fd.try_clone_to_owned().map_err(|_| Errno::EMFILE);
    let mut above: Vec<OwnedFd> = vec![own(root)?];
    let mut left: Vec<Vec<u8>> = components_reversed(path.as_os_str().as_bytes());
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == b".." {
            if above.len() > 1 {
                above.pop();
            }
            continue;
        }
        let here = above.last().ok_or(Errno::ENOENT)?;
        let name = CString::new(part).map_err(|_| Errno::EINVAL)?;
        let last = left.is_empty();
        let next = match nix::fcntl::openat(here, name.as_c_str(), O_PATH_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty()) {
            Err(Errno::ENOENT) if last && flags.contains(OFlag::O_CREAT) => {
                return nix::fcntl::openat(here, name.as_c_str(), flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, mode);
            }
            next => next?,
        };
        let kind = file_type(next.as_fd())?;
        if kind == libc::S_IFLNK && !(last && flags.contains(OFlag::O_NOFOLLOW)) {
            links += 1;
            if links > SYMLINKS_MAX {
                return Err(Errno::ELOOP);
            }
            let target = nix::fcntl::readlinkat(&next, c"")?.into_vec();
            if target.first() == Some(&b'/') {
                above.truncate(1);
            }
            left.extend(components_reversed(&target));
        } else if last {
            // Opening the name again could meet something else; the descriptor in hand is what was checked.
            return reopen(here.as_fd(), &name, next, kind, flags, mode);
        } else {
            above.push(next);
        }
    }
    let here = above.pop().ok_or(Errno::ENOENT)?;
    reopen(here.as_fd(), c".", own(here.as_fd())?, libc::S_IFDIR, flags, mode)
}

fn components_reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect()
}

fn file_type(fd: BorrowedFd) -> Result<libc::mode_t> {
    Ok(nix::sys::stat::fstatat(fd, c"", AtFlags::AT_EMPTY_PATH)?.st_mode & libc::S_IFMT)
}

/// Turns the O_PATH descriptor of a walk into one with the flags that were asked for.
fn reopen(
    parent: BorrowedFd,
    name: &CStr,
    found: OwnedFd,
    kind: libc::mode_t,
    flags: OFlag,
    mode: Mode,
) -> Result<OwnedFd> {
    if flags.contains(OFlag::O_DIRECTORY) && kind != libc::S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    if flags.contains(OFlag::O_CREAT | OFlag::O_EXCL) {
        return Err(Errno::EEXIST);
    }
    if flags.contains(OFlag::O_PATH) {
        return Ok(found);
    }
    let again = nix::fcntl::openat(parent, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, mode)?;
    let (a, b) = (nix::sys::stat::fstat(&again)?, nix::sys::stat::fstatat(&found, c"", AtFlags::AT_EMPTY_PATH)?);
    if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) { Ok(again) } else { Err(Errno::EAGAIN) }
}

#[cfg(test)]
mod tests;
