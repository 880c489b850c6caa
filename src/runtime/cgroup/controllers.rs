//! Version 2: a cgroup has the controllers that every cgroup above it hands down (cgroup-v2.rst, "Enabling and
//! Disabling"), as far as those let us.

use super::place::{Place, read_at, write_at};
use crate::error::{Context, Result};
use crate::sys::root::Root;
use crate::sys::{self, Errno, Mode, OFlag};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

const AVAILABLE: &str = "cgroup.controllers";
const HANDED_DOWN: &str = "cgroup.subtree_control";

/// Hands every controller of the hierarchy down to `place`. What is refused is left out: only a limit that needs it is
/// an error.
pub(super) fn enable(place: &Place) -> Result<()> {
    let root = Root::open(Path::new(&place.mount)).with(|| format!("open {}", place.mount))?;
    let read = |file: &str| read_at(root.as_fd(), file).with(|| format!("read {}/{file}", place.mount));
    let all = read(AVAILABLE)?;
    let here = place.read(AVAILABLE).with(|| format!("read {}/{AVAILABLE}", place.shown()))?;
    if same(&all, &here) {
        return Ok(());
    }
    let mut above = String::new();
    for part in place.path.split('/') {
        let directory = root.open_at(&above, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty());
        let directory = directory.with(|| format!("open {}/{above}", place.mount))?;
        hand_down(directory.as_fd()).with(|| format!("read {}/{above}/{HANDED_DOWN}", place.mount))?;
        above = super::place::join(&above, part);
    }
    Ok(())
}

fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().all(|name| other.split_whitespace().any(|other| other == name))
}

fn hand_down(directory: BorrowedFd) -> sys::Result<()> {
    let (available, handed) = (read_at(directory, AVAILABLE)?, read_at(directory, HANDED_DOWN)?);
    let missing: Vec<&str> =
        available.split_whitespace().filter(|name| !handed.split_whitespace().any(|other| other == *name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    if write_at(directory, HANDED_DOWN, &all.join(" ")).is_err() {
        // One that cannot be had (EBUSY: processes are in this very cgroup) refuses the others too.
        for one in all {
            let _ = write_at(directory, HANDED_DOWN, &one);
        }
    }
    Ok(())
}

/// KERNEL(4.14): below a threaded cgroup a new one takes no process before it is made threaded too; a threaded cgroup
/// limits neither memory nor I/O.
pub(super) fn make_threaded(place: &Place) -> sys::Result<()> {
    match place.read("cgroup.type")?.trim() {
        "domain invalid" => place.write("cgroup.type", "threaded"),
        _ => Err(Errno::EOPNOTSUPP),
    }
}
