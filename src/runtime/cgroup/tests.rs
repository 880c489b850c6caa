//! On this host's own hierarchies, in cgroups of our own that are removed at the end. They need root; the same tests run
//! where only version 2 is mounted.

use super::*;
use serde_json::json;
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

fn resources(value: serde_json::Value) -> Resources {
    serde_json::from_value(value).unwrap()
}

impl Guard {
    fn file(&self, controller: &str, file: &str) -> String {
        write::find(&self.0.places, controller).unwrap().read(file).unwrap().trim().to_owned()
    }
}

#[test]
fn limits_are_written_and_an_update_that_fails_takes_them_back() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("limits");
    guard.0.create().unwrap();
    if guard.0.v1("memory").is_none() || guard.0.v1("pids").is_none() {
        eprintln!("SKIPPED: no version 1 hierarchies of memory and pids");
        return;
    }
    let old = resources(json!({
        "memory": {"limit": 50_000_000, "swap": 80_000_000}, "pids": {"limit": 7}, "cpu": {"shares": 100}
    }));
    guard.0.apply(&old).unwrap();
    assert_eq!(guard.file("pids", "pids.max"), "7");
    assert_eq!(guard.file("memory", "memory.limit_in_bytes"), (50_000_000 / 4096 * 4096).to_string());
    // Both go up: the kernel wants the sum first; both go down: the other way round.
    for limit in [90_000_000, 40_000_000] {
        let new = resources(json!({"memory": {"limit": limit, "swap": limit + 4096 * 10}}));
        guard.0.update(&old, &new, &new).unwrap();
        assert_eq!(guard.file("memory", "memory.limit_in_bytes"), (limit / 4096 * 4096).to_string());
    }
    let before = guard.file("memory", "memory.limit_in_bytes");
    let bad = resources(json!({"memory": {"limit": 60_000_000, "swap": 60_000_000}, "cpu": {"shares": 1}}));
    let error = guard.0.update(&old, &bad, &bad).unwrap_err().to_string();
    assert_eq!(error, "linux.resources.cpu.shares: 1 is out of range: the kernel made it 2");
    assert_eq!(guard.file("memory", "memory.limit_in_bytes"), before);
    assert_eq!(guard.file("cpu", "cpu.shares"), "100");
    // What was not asked for is not written.
    std::fs::write(format!("{}/pids.max", guard.0.v1("pids").unwrap().shown()), "9").unwrap();
    guard.0.update(&old, &resources(json!({"cpu": {"shares": 50}})), &old).unwrap();
    assert_eq!(guard.file("pids", "pids.max"), "9");
    assert_eq!(guard.file("cpu", "cpu.shares"), "100");
}

#[test]
fn a_limit_that_this_host_cannot_set_says_why() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("missing");
    guard.0.create().unwrap();
    let error = guard.0.apply(&resources(json!({"rdma": {"mlx": {"hcaHandles": 1}}}))).unwrap_err().to_string();
    let here = guard.0.v2().unwrap();
    let has = here.read("cgroup.controllers").unwrap();
    if !has.contains("rdma") {
        let has = if has.trim().is_empty() { "none" } else { has.trim() };
        let why = format!("the cgroup controller \"rdma\" is not available in {} (there: {has})", here.shown());
        assert_eq!(error, format!("linux.resources.rdma[\"mlx\"]: {why}"));
    }
    let error = guard.0.apply(&resources(json!({"unified": {"cgroup.nonsense": "1"}}))).unwrap_err().to_string();
    let why = format!("{} has no file cgroup.nonsense: this kernel does not support it", here.shown());
    assert_eq!(error, format!("linux.resources.unified[\"cgroup.nonsense\"]: {why}"));
}

#[test]
fn version_2_controllers_are_handed_down() {
    if !root() {
        return;
    }
    let mut guard = Guard::new("down/deep");
    guard.0.create().unwrap();
    let here = guard.0.v2().unwrap();
    let all = std::fs::read_to_string(format!("{}/cgroup.controllers", here.mount)).unwrap();
    assert_eq!(here.read("cgroup.controllers").unwrap(), all);
    guard.0.remove().unwrap();
    for place in &guard.0.places {
        place.unmake(1, 1);
    }
}
