//! The container's cgroup: where it is, and that it goes.

use crate::kit::*;
use std::path::Path;

fn controller() -> &'static str {
    if host::controller("pids") { "pids" } else { "" }
}

#[test]
fn the_process_is_in_it() {
    let container = Bundle::idle().start();
    let procs = cgroup::procs(&cgroup::of(controller(), container.cgroup()));
    assert!(procs.contains(&container.pid()), "{procs:?}");
}

#[test]
fn so_it_is_when_created() {
    let container = Bundle::idle().create();
    assert_eq!(cgroup::procs(&cgroup::of(controller(), container.cgroup())), [container.pid()]);
}

#[test]
fn in_every_hierarchy() {
    needs!(!peer::v2(), "pure cgroup v2");
    let container = Bundle::idle().start();
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    for name in ["pids", "memory", "devices", "freezer", "blkio"] {
        let line =
            text.lines().find(|line| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|n| n == name)));
        let Some(line) = line else { continue };
        assert!(line.ends_with(&format!(":{}", container.cgroup())), "{line}");
    }
}

#[test]
fn it_goes_with_the_container() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    container.delete().ok();
    container.leaves_nothing();
}

#[test]
fn a_deep_path() {
    let bundle = Bundle::idle();
    let top = format!("/{}", bundle.id());
    let path = format!("{top}/a/b");
    let container = bundle.set("/linux/cgroupsPath", path.clone()).start();
    assert!(cgroup::procs(&cgroup::of(controller(), &path)).contains(&container.pid()));
    container.call(["delete", "--force", container.id()]).run().ok();
    assert!(cgroup::find(&path).is_empty());
    cgroup::destroy(&top);
}

#[test]
fn two_containers_in_one_parent() {
    let first = Bundle::idle();
    let top = format!("/{}-top", first.id());
    let second = first.scene().idle().set("/linux/cgroupsPath", format!("{top}/second")).start();
    let first = first.set("/linux/cgroupsPath", format!("{top}/first")).start();
    first.call(["delete", "--force", first.id()]).run().ok();
    assert!(host::alive(second.pid()));
    assert!(!cgroup::find(&format!("{top}/second")).is_empty());
    second.call(["delete", "--force", second.id()]).run().ok();
    cgroup::destroy(&top);
}

#[test]
fn without_a_path_it_is_named_after_the_container() {
    let container = Bundle::idle().remove("/linux/cgroupsPath").start();
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    assert!(text.lines().any(|line| line.ends_with(&format!("/{}", container.id()))), "{text}");
    let line = text.lines().find(|line| line.contains(container.id())).unwrap();
    let path = line.rsplit(':').next().unwrap().to_owned();
    container.call(["delete", "--force", container.id()]).run().ok();
    assert!(cgroup::find(&path).is_empty(), "{path}");
}

#[test]
fn a_path_never_leaves_the_hierarchy() {
    let bundle = Bundle::sh("true");
    let path = format!("/../../../../{}/../../{}", bundle.id(), bundle.id());
    let outside = [format!("/{}", bundle.id()), format!("/tmp/{}", bundle.id()), format!("/sys/{}", bundle.id())];
    let bundle = bundle.set("/linux/cgroupsPath", path);
    let _ = bundle.run();
    assert!(outside.iter().all(|path| !Path::new(path).exists()));
    let id = format!("/{}", bundle.id());
    cgroup::destroy(&id);
}

#[test]
fn a_limit_of_processes() {
    needs!(host::controller("pids"), "no pids controller");
    let bundle = Bundle::sh("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done").set("/linux/resources/pids/limit", 5);
    bundle.run().fails().stderr_has("fork");
}

#[test]
fn a_limit_of_memory_is_written() {
    needs!(host::controller("memory"), "no memory controller");
    let container = Bundle::idle().set("/linux/resources/memory/limit", 64 << 20).start();
    let file = if peer::v2() { "memory.max" } else { "memory.limit_in_bytes" };
    let text = std::fs::read_to_string(cgroup::of("memory", container.cgroup()).join(file)).unwrap();
    assert_eq!(text.trim(), (64 << 20).to_string());
}

#[test]
fn a_cgroup_with_foreign_processes_is_refused() {
    not_on!("crun runc<1.2", "joins it");
    let host = Bundle::idle();
    // Older than the host, so that the host goes first when the test is over.
    let bundle = host.scene().sh("true").set("/linux/cgroupsPath", host.cgroup());
    let host = host.start();
    bundle.try_create().fails();
    assert_eq!(host.status(), "running");
}

/// cgroups(7), "Thread mode": below a threaded cgroup there are threaded ones alone.
#[test]
fn below_a_threaded_cgroup() {
    needs!(peer::v2(), "not pure cgroup v2");
    not_on!("crun", "does not make it threaded");
    let bundle = Bundle::idle();
    let top = format!("/{}-top", bundle.id());
    let directory = cgroup::unified().join(top.trim_start_matches('/'));
    std::fs::create_dir_all(directory.join("threads")).unwrap();
    std::fs::write(directory.join("threads/cgroup.type"), "threaded").unwrap();
    let path = format!("{top}/threads/{}", bundle.id());
    let container = bundle.set("/linux/cgroupsPath", path.clone()).start();
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    assert!(text.lines().any(|line| line == format!("0::{path}")), "{text}");
    let kind = std::fs::read_to_string(cgroup::of("", &path).join("cgroup.type")).unwrap();
    assert_eq!(kind.trim(), "threaded");
    container.exec("cat /proc/self/cgroup").ok().stdout_has(container.id());
    container.call(["delete", "--force", container.id()]).run().ok();
    container.leaves_nothing();
    cgroup::destroy(&top);
}

#[test]
fn a_domain_that_is_not_one_any_more_says_so() {
    needs!(peer::v2() && host::controller("memory"), "no memory controller of version 2");
    let bundle = Bundle::sh("true");
    let top = format!("/{}-top", bundle.id());
    let directory = cgroup::unified().join(top.trim_start_matches('/'));
    std::fs::create_dir_all(directory.join("threads")).unwrap();
    std::fs::write(directory.join("threads/cgroup.type"), "threaded").unwrap();
    let path = format!("{top}/threads/{}", bundle.id());
    let bundle = bundle.set("/linux/cgroupsPath", path).set("/linux/resources/memory/limit", 64 << 20);
    let output = bundle.try_create();
    bundle.leaves_nothing();
    cgroup::destroy(&top);
    // Threads of one process share its memory: a threaded cgroup limits none.
    output.fails().bolo_says("memory");
}
