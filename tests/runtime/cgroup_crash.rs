//! What must not be left: after many containers, and after a runtime that was killed half-way.

use crate::kit::*;
use std::collections::BTreeMap;

#[test]
fn two_hundred_containers_leave_no_cgroup() {
    // Where a CPU is emulated each takes a second.
    let count = if host::systemd() { 20 } else { 200 };
    let scene = Scene::new();
    let first = scene.sh("sleep 1000").create();
    let bundle = first.bundle_dir().to_str().unwrap();
    let ids: Vec<String> = (0..count).map(|number| format!("{}-{number}", first.id())).collect();
    let top = format!("/{}-top", first.id());
    let config = std::fs::read_to_string(first.bundle_dir().join("config.json")).unwrap();
    for id in &ids {
        let config = config.replace(&format!("\"/{}\"", first.id()), &format!("\"{top}/{id}\""));
        std::fs::write(first.bundle_dir().join("config.json"), config).unwrap();
        scene.call(["create", "--bundle", bundle, id]).run().ok();
    }
    let listed = scene.call(["list", "--format", "json"]).run().json();
    assert_eq!(listed.as_array().unwrap().len(), ids.len() + 1);
    for (verb, status) in [("pause", "paused"), ("resume", "created")] {
        for id in &ids {
            scene.call([verb, id]).run().ok();
        }
        let listed = scene.call(["list", "--format", "json"]).run().json();
        let states = listed.as_array().unwrap().iter().filter(|entry| entry["status"] == status).count();
        // A created container stays one while it is paused: it runs nothing yet.
        assert!(states >= ids.len() || verb == "pause", "{verb}: {listed}");
    }
    for id in &ids {
        scene.call(["delete", "--force", id]).run().ok();
        assert!(cgroup::find(&format!("{top}/{id}")).is_empty(), "the cgroup of {id} is left");
    }
    cgroup::destroy(&top);
}

/// The parent's system calls while it creates, by name: how often each.
fn calls(bundle: &Bundle) -> BTreeMap<String, usize> {
    let log = bundle.path("calls");
    let strace = ["strace", "-qqq", "-o", log.to_str().unwrap()];
    bundle.call_create(&[]).under(strace).run().ok();
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
    let text = std::fs::read_to_string(log).unwrap();
    let mut counts = BTreeMap::new();
    for name in text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name) {
        *counts.entry(name.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// kill -9 at a system call, then `delete --force`: nothing may be left. Every `step`th call is one.
fn killed_at(bundle: &Bundle, step: usize) {
    let calls = calls(bundle);
    let moments = calls.iter().flat_map(|(name, count)| (1..=*count).map(move |number| (name, number)));
    let mut killed = 0;
    for (name, number) in moments.step_by(step) {
        let (trace, inject) = (format!("trace={name}"), format!("inject={name}:signal=SIGKILL:when={number}"));
        let strace = ["strace", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let output = bundle.call_create(&[]).under(strace).run();
        killed += usize::from(output.code != 0);
        bundle.call(["delete", "--force", bundle.id()]).run().ok();
        let left = cgroup::find(bundle.cgroup());
        assert!(left.is_empty(), "killed at {name} {number}: {left:?}");
        bundle.leaves_nothing();
    }
    assert!(killed > 0, "nothing was killed");
}

#[test]
fn whatever_kills_create_delete_finds_what_is_left() {
    bolo_only!("others leave their cgroup");
    needs!(host::program("strace"), "no strace");
    needs!(!host::systemd(), "an emulated CPU is too slow for all of them");
    needs!(!peer::is_traced(), "strace is busy already");
    // BOLO_EVERY_CALL=1: all of them, which takes minutes.
    killed_at(&Bundle::idle(), if std::env::var_os("BOLO_EVERY_CALL").is_some() { 1 } else { 7 });
}

#[test]
fn whatever_kills_create_under_systemd_delete_finds_what_is_left() {
    bolo_only!("others leave their cgroup");
    needs!(host::systemd() && host::program("strace"), "systemd does not run here");
    killed_at(&Bundle::idle().systemd("system.slice"), 29);
}
