//! `kill`

use crate::kit::*;

fn trapping(signal: &str) -> Container {
    let script = format!("trap 'echo got; exit 0' {signal}; echo ready; sleep 1000 & while :; do wait; done");
    let container = Bundle::sh(&script).start();
    container.wait_stdout("ready");
    container
}

#[test]
fn sends_sigterm_by_default() {
    let container = trapping("TERM");
    container.verb("kill").ok().stdout_is("").stderr_is_empty();
    container.wait_stdout("got");
}

#[test]
fn knows_names_and_numbers() {
    for word in ["USR1", "SIGUSR1", "10"] {
        let container = trapping("USR1");
        container.kill(word).ok();
        container.wait_stdout("got");
    }
}

#[test]
fn names_may_be_small() {
    not_on!("crun<1.9", "only capital letters");
    for word in ["usr1", "sigusr1"] {
        let container = trapping("USR1");
        container.kill(word).ok();
        container.wait_stdout("got");
    }
}

#[test]
fn knows_realtime_signals() {
    let container = trapping("37");
    container.kill("37").ok();
    container.wait_stdout("got");
}

#[test]
fn knows_realtime_signals_by_name() {
    not_on!("runc", "only numbers");
    for word in ["SIGRTMIN+3", "RTMIN+3"] {
        let container = trapping("37");
        container.kill(word).ok();
        container.wait_stdout("got");
    }
    bolo_only!("counts down from SIGRTMAX");
    let container = trapping("63");
    container.kill("SIGRTMAX-1").ok();
    container.wait_stdout("got");
}

#[test]
fn refuses_what_is_no_signal() {
    let container = Bundle::idle().start();
    for word in ["SIGBREAD", "BREAD", "-3"] {
        let output = container.call(["kill", "--", container.id(), word]).run().fails();
        assert!(!word.contains("BREAD") || output.stderr.contains(word), "{output}");
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn refuses_numbers_that_no_signal_has() {
    bolo_only!("runc and crun leave it to the kernel");
    let container = Bundle::idle().start();
    for word in ["65", "1000", "99999999999", "9x"] {
        container.kill(word).fails().stderr_has(word);
    }
}

#[test]
fn a_created_container() {
    let container = Bundle::idle().create();
    container.kill("KILL").ok();
    container.wait_stopped();
    container.delete().ok();
}

#[test]
fn a_stopped_container_is_an_error() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    container.kill("TERM").fails();
}

#[test]
fn nobody() {
    Scene::new().call(["kill", "nobody", "TERM"]).run().code_is(1).bolo_says("nobody");
}

#[test]
fn only_the_first_process_gets_the_signal() {
    let script = "trap 'echo parent' USR1; (trap 'echo child' USR1; echo ready; while :; do sleep 0.01; done) & \
        while :; do sleep 0.01; done";
    let container = Bundle::sh(script).start();
    container.wait_stdout("ready").kill("USR1").ok();
    container.wait_stdout("parent");
    assert!(!container.stdout().contains("child"));
}

#[test]
fn all_processes_with_all() {
    let script = "trap 'echo parent' USR1; (trap 'echo child' USR1; echo ready; while :; do sleep 0.01; done) & \
        while :; do sleep 0.01; done";
    let container = Bundle::sh(script).start();
    container.wait_stdout("ready");
    container.call(["kill", "--all", container.id(), "USR1"]).run().ok();
    container.wait_stdout("child").wait_stdout("parent");
}

/// All processes of a container whose processes share the host's pid namespace.
fn container_on_the_hosts_pids() -> (Container, Vec<i32>) {
    let container = Bundle::sh("sleep 1000 & sleep 1000 & echo ready; wait").without_namespace("pid").start();
    container.wait_stdout("ready");
    let controller = if host::controller("pids") { "pids" } else { "" };
    let pids = cgroup::procs(&cgroup::of(controller, container.cgroup()));
    assert_eq!(pids.len(), 3, "{pids:?}");
    (container, pids)
}

#[test]
fn kill_without_a_pid_namespace_takes_all() {
    not_on!("runc<1.2", "needs --all");
    not_on!("crun<1.10", "needs --all");
    let (container, pids) = container_on_the_hosts_pids();
    container.kill("KILL").ok();
    wait("all processes end", || !pids.iter().any(|pid| host::alive(*pid)));
    container.delete().ok();
    container.leaves_nothing();
}

#[test]
fn kill_all_without_a_pid_namespace() {
    let (container, pids) = container_on_the_hosts_pids();
    container.call(["kill", "-a", container.id(), "KILL"]).run().ok();
    wait("all processes end", || !pids.iter().any(|pid| host::alive(*pid)));
    container.delete().ok();
    container.leaves_nothing();
}

#[test]
fn kill_all_when_the_first_process_is_gone() {
    let (container, pids) = container_on_the_hosts_pids();
    container.kill("KILL").ok();
    container.wait_stopped();
    // What it must not do is to fail: engines call it to sweep up.
    container.call(["kill", "--all", container.id(), "KILL"]).run().ok();
    wait("all processes end", || !pids.iter().any(|pid| host::alive(*pid)));
}

#[test]
fn a_stranger_who_has_the_pid_by_now_is_left_alone() {
    let container = Bundle::idle().start();
    let pid = container.pid();
    container.kill("KILL").ok();
    container.wait_stopped();
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let path = super::list::find_state_file(&container.scene().root().join(container.id()));
    let state = std::fs::read_to_string(&path).unwrap();
    let state = state.replace(&pid.to_string(), &stranger.id().to_string());
    std::fs::write(&path, state).unwrap();
    let status = container.status();
    let kill = container.kill("KILL");
    container.call(["delete", "--force", container.id()]).run().ok();
    let lives = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(status, "stopped");
    kill.code_is(1).stderr_has("container not running");
    assert!(lives);
    container.leaves_nothing();
}
