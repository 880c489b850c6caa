//! One cgroup: a directory of one hierarchy.

use super::host::{self, Hierarchy};
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::root::Root;
use crate::sys::{self, Errno, Mode, OFlag, fd, kernfs, process};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// More than any file of a cgroup holds that we read whole.
const FILE_MAX: usize = 16 << 20;
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);
/// Milliseconds that killed processes get until they are out of their cgroup.
const REMOVE_WAIT_MS: i32 = 10_000;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    /// Where the hierarchy is mounted.
    pub(super) mount: String,
    /// The directory below, without a leading slash.
    pub(super) path: String,
    /// Version 1: what the hierarchy controls. None: this is the version 2 tree.
    pub(super) controllers: Vec<String>,
    #[serde(skip)]
    directory: OnceCell<OwnedFd>,
}

impl Place {
    pub(super) fn new(hierarchy: &Hierarchy, path: String) -> Self {
        let (mount, controllers) = (hierarchy.mount.clone(), hierarchy.controllers.clone());
        Place { mount, path, controllers, directory: OnceCell::new() }
    }

    /// The cgroup at `path`, which has been cleaned, below this one; an empty path: a second handle of this one.
    pub(super) fn below(&self, path: &str) -> Place {
        let path = if path.is_empty() { self.path.clone() } else { join(&self.path, path) };
        Place { mount: self.mount.clone(), path, controllers: self.controllers.clone(), directory: OnceCell::new() }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    pub(super) fn controls(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// A path to show to people.
    pub(super) fn shown(&self) -> String {
        join(&self.mount, &self.path)
    }

    fn root(&self) -> Result<Root> {
        Root::open(Path::new(&self.mount)).with(|| format!("open {}", self.mount))
    }

    /// An O_PATH descriptor of the directory, opened once.
    pub(super) fn directory(&self) -> sys::Result<BorrowedFd<'_>> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory.as_fd());
        }
        let found = Root::open(Path::new(&self.mount))?.open_at(&self.path, DIRECTORY, Mode::empty())?;
        Ok(self.directory.get_or_init(|| found).as_fd())
    }

    pub(super) fn read(&self, file: &str) -> sys::Result<String> {
        read_at(self.directory()?, file)
    }

    pub(super) fn write(&self, file: &str, value: &str) -> sys::Result<()> {
        write_at(self.directory()?, file, value)
    }

    pub(super) fn open(&self, file: &str, flags: OFlag) -> sys::Result<OwnedFd> {
        fd::openat(self.directory()?, &name(file)?, flags | OFlag::O_NOFOLLOW)
    }

    pub(super) fn give_to(&self, file: &str, uid: u32) -> sys::Result<()> {
        sys::tree::fchownat(self.directory()?, &name(file)?, uid, u32::MAX)
    }

    /// Makes the directory, and those above where missing. Returns how many of the path's last components are new:
    /// 0 where the directory was there.
    pub(super) fn make(&self) -> Result<usize> {
        let mode = Mode::from_bits_truncate(0o755);
        let root = self.root()?;
        let parts: Vec<&str> = self.path.split('/').collect();
        let mkdir = |count: usize| {
            let path = parts.get(..count).unwrap_or_default().join("/");
            kernfs::mkdirat(&root, &name(&path)?, mode)
        };
        // Nearly always everything above is there, so from the bottom up: how many are missing?
        let mut depth = parts.len();
        let made = loop {
            match mkdir(depth) {
                Err(Errno::ENOENT) if depth > 1 => depth -= 1,
                Err(Errno::EEXIST) if depth == parts.len() => return Ok(0),
                Ok(()) => break 1,
                // Somebody else was faster with what is above.
                Err(Errno::EEXIST) => break 0,
                Err(error) => return Err(error).with(|| format!("make cgroup {}", self.shown())),
            }
        };
        let mut made = made;
        for count in depth + 1..=parts.len() {
            match mkdir(count) {
                Ok(()) => made += 1,
                Err(Errno::EEXIST) => made = 0,
                Err(error) => {
                    self.unmake(parts.len() - count + 1, made);
                    return Err(error).with(|| format!("make cgroup {}", self.shown()));
                }
            }
        }
        Ok(made)
    }

    /// Takes back what [`Place::make`] made: `count` directories, above the last `skip` components of the path.
    pub(super) fn unmake(&self, skip: usize, count: usize) {
        let Ok(root) = self.root() else { return };
        let mut path = Path::new(&self.path);
        for step in 0..skip + count {
            if step >= skip
                && let Some(path) = path.to_str()
                && let Ok(path) = name(path)
                && kernfs::rmdirat(&root, &path).is_err()
            {
                return; // In use by somebody else now.
            }
            path = path.parent().unwrap_or(Path::new(""));
        }
    }

    /// cgroups(7), "cpuset": a new cpuset of version 1 allows no CPU and no memory node, and takes no process, before it
    /// was given some: those of the nearest cgroup above that has any.
    pub(super) fn inherit_cpuset(&self) -> Result<()> {
        let root = self.root()?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            self.inherit_file(&root, &self.path, file).with(|| format!("write {}/{file}", self.shown()))?;
        }
        Ok(())
    }

    fn inherit_file(&self, root: &Root, path: &str, file: &str) -> sys::Result<String> {
        let directory = root.open_at(path, DIRECTORY, Mode::empty())?;
        let own = read_at(directory.as_fd(), file)?;
        if path.is_empty() || !own.trim().is_empty() {
            return Ok(own);
        }
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        let value = self.inherit_file(root, above, file)?;
        write_at(directory.as_fd(), file, value.trim())?;
        Ok(value)
    }

    /// Refuses a directory that was there before and that holds processes, or would stop ours.
    pub(super) fn check_reusable(&self) -> Result<()> {
        let pids = self.pids()?;
        if !pids.is_empty() {
            bail!("cgroup {} is not empty: {} process(es) found", self.shown(), pids.len());
        }
        if (self.is_v2() || self.controls("freezer")) && super::freezer::is_frozen(self)? {
            bail!("cgroup {} is frozen: thaw it before a container is put there", self.shown());
        }
        Ok(())
    }

    /// Every process of the cgroup and of those below.
    pub(super) fn pids(&self) -> Result<Vec<process::pid_t>> {
        let mut pids = Vec::new();
        match self.directory().and_then(|directory| collect_pids(directory, &mut pids)) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => Ok(pids),
            Err(error) => Err(error).with(|| format!("read the processes of {}", self.shown())),
        }
    }

    /// Removes the directory and those that the container made below, waiting until what was killed is gone.
    pub(super) fn remove(&self) -> Result<()> {
        if self.path.is_empty() {
            return Ok(());
        }
        let shown = || format!("remove cgroup {}", self.shown());
        let root = match self.root() {
            Err(error) if error.errno() == Some(Errno::ENOENT) => return Ok(()),
            root => root?,
        };
        let path = name(&self.path).with(shown)?;
        let (mut waited, mut pause) = (0, 1);
        loop {
            match kernfs::rmdirat(&root, &path) {
                Ok(()) | Err(Errno::ENOENT) => return Ok(()),
                Err(Errno::EBUSY | Errno::EINTR) if waited < REMOVE_WAIT_MS => {}
                Err(error) => return Err(error).with(shown),
            }
            if let Ok(directory) = root.open_at(&self.path, DIRECTORY, Mode::empty())
                && remove_below(directory.as_fd()).with(shown)?
            {
                continue;
            }
            process::pause(pause);
            waited += pause;
            pause = (pause * 2).min(100);
        }
    }
}

pub(super) fn join(above: &str, below: &str) -> String {
    match (above, below) {
        ("", path) | (path, "") => path.to_owned(),
        (above, below) => format!("{}/{below}", above.trim_end_matches('/')),
    }
}

pub(super) fn name(text: &str) -> sys::Result<CString> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

pub(super) fn read_at(directory: BorrowedFd, file: &str) -> sys::Result<String> {
    let file = fd::openat(directory, &name(file)?, OFlag::O_RDONLY | OFlag::O_NOFOLLOW)?;
    Ok(String::from_utf8_lossy(&fd::read_up_to(file, FILE_MAX)?).into_owned())
}

pub(super) fn write_at(directory: BorrowedFd, file: &str, value: &str) -> sys::Result<()> {
    let file = fd::openat(directory, &name(file)?, OFlag::O_WRONLY | OFlag::O_NOFOLLOW)?;
    fd::write_once(file, value.as_bytes())
}

/// KERNEL: the list of a threaded cgroup's processes is refused with EOPNOTSUPP; its threads are listed instead.
fn collect_pids(directory: BorrowedFd, pids: &mut Vec<process::pid_t>) -> sys::Result<()> {
    let text = match read_at(directory, "cgroup.procs") {
        Err(Errno::EOPNOTSUPP) => read_at(directory, "cgroup.threads")?,
        text => text?,
    };
    // 0: a process that this pid namespace does not see.
    pids.extend(text.lines().filter_map(|line| line.parse().ok()).filter(|pid: &process::pid_t| *pid > 0));
    for child in kernfs::subdirectories(directory)? {
        match open_child(directory, &child).and_then(|child| collect_pids(child.as_fd(), pids)) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => {} // Removed meanwhile.
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open_child(directory: BorrowedFd, child: &CStr) -> sys::Result<OwnedFd> {
    fd::openat(directory, child, DIRECTORY | OFlag::O_NOFOLLOW)
}

/// Whether a cgroup below `directory` was removed.
fn remove_below(directory: BorrowedFd) -> sys::Result<bool> {
    let mut removed = false;
    for child in kernfs::subdirectories(directory)? {
        match open_child(directory, &child) {
            Ok(opened) => removed |= remove_below(opened.as_fd())?,
            Err(Errno::ENOENT) => continue,
            Err(error) => return Err(error),
        }
        removed |= kernfs::rmdirat(directory, &child).is_ok();
    }
    Ok(removed)
}

/// The cgroup of a process, below the mount of the hierarchy.
pub(super) fn of_process(hierarchy: &Hierarchy, proc_cgroup: &str) -> Option<String> {
    let path = host::parse_proc_cgroup(proc_cgroup, &hierarchy.controllers)?;
    // Not below what is mounted: it was made in another cgroup namespace, and the nearest that we see is the top.
    let below = if hierarchy.root == "/" { Some(path) } else { path.strip_prefix(&hierarchy.root) };
    let below = below.unwrap_or("").trim_matches('/');
    Some(if below.split('/').any(|part| part == "..") { String::new() } else { below.to_owned() })
}
