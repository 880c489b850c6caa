//! The runtime's own file, seen from what it starts (CVE-2019-5736).

use crate::kit::*;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Whoever holds /proc/PID/exe open by path opens it again for writing when the program has gone.
fn cannot_be_written(copy: &std::path::Path, held: &File) {
    let original = std::fs::read(copy).unwrap();
    let opened = OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let written = opened.and_then(|mut file| file.write_all(b"#!/bin/sh\n"));
    assert!(written.is_err(), "the program that runs as root was written to");
    assert!(std::fs::read(copy).unwrap() == original, "the program was changed");
    assert!(OpenOptions::new().write(true).open(copy).is_ok(), "it was not the container that kept it safe");
}

fn hold(pid: i32) -> File {
    let path = format!("/proc/{pid}/exe");
    OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_PATH.bits()).open(path).unwrap()
}

/// The runtime runs from a copy that may be lost.
fn sacrificial(copy: &std::path::Path) -> String {
    format!("cp \"$1\" {0}; shift; set -- {0} \"$@\"", copy.display())
}

#[test]
fn a_container_cannot_write_to_the_program_that_created_it() {
    let bundle = Bundle::idle();
    let copy = bundle.path("runtime");
    bundle.call_create(&[]).prelude(&sacrificial(&copy)).run().ok();
    let pid = bundle.verb("state").json()["pid"].as_i64().unwrap() as i32;
    let held = hold(pid);
    bundle.verb("start").ok();
    wait("the program runs", || std::fs::read_link(format!("/proc/{pid}/exe")).unwrap().ends_with("busybox"));
    cannot_be_written(&copy, &held);
}

#[test]
fn nor_to_the_one_that_enters_it() {
    bolo_only!("the others protect only the process that joins, which is gone too soon to be looked at");
    let container = Bundle::idle().start();
    let copy = container.path("runtime");
    let call = container.call_exec(&[], &["/bin/sh", "-c", "echo in; sleep 1000"]).prelude(&sacrificial(&copy));
    let running = call.spawn();
    running.wait_stdout("in");
    let held = hold(running.pid());
    container.call(["delete", "--force", container.id()]).run().ok();
    drop(running);
    cannot_be_written(&copy, &held);
}
