//! `state`: the JSON that engines read.

use crate::kit::*;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn has_the_fields_that_runc_has() {
    not_on!("crun", "another set of fields");
    let container = Bundle::idle().set("/annotations", json!({"bread": "rye"})).start();
    let state = container.state();
    let expected = ["annotations", "bundle", "created", "id", "ociVersion", "owner", "pid", "rootfs", "status"];
    assert_eq!(keys(&state), expected);
    assert_eq!(state["owner"], "");
    let container = Bundle::idle().create();
    assert!(!keys(&container.state()).contains(&"annotations"), "annotations that are not there");
}

#[test]
fn has_the_containers_values() {
    let container = Bundle::idle().set("/annotations", json!({"bread": "rye", "a": "b"})).start();
    let state = container.state();
    assert_eq!(state["id"], container.id());
    assert_eq!(state["bundle"], container.bundle_dir().to_str().unwrap());
    assert_eq!(state["status"], "running");
    assert_eq!(state["annotations"], json!({"bread": "rye", "a": "b"}));
    let pid = state["pid"].as_i64().unwrap();
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.starts_with("/bin/sh\0"), "{command:?}");
}

#[test]
fn rootfs_is_absolute() {
    not_on!("crun", "as config.json has it");
    let container = Bundle::idle().create();
    assert_eq!(container.state()["rootfs"], container.rootfs().to_str().unwrap());
}

#[test]
fn oci_version_is_a_version() {
    let container = Bundle::idle().create();
    let state = container.state();
    let version = state["ociVersion"].as_str().unwrap();
    assert!(version.starts_with("1."), "{version}");
}

#[test]
fn created_is_a_time_in_utc() {
    let container = Bundle::idle().create();
    let state = container.state();
    let created = state["created"].as_str().unwrap();
    let now = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output().unwrap();
    assert!(created.ends_with('Z') && created.len() > 20, "{created}");
    assert!(created.starts_with(&String::from_utf8_lossy(&now.stdout).trim()[..8]), "{created}");
    assert_eq!(container.state()["created"], created, "it changes");
}

#[test]
fn follows_the_life_of_a_container() {
    let container = Bundle::idle().create();
    assert_eq!(container.status(), "created");
    container.start().ok();
    container.wait_stdout("ready");
    assert_eq!(container.status(), "running");
    container.kill("TERM").ok();
    container.wait_stopped();
    assert_eq!(container.state()["pid"], 0);
    container.delete().ok();
    container.verb("state").code_is(1).bolo_says(container.id());
}

#[test]
fn of_nobody() {
    Scene::new().call(["state", "nobody"]).run().code_is(1).stdout_is("").bolo_says("nobody");
}

#[test]
fn a_zombie_is_stopped() {
    // The test is the container's parent's parent: nobody reaps it if this process is a subreaper.
    let bundle = Bundle::sh("exit 0");
    let reaper = "import ctypes, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.check_call(sys.argv[1:])
print('created', flush=True)
time.sleep(1000)";
    needs!(host::program("python3"), "no python3");
    let running = bundle.call_create(&[]).under(["python3", "-c", reaper]).spawn();
    running.wait_stdout("created");
    let pid = bundle.verb("state").json()["pid"].as_i64().unwrap() as i32;
    bundle.verb("start").ok();
    wait("a zombie", || host::process_status(pid, "State").is_some_and(|state| state.starts_with('Z')));
    assert_eq!(bundle.verb("state").json()["status"], "stopped");
    bundle.verb("delete").ok();
    bundle.leaves_nothing();
}

#[test]
fn is_readable_by_other_programs_while_it_changes() {
    let container = Bundle::idle().create();
    let mut start = container.call(["start", container.id()]).spawn();
    while !start.ended() {
        let status = container.status();
        assert!(status == "created" || status == "running", "{status}");
    }
    start.wait().ok();
}
