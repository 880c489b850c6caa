//! NOTIFY_SOCKET (sd_notify(3)): a service manager hears when the program in a container is ready.

use crate::kit::socket::NotifySocket;
use crate::kit::*;
use std::os::unix::net::UnixDatagram;

/// The word of a program in the container of process `pid`.
fn say(pid: i32, words: &str) {
    let path = format!("/proc/{pid}/root/run/notify/notify.sock");
    let socket = UnixDatagram::unbound().unwrap();
    until("the container's socket", || socket.connect(&path).ok());
    socket.send(words.as_bytes()).unwrap();
}

fn pid_in(path: &std::path::Path) -> i32 {
    until("a pid file", || std::fs::read_to_string(path).ok()?.trim().parse().ok())
}

/// What the manager of a service hears, in this order and nothing more.
#[track_caller]
fn hears_ready(manager: &NotifySocket, pid: i32) {
    assert_eq!(manager.receive(), "READY=1\n");
    assert_eq!(manager.receive(), format!("MAINPID={pid}\n"));
    hears_barrier(manager);
}

#[track_caller]
fn hears_barrier(manager: &NotifySocket) {
    if !peer::RUNTIME.is("runc<1.2") {
        assert_eq!(manager.receive(), "BARRIER=1");
    }
}

const SCRIPT: &str = "echo $NOTIFY_SOCKET; trap 'exit 0' TERM; echo ready; sleep 100000 & while :; do wait; done";

#[test]
fn a_detached_run_returns_when_the_program_is_ready() {
    let bundle = Bundle::sh(SCRIPT);
    let manager = NotifySocket::bind(bundle.path("manager"));
    let (pid_file, out) = (bundle.path("pid"), std::fs::File::create(bundle.path("out")).unwrap());
    let call = bundle.call_run(&["--detach", "--pid-file", pid_file.to_str().unwrap()]).stdout(out);
    let mut running = call.env("NOTIFY_SOCKET", manager.path().to_str().unwrap()).spawn();
    let pid = pid_in(&pid_file);
    wait("the program runs", || std::fs::read_to_string(bundle.path("out")).unwrap().contains("ready"));
    say(pid, "STATUS=kneading");
    assert!(!running.ended());
    say(pid, "READY=1\nSTATUS=baking");
    hears_ready(&manager, pid);
    running.wait().ok();
    assert_eq!(std::fs::read_to_string(bundle.path("out")).unwrap(), "/run/notify/notify.sock\nready\n");
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
    bundle.leaves_nothing();
}

#[test]
fn start_returns_when_the_program_is_ready() {
    let bundle = Bundle::sh(SCRIPT);
    let manager = NotifySocket::bind(bundle.path("manager"));
    let socket = manager.path().to_str().unwrap().to_owned();
    let out = std::fs::File::create(bundle.path("out")).unwrap();
    bundle.call_create(&[]).stdout(out).env("NOTIFY_SOCKET", &socket).run().ok();
    let running = bundle.call(["start", bundle.id()]).env("NOTIFY_SOCKET", &socket).spawn();
    let pid = bundle.verb("state").json()["pid"].as_i64().unwrap() as i32;
    wait("the program runs", || std::fs::read_to_string(bundle.path("out")).unwrap().contains("ready"));
    say(pid, "READY=1");
    hears_ready(&manager, pid);
    running.wait().ok();
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
}

#[test]
fn a_program_that_ends_before_it_is_ready_is_not_waited_for() {
    not_on!("runc", "waits for its own zombie");
    let bundle = Bundle::sh("true");
    let manager = NotifySocket::bind(bundle.path("manager"));
    let socket = manager.path().to_str().unwrap().to_owned();
    bundle.call_run(&["--detach"]).env("NOTIFY_SOCKET", &socket).run().ok();
    bundle.verb("delete").ok();
    bundle.call_create(&[]).env("NOTIFY_SOCKET", &socket).run().ok();
    bundle.call(["start", bundle.id()]).env("NOTIFY_SOCKET", &socket).run().ok();
    bundle.verb("delete").ok();
    bundle.leaves_nothing();
}

/// In the foreground the process to watch is the runtime itself.
#[test]
fn a_run_in_the_foreground_passes_it_on() {
    let bundle = Bundle::sh(SCRIPT);
    let manager = NotifySocket::bind(bundle.path("manager"));
    let pid_file = bundle.path("pid");
    let call = bundle.call_run(&["--pid-file", pid_file.to_str().unwrap()]);
    let running = call.env("NOTIFY_SOCKET", manager.path().to_str().unwrap()).spawn();
    running.wait_stdout("ready");
    say(pid_in(&pid_file), "READY=1");
    // In the modes of the suite where a tracer or a shell is between, the pid is that of the runtime below it.
    assert_eq!(manager.receive(), "READY=1\n");
    assert_eq!(manager.receive(), format!("MAINPID={}\n", running.pid()));
    hears_barrier(&manager);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().ok();
    bundle.leaves_nothing();
}

#[test]
fn what_stands_behind_another_word_is_heard_too() {
    bolo_only!("runc hears it only in front");
    let bundle = Bundle::sh(SCRIPT);
    let manager = NotifySocket::bind(bundle.path("manager"));
    let pid_file = bundle.path("pid");
    let call =
        bundle.call_run(&["--detach", "--pid-file", pid_file.to_str().unwrap()]).stdout(std::process::Stdio::null());
    let running = call.env("NOTIFY_SOCKET", manager.path().to_str().unwrap()).spawn();
    let pid = pid_in(&pid_file);
    say(pid, "STATUS=warm\nMAINPID=1\nREADY=1");
    hears_ready(&manager, pid);
    running.wait().ok();
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
}

#[test]
fn nobody_to_tell_is_no_failure() {
    not_on!("runc", "gives up before the program has said anything");
    let bundle = Bundle::sh(SCRIPT);
    let pid_file = bundle.path("pid");
    let nowhere = bundle.path("nowhere");
    let call =
        bundle.call_run(&["--detach", "--pid-file", pid_file.to_str().unwrap()]).stdout(std::process::Stdio::null());
    let running = call.env("NOTIFY_SOCKET", nowhere.to_str().unwrap()).spawn();
    say(pid_in(&pid_file), "READY=1");
    running.wait().ok();
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
}

#[test]
fn without_a_manager_there_is_no_socket() {
    let bundle = Bundle::sh("echo \"<$NOTIFY_SOCKET>\"; ls /run");
    bundle.call_run(&[]).env("NOTIFY_SOCKET", "").run().stdout_is("<>");
}

#[test]
fn the_socket_cannot_be_replaced_from_inside() {
    let bundle = Bundle::sh("rm /run/notify/notify.sock; touch /run/notify/x; sleep 100000");
    let manager = NotifySocket::bind(bundle.path("manager"));
    let (errors, pid_file) = (bundle.path("errors"), bundle.path("pid"));
    let call = bundle.call_run(&["--detach", "--pid-file", pid_file.to_str().unwrap()]);
    let call = call.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&errors).unwrap());
    let running = call.env("NOTIFY_SOCKET", manager.path().to_str().unwrap()).spawn();
    wait("its words", || std::fs::read_to_string(&errors).unwrap().matches("ead-only file system").count() == 2);
    say(pid_in(&pid_file), "READY=1");
    running.wait().ok();
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
}
