//! Users without root: cgroups that were delegated to them, and what may be missing.

use crate::kit::*;

const USER: u32 = 1000;

/// Of the runtime's calls that a user makes.
fn run(bundle: &Bundle, prelude: &str) -> Output {
    let call = bundle.call_run(&[]);
    let call = if prelude.is_empty() { call } else { call.prelude(prelude) };
    call.by_user(USER).run()
}

fn bundle(script: &str) -> Bundle {
    Bundle::sh(script).of_user(USER)
}

#[test]
fn without_permission_and_without_a_wish_there_is_no_cgroup() {
    run(&bundle("echo crumb").remove("/linux/cgroupsPath"), "").stdout_is("crumb");
}

#[test]
fn a_wish_that_permission_is_missing_for_is_an_error() {
    let limited = bundle("true").remove("/linux/cgroupsPath").set("/linux/resources/pids/limit", 9);
    run(&limited, "").fails().bolo_says("linux.resources.pids.limit");
    let placed = bundle("true");
    run(&placed, "").fails().bolo_says(placed.cgroup());
    limited.leaves_nothing();
    placed.leaves_nothing();
}

/// Root makes a cgroup, gives it to the user as systemd would, and the user's shell is in one below.
fn delegate(top: &str) -> String {
    let mut words = format!("d=/sys/fs/cgroup{top}; mkdir -p $d/shell; chown {USER} $d $d/shell");
    for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        words.push_str(&format!("; chown {USER} $d/{file} $d/shell/{file}"));
    }
    words.push_str("; echo $$ >$d/shell/cgroup.procs");
    words
}

#[test]
fn a_delegated_cgroup_is_used() {
    needs!(peer::v2(), "not pure cgroup v2");
    let bundle = bundle("grep ^0: /proc/self/cgroup").remove("/linux/cgroupsPath");
    let top = format!("/{}-top", bundle.id());
    let output = run(&bundle, &delegate(&top));
    cgroup::destroy(&top);
    output.stdout_is(&format!("0::{top}/{}", bundle.id()));
}

#[test]
fn limits_in_a_delegated_cgroup() {
    needs!(peer::v2() && host::controller("pids"), "no pids controller on cgroup v2");
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done";
    let bundle = bundle(script).remove("/linux/cgroupsPath").set("/linux/resources/pids/limit", 5);
    let top = format!("/{}-top", bundle.id());
    let output = run(&bundle, &format!("echo +pids >/sys/fs/cgroup/cgroup.subtree_control; {}", delegate(&top)));
    cgroup::destroy(&top);
    output.fails().stderr_has("fork");
}
