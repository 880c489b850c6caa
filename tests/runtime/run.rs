//! `run`: create, start, wait and delete in one.

use crate::kit::*;
use nix::sys::signal::Signal;
use std::fs::File;

#[test]
fn gives_the_output_and_leaves_nothing() {
    let bundle = Bundle::sh("echo bread; echo crumbs >&2");
    bundle.run().stdout_is("bread").stderr_has("crumbs");
    bundle.leaves_nothing();
}

#[test]
fn the_exit_code_is_the_programs() {
    for code in [0, 1, 7, 126, 127, 255] {
        Bundle::sh(&format!("exit {code}")).run().code_is(code);
    }
}

#[test]
fn death_by_a_signal_is_128_and_the_signal() {
    // A process in a pid namespace of its own is not killed by its own signals; so there is none here.
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGUSR1] {
        let output = Bundle::sh(&format!("kill -{} $$", signal as i32)).without_namespace("pid").run();
        output.code_is(128 + signal as i32);
    }
}

#[test]
fn others_may_change_what_runs_in_the_foreground() {
    needs!(peer::v2() || host::controller("freezer"), "no freezer");
    let bundle = Bundle::sh("echo ready; sleep 1000");
    let running = bundle.call_run(&[]).spawn();
    running.wait_stdout("ready");
    bundle.call(["pause", bundle.id()]).run().ok();
    bundle.call(["resume", bundle.id()]).run().ok();
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
    running.wait();
    bundle.leaves_nothing();
}

#[test]
fn stdin_is_passed_on() {
    Bundle::sh("cat; echo end").call_run(&[]).stdin_text("flour\nwater\n").run().stdout_is("flour\nwater\nend");
}

#[test]
fn much_output_is_passed_on() {
    let output = Bundle::sh("seq 1 200000").run().ok();
    assert_eq!(output.stdout.lines().count(), 200_000);
    assert!(output.stdout.ends_with("\n200000\n"));
}

#[test]
fn detached() {
    let bundle = Bundle::idle();
    let file = bundle.path("pid");
    bundle.call_run(&["--detach", "--pid-file", file.to_str().unwrap()]).run().ok().stdout_lacks("error");
    let state = bundle.verb("state").json();
    assert_eq!(state["status"], "running");
    assert_eq!(std::fs::read_to_string(file).unwrap(), state["pid"].to_string());
}

#[test]
fn detached_and_short() {
    let bundle = Bundle::sh("true");
    bundle.call_run(&["-d"]).run().ok();
    wait("the container stops", || bundle.verb("state").json()["status"] == "stopped");
    bundle.verb("delete").ok();
    bundle.leaves_nothing();
}

#[test]
fn kept() {
    not_on!("runc<1.1 crun<1.7", "no --keep");
    let bundle = Bundle::sh("exit 5");
    bundle.call_run(&["--keep"]).run().code_is(5);
    assert_eq!(bundle.verb("state").json()["status"], "stopped");
    bundle.verb("delete").ok();
    bundle.leaves_nothing();
}

#[test]
fn in_the_foreground_the_state_says_running() {
    let bundle = Bundle::idle();
    let running = bundle.spawn();
    running.wait_stdout("ready");
    assert_eq!(bundle.verb("state").json()["status"], "running");
    running.signal(Signal::SIGTERM);
    running.wait().code_is(0);
    bundle.leaves_nothing();
}

#[test]
fn signals_are_passed_on() {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGQUIT];
    for signal in signals {
        let number = signal as i32;
        let script = format!("trap 'exit {number}' {number}; echo ready; sleep 1000 & while :; do wait; done");
        let bundle = Bundle::sh(&script);
        let running = bundle.spawn();
        running.wait_stdout("ready").signal(signal);
        running.wait().code_is(number);
    }
}

#[test]
fn killed_from_outside() {
    let bundle = Bundle::sh("echo ready; sleep 1000");
    let running = bundle.spawn();
    running.wait_stdout("ready");
    bundle.call(["kill", bundle.id(), "KILL"]).run().ok();
    running.wait().code_is(137);
    bundle.leaves_nothing();
}

#[test]
fn processes_that_the_program_left_end_with_it() {
    let bundle = Bundle::sh("sleep 1000 & echo done");
    bundle.run().stdout_is("done");
    bundle.leaves_nothing();
}

#[test]
fn without_a_pid_namespace_too() {
    let bundle = Bundle::sh("sleep 98765 & echo done").without_namespace("pid");
    bundle.run().stdout_is("done");
    bundle.leaves_nothing();
}

#[test]
fn orphans_do_not_confuse_it() {
    let script = "for i in 1 2 3 4 5 6 7 8; do ( ( exit 9 ) & ); done; sleep 0.2; exit 4";
    Bundle::sh(script).without_namespace("pid").run().code_is(4);
}

#[test]
fn without_becoming_a_subreaper() {
    Bundle::sh("exit 3").call_run(&["--no-subreaper"]).run().code_is(3);
}

#[test]
fn a_closed_stdout_is_no_crash() {
    let bundle = Bundle::sh("echo lost; exit 3");
    bundle.call_run(&[]).prelude("exec >&-").run().code_is(3);
    bundle.call_run(&[]).prelude("exec <&- >&- 2>&-").run().code_is(3);
    bundle.leaves_nothing();
}

#[test]
fn a_full_stdout_is_no_crash() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let bundle = Bundle::sh("exit 3");
    bundle.call_run(&[]).stdout(full()).stderr(full()).run().code_is(3);
    let bundle = bundle.args(["/no/such/program"]);
    let output = bundle.call_run(&[]).stdout(full()).stderr(full()).run();
    assert_eq!(output.code, 1, "{output}");
    bundle.leaves_nothing();
}

#[test]
fn signals_have_their_default_dispositions() {
    bolo_only!("a mask and dispositions as of a fresh process");
    // No shell between: some ignore SIGQUIT.
    let bundle = Bundle::program(["/bin/busybox", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    let call = bundle.call_run(&[]).under(["python3", "-c", IGNORING]);
    needs!(host::program("python3"), "no python3");
    call.run().stdout_is("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000");
}

const IGNORING: &str = "import os, signal, sys
for s in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGCHLD): signal.signal(s, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2, signal.SIGCHLD])
os.execvp(sys.argv[1], sys.argv[1:])";

#[test]
fn sigpipe_ends_a_program() {
    Bundle::sh("yes | head -n 1; echo still here").run().stdout_is("y\nstill here");
    Bundle::sh("(trap - PIPE; yes; echo $? >&2) | true; sleep 0.1").run().ok();
}

#[test]
fn the_id_is_free_again() {
    let bundle = Bundle::sh("echo again");
    for _ in 0..3 {
        bundle.run().stdout_is("again");
    }
}

#[test]
fn many_at_once() {
    let scene = Scene::new();
    let bundles: Vec<_> = (0..12).map(|n| scene.sh(&format!("echo {n}; exit {n}"))).collect();
    let running: Vec<_> = bundles.iter().map(Bundle::spawn).collect();
    for (number, running) in running.into_iter().enumerate() {
        running.wait().code_is(number as i32).stdout_is(&number.to_string());
    }
    for bundle in &bundles {
        bundle.leaves_nothing();
    }
}
