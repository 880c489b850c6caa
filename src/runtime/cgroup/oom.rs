//! Being told when the kernel ends a process of the cgroup for want of memory.

use super::place::Place;
use super::write;
use crate::error::{Context, Result};
use crate::sys::{Errno, OFlag, fd, kernfs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub struct OomWatch {
    /// Version 1: the eventfd that tells.
    counter: Option<OwnedFd>,
    /// `memory.oom_control` of version 1, `memory.events` of version 2.
    file: OwnedFd,
    /// How many processes were ended up to now.
    kills: u64,
}

impl OomWatch {
    /// None where the host counts no memory.
    pub(super) fn new(places: &[Place]) -> Result<Option<OomWatch>> {
        let Some(place) = write::find(places, "memory") else { return Ok(None) };
        let watch = if place.is_v2() { v2(place) } else { v1(place).map(Some) };
        watch.with(|| format!("watch the memory of cgroup {}", place.shown()))
    }

    /// Waits until it may have happened, the process has ended or `timeout` milliseconds are over; whether the process
    /// has ended.
    pub fn wait(&self, pidfd: BorrowedFd, timeout: i32) -> crate::sys::Result<bool> {
        match &self.counter {
            Some(counter) => kernfs::poll_process(pidfd, Some(counter.as_fd()), None, timeout),
            None => kernfs::poll_process(pidfd, None, Some(self.file.as_fd()), timeout),
        }
    }

    /// Whether it has happened since the last question.
    pub fn has_happened(&mut self) -> bool {
        // The eventfd fires too when the cgroup is removed.
        let told = self.counter.as_ref().is_some_and(|counter| fd::read_up_to(counter, 8).is_ok());
        let Ok(memory) = read(&self.file) else { return false };
        let more = memory.kills > self.kills;
        self.kills = memory.kills;
        // A process that waits, because the killer is off, is news too.
        more || (told && memory.waits)
    }
}

/// Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
fn v1(place: &Place) -> crate::sys::Result<OomWatch> {
    let counter = kernfs::eventfd()?;
    let file = place.open("memory.oom_control", OFlag::O_RDONLY)?;
    place.write("cgroup.event_control", &format!("{} {}", counter.as_raw_fd(), file.as_raw_fd()))?;
    let kills = read(&file)?.kills;
    Ok(OomWatch { counter: Some(counter), file, kills })
}

fn v2(place: &Place) -> crate::sys::Result<Option<OomWatch>> {
    match place.open("memory.events", OFlag::O_RDONLY) {
        Err(Errno::ENOENT) => Ok(None),
        file => {
            let file = file?;
            let kills = read(&file)?.kills;
            Ok(Some(OomWatch { counter: None, file, kills }))
        }
    }
}

struct Memory {
    kills: u64,
    waits: bool,
}

/// Both files have a line `oom_kill N`; version 1 has `under_oom 1` while a process waits for memory.
fn read(file: &OwnedFd) -> crate::sys::Result<Memory> {
    let mut buffer = [0; 1024];
    let count = kernfs::read_start(file, &mut buffer)?;
    let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
    let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
    Ok(Memory { kills: kills.unwrap_or(0), waits: text.lines().any(|line| line == "under_oom 1") })
}
