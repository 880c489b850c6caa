//! On this host's own hierarchies, in cgroups of our own that are removed at the end. They need root; the same tests run
//! where only version 2 is mounted.

use super::*;
use std::process::{Child, Command};

/// A cgroup for one test, removed when the test ends however it ends.
pub(super) struct Guard(pub(super) Cgroup);

impl Guard {
    pub(super) fn new(name: &str) -> Self {
        let path = format!("/bolo-test-{}/{name}", std::process::id());
        Guard(Cgroup::locate(Some(&path), "id", false, false).unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill(SIGKILL);
        let _ = self.0.remove();
        for place in &self.0.places {
            place.unmake(1, 1);
        }
    }
}

pub(super) struct Sleeper(pub(super) Child);

impl Sleeper {
    pub(super) fn new() -> Self {
        Sleeper(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    pub(super) fn pid(&self) -> pid_t {
        self.0.id() as pid_t
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether we may make cgroups here; a skip is said loudly.
pub(super) fn root() -> bool {
    let may = nix::unistd::geteuid().is_root();
    if !may {
        eprintln!("SKIPPED: needs root");
    }
    may
}

#[test]
fn the_life_of_a_cgroup() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("life");
    let cgroup = &mut guard.0;
    cgroup.create().unwrap();
    assert!(cgroup.pids().unwrap().is_empty());
    let mut child = Sleeper::new();
    cgroup.attach(child.pid(), false).unwrap();
    assert_eq!(cgroup.pids().unwrap(), [child.pid()]);
    let proc_cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", child.pid())).unwrap();
    for place in &cgroup.places {
        let path = host::parse_proc_cgroup(&proc_cgroup, &place.controllers).unwrap();
        assert_eq!(path.trim_start_matches('/'), place.path, "{place:?}");
    }

    assert!(!cgroup.is_frozen().unwrap());
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen().unwrap());
    let again = Cgroup::locate(Some(&format!("/{}", cgroup.places[0].path)), "id", false, false).unwrap().create();
    assert!(again.unwrap_err().to_string().contains("is not empty: 1 process(es) found"));
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen().unwrap());

    // What the state directory keeps is as good.
    let text = serde_json::to_string(&*cgroup).unwrap();
    let kept: Cgroup = serde_json::from_str(&text).unwrap();
    kept.kill(SIGKILL).unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.0.wait().unwrap()), Some(SIGKILL));
    kept.remove().unwrap();
    for place in &kept.places {
        assert!(!std::path::Path::new(&place.shown()).exists());
    }
}

#[test]
fn a_frozen_cgroup_is_refused_and_an_empty_one_is_taken() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("frozen");
    guard.0.create().unwrap();
    guard.0.freeze().unwrap();
    let path = format!("/{}", guard.0.places[0].path);
    let mut second = Cgroup::locate(Some(&path), "id", false, false).unwrap();
    assert!(second.create().unwrap_err().to_string().contains("is frozen"));
    guard.0.thaw().unwrap();
    second.create().unwrap();
}

#[test]
fn a_failed_create_leaves_nothing() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("undo");
    let hybrid = guard.0.places.len() > 1;
    guard.0.places.retain(|place| (!hybrid || !place.is_v2()) && !place.controls("name=systemd"));
    // A name that the kernel refuses, in the last hierarchy.
    let last = guard.0.places.pop().unwrap();
    guard.0.places.push(last.below("made/x\ny"));
    assert_eq!(guard.0.create().unwrap_err().errno(), Some(Errno::EINVAL));
    for place in guard.0.places.iter().chain([&last]) {
        assert!(!std::path::Path::new(&place.shown()).exists(), "{place:?}");
    }
}

#[test]
fn a_frozen_tree_is_killed_and_removed_with_what_it_made_below() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("tree");
    let cgroup = &mut guard.0;
    cgroup.create().unwrap();
    let mut child = Sleeper::new();
    for place in &cgroup.places {
        let below = place.below("a/b");
        below.make().unwrap();
        if place.controls("cpuset") {
            below.inherit_cpuset().unwrap();
        }
        below.write("cgroup.procs", &child.pid().to_string()).unwrap();
    }
    assert_eq!(cgroup.of_process(child.pid()).unwrap().places[0].path, format!("{}/a/b", cgroup.places[0].path));
    assert_eq!(cgroup.below(&["/a/".into()]).unwrap().places[0].path, format!("{}/a", cgroup.places[0].path));
    assert!(cgroup.below(&["a/../..".into()]).is_err());
    assert!(cgroup.below(&["nowhere".into()]).is_err());
    assert_eq!(cgroup.pids().unwrap(), [child.pid()]);
    cgroup.freeze().unwrap();
    cgroup.kill(SIGKILL).unwrap();
    child.0.wait().unwrap();
    cgroup.remove().unwrap();
    assert!(!std::path::Path::new(&cgroup.places[0].shown()).exists());
}

#[test]
fn every_process_gets_a_signal_and_the_freezer_is_as_before() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("signal");
    guard.0.create().unwrap();
    let mut child = Sleeper::new();
    guard.0.attach(child.pid(), false).unwrap();
    guard.0.kill(nix::sys::signal::Signal::SIGTERM as i32).unwrap();
    let status = child.0.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert!(!guard.0.is_frozen().unwrap());
}
