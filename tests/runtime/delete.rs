//! `delete`

use crate::kit::*;

#[test]
fn a_stopped_container() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    container.delete().ok().stdout_is("").stderr_is_empty();
    container.leaves_nothing();
    container.delete().code_is(1).bolo_says(container.id());
}

#[test]
fn a_running_container_is_refused() {
    let container = Bundle::idle().start();
    container.delete().fails();
    assert_eq!(container.status(), "running");
}

#[test]
fn a_created_container_goes() {
    not_on!("crun", "refuses without --force");
    let container = Bundle::idle().create();
    let pid = container.pid();
    container.delete().ok();
    assert!(!host::alive(pid));
    container.leaves_nothing();
}

#[test]
fn a_running_container_by_force() {
    for flag in ["--force", "-f"] {
        let container = Bundle::sh("trap '' TERM; echo ready; while :; do sleep 0.1; done").start();
        container.wait_stdout("ready");
        let pid = container.pid();
        container.call(["delete", flag, container.id()]).run().ok();
        assert!(!host::alive(pid));
        container.leaves_nothing();
    }
}

#[test]
fn a_paused_container_by_force() {
    let container = Bundle::idle().start();
    container.verb("pause").ok();
    let pid = container.pid();
    container.call(["delete", "--force", container.id()]).run().ok();
    assert!(!host::alive(pid));
    container.leaves_nothing();
}

#[test]
fn all_processes_by_force_without_a_pid_namespace() {
    let container = Bundle::sh("sleep 1000 & echo $! ready; wait").without_namespace("pid").start();
    container.wait_stdout("ready");
    let output = container.stdout();
    let child: i32 = output.split(' ').next().unwrap().parse().unwrap();
    assert!(host::alive(child));
    container.call(["delete", "--force", container.id()]).run().ok();
    wait("the child ends", || !host::alive(child));
    container.leaves_nothing();
}

#[test]
fn nobody() {
    let scene = Scene::new();
    scene.call(["delete", "nobody"]).run().code_is(1).bolo_says("nobody");
    scene.call(["delete", "--force", "nobody"]).run().ok();
}

#[test]
fn needs_no_bundle() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    std::fs::remove_dir_all(container.bundle_dir()).unwrap();
    container.delete().ok();
    container.leaves_nothing();
}

#[test]
fn removes_cgroups_that_the_container_made() {
    let container = Bundle::idle().start();
    let below = cgroup::of("pids", container.cgroup()).join("made/inside");
    std::fs::create_dir_all(&below).unwrap();
    container.call(["delete", "--force", container.id()]).run().ok();
    container.leaves_nothing();
}
