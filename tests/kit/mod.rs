//! The kit of the black-box tests. A test is three lines:
//!
//! ```ignore
//! Bundle::sh("hostname").set("/hostname", "tart").run().stdout_is("tart");
//! ```
//!
//! `BOLO` names the runtime under test (default: the one that cargo built), so that every test can be proven on another
//! runtime: `BOLO=runc cargo test --test runtime`. `BOLO_CGROUP=v2` shows every call of the runtime a pure cgroup v2
//! host; `BOLO_NO_OPENAT2=1` a kernel without openat2(2). Needs root, and busybox-static for the root filesystem.

#![allow(dead_code, reason = "the programs of tests share the kit, and each uses a part of it")]

pub mod agent;
mod bundle;
mod call;
pub mod cgroup;
mod container;
pub mod host;
mod mountinfo;
mod output;
pub mod peer;
pub mod probe;
pub mod pty;
mod rootfs;
mod scene;
pub mod skip;
pub mod socket;
pub mod user;

pub use crate::{bolo_only, needs, not_on};
pub use bundle::{Bundle, give};
pub use call::{Call, Running};
pub use container::Container;
pub use mountinfo::MountPoint;
pub use output::Output;
pub use scene::Scene;
pub use serde_json::{Value, json};

use std::time::{Duration, Instant};

/// How long something may take that should take no time at all. It never decides a test; it only ends a hang.
pub const HANG: Duration = Duration::from_secs(120);

/// Waits for `done` to give something, and gives that.
#[track_caller]
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(began.elapsed() < HANG, "waited {HANG:?} in vain: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Waits for `done` to be true.
#[track_caller]
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    until(what, || done().then_some(()));
}
