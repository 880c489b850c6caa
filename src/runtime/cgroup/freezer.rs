//! Stopping every process of a cgroup at once: the freezer controller of version 1, `cgroup.freeze` of version 2.

use super::place::Place;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::{Errno, OFlag, kernfs, process};
use std::os::fd::AsFd;

/// Milliseconds that the processes get to stop; one in an uninterruptible system call takes its time.
const FREEZE_WAIT_MS: i32 = 10_000;

pub(super) fn is_frozen(place: &Place) -> Result<bool> {
    let file = if place.is_v2() { "cgroup.freeze" } else { "freezer.state" };
    match place.read(file) {
        Ok(text) => Ok(matches!(text.trim(), "1" | "FROZEN" | "FREEZING")),
        // KERNEL(5.2): before it version 2 could not freeze; a cgroup that is gone is not frozen; the root has no file.
        Err(Errno::ENOENT | Errno::ENODEV) => Ok(false),
        Err(error) => Err(error).with(|| format!("read {}/{file}", place.shown())),
    }
}

pub(super) fn set(place: &Place, frozen: bool) -> Result<()> {
    let what = if frozen { "freeze" } else { "thaw" };
    let result = if place.is_v2() { set_v2(place, frozen) } else { set_v1(place, frozen) };
    result.with(|| format!("{what} cgroup {}", place.shown()))
}

fn set_v2(place: &Place, frozen: bool) -> Result<()> {
    place.write("cgroup.freeze", if frozen { "1" } else { "0" }).context("write cgroup.freeze")?;
    let events = place.open("cgroup.events", OFlag::O_RDONLY).context("open cgroup.events")?;
    let wanted = if frozen { "frozen 1" } else { "frozen 0" };
    let (mut waited, step) = (0, 10);
    loop {
        let mut buffer = [0; 256];
        let count = kernfs::read_start(&events, &mut buffer).context("read cgroup.events")?;
        if String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).lines().any(|line| line == wanted) {
            return Ok(());
        }
        if waited >= FREEZE_WAIT_MS {
            // It would freeze by and by, when nobody expects it any more.
            if frozen {
                place.write("cgroup.freeze", "0").context("write cgroup.freeze")?;
            }
            bail!("its processes did not stop within {} s", FREEZE_WAIT_MS / 1000);
        }
        kernfs::poll_changes([Some(events.as_fd())], step)?;
        waited += step;
    }
}

/// Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst: a cgroup can stay FREEZING when a process forks meanwhile;
/// the way out is to write FROZEN again, and THAWED now and then.
fn set_v1(place: &Place, frozen: bool) -> Result<()> {
    const FILE: &str = "freezer.state";
    let write = |word: &str| place.write(FILE, word).with(|| format!("write {word} to {FILE}"));
    if !frozen {
        return write("THAWED");
    }
    let (mut waited, mut round) = (0, 0);
    while waited < FREEZE_WAIT_MS {
        if round % 50 == 49 {
            write("THAWED")?;
        }
        write("FROZEN")?;
        if place.read(FILE).context("read freezer.state")?.trim() == "FROZEN" {
            return Ok(());
        }
        let pause = if round < 10 { 1 } else { 10 };
        process::pause(pause);
        waited += pause;
        round += 1;
    }
    write("THAWED")?;
    bail!("its processes did not stop within {} s", FREEZE_WAIT_MS / 1000)
}
