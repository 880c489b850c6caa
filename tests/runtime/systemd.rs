//! `--systemd-cgroup`: units, their life, and what is said of them.

use crate::kit::*;
use std::process::Command;

fn systemctl(args: &[&str]) -> String {
    let output = Command::new("systemctl").args(args).output().expect("run systemctl");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A hierarchy where systemd has put the process.
fn hierarchy() -> &'static str {
    if peer::v2() { "" } else { "systemd" }
}

/// A property of a unit, as systemctl shows it.
fn show(unit: &str, property: &str) -> String {
    systemctl(&["show", "--property", property, "--value", unit])
}

macro_rules! needs_systemd {
    () => {
        needs!(host::systemd(), "systemd does not run here")
    };
}

#[test]
fn the_process_is_in_a_scope_of_its_own() {
    needs_systemd!();
    let container = Bundle::idle().systemd("system.slice").create();
    let dir = cgroup::of(hierarchy(), container.cgroup());
    assert_eq!(cgroup::procs(&dir), [container.pid()]);
    let unit = container.unit();
    for (property, expected) in [
        ("ActiveState", "active"),
        ("Slice", "system.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
        ("ControlGroup", container.cgroup()),
    ] {
        assert_eq!(show(&unit, property), expected, "{property}");
    }
    assert!(show(&unit, "Description").contains(container.id()));
}

#[test]
fn later_verbs_know_without_being_told() {
    needs_systemd!();
    let container = Bundle::idle().systemd("system.slice").start();
    let unit = container.unit();
    container.verb("pause").ok();
    assert_eq!(container.status(), "paused");
    container.verb("resume").ok();
    container.exec("cat /proc/self/cgroup").ok().stdout_has(container.cgroup());
    let pids = container.call(["ps", "--format", "json", container.id()]).run().json();
    assert!(pids.as_array().unwrap().contains(&json!(container.pid())), "{pids}");
    container.kill("KILL").ok();
    container.wait_stopped();
    container.delete().ok();
    container.leaves_nothing();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn a_running_container_is_deleted_by_force_and_its_unit_goes() {
    needs_systemd!();
    let container = Bundle::idle().systemd("system.slice").start();
    container.exec("mkdir -p /sys/fs/cgroup/below 2>/dev/null; sleep 1000 & true");
    let unit = container.unit();
    container.call(["delete", "--force", container.id()]).run().ok();
    container.leaves_nothing();
    assert_eq!(show(&unit, "LoadState"), "not-found");
}

#[test]
fn slices_are_made_where_they_belong() {
    needs_systemd!();
    let bundle = Bundle::idle();
    let slice = format!("{}-in.slice", bundle.id().replace('-', ""));
    let container = bundle.systemd(&slice).start();
    assert!(
        cgroup::procs(&cgroup::of(hierarchy(), container.cgroup())).contains(&container.pid()),
        "{}",
        container.cgroup()
    );
    assert_eq!(show(&container.unit(), "Slice"), slice);
    container.call(["delete", "--force", container.id()]).run().ok();
    systemctl(&["stop", &slice]);
}

#[test]
fn without_a_path_it_is_in_the_system_slice() {
    needs_systemd!();
    let bundle = Bundle::idle().remove("/linux/cgroupsPath").global("--systemd-cgroup");
    let container = bundle.start();
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    let name = &peer::RUNTIME.name;
    let line = format!(":/system.slice/{name}-{}.scope", container.id());
    assert!(text.lines().all(|found| found.ends_with(&line) || found.ends_with(":misc:/")), "{text}");
    container.call(["delete", "--force", container.id()]).run().ok();
}

#[test]
fn annotations_are_properties() {
    needs_systemd!();
    let bundle = Bundle::idle().systemd("system.slice");
    let bundle = bundle.set("/annotations/org.systemd.property.TimeoutStopSec", "7");
    let bundle = bundle.set("/annotations/org.systemd.property.Wants", "['basic.target']");
    let container = bundle.create();
    assert_eq!(show(&container.unit(), "TimeoutStopUSec"), "7s");
    assert!(show(&container.unit(), "Wants").contains("basic.target"));
}

#[test]
fn what_systemd_cannot_be_told_is_refused() {
    needs_systemd!();
    for (pointer, value, says) in [
        ("/linux/cgroupsPath", "/plain/path", "slice:prefix:name"),
        ("/linux/cgroupsPath", "a:b", "slice:prefix:name"),
        ("/linux/cgroupsPath", "no:b:c", "slice"),
        ("/linux/cgroupsPath", "../x.slice:b:c", "slice"),
        ("/annotations/org.systemd.property.MemoryMax", "lots", "MemoryMax"),
        ("/annotations/org.systemd.property.NoSuchThing", "1", "NoSuchThing"),
        ("/annotations/org.systemd.property.TasksMax", "'many'", "bt-"),
    ] {
        let bundle = Bundle::sh("true").systemd("system.slice").set(pointer, value);
        bundle.try_create().fails().bolo_says(says);
        assert!(!bundle.root().join(bundle.id()).exists());
        assert_eq!(show(&bundle.unit(), "LoadState"), "not-found");
    }
}

#[test]
fn two_containers_do_not_share_a_unit() {
    needs_systemd!();
    let first = Bundle::idle().systemd("system.slice");
    let path = first.get("/linux/cgroupsPath").clone();
    let second = first.scene().sh("true").global("--systemd-cgroup").set("/linux/cgroupsPath", path);
    let first = first.start();
    second.try_create().fails();
    assert_eq!(first.status(), "running");
    assert_eq!(show(&first.unit(), "ActiveState"), "active");
}

#[test]
fn a_failed_unit_of_the_same_name_is_in_nobodys_way() {
    needs_systemd!();
    let bundle = Bundle::idle().systemd("system.slice");
    let unit = bundle.unit();
    let scope = ["--scope", "--unit", &unit, "--property", "RuntimeMaxSec=1", "sleep", "1000"];
    let _ = Command::new("systemd-run").args(scope).status().expect("run systemd-run");
    wait("the unit fails", || show(&unit, "ActiveState") == "failed");
    let container = bundle.start();
    assert_eq!(show(&unit, "ActiveState"), "active");
    assert_eq!(container.status(), "running");
}

#[test]
fn a_reload_of_systemd_changes_neither_devices_nor_limits() {
    needs_systemd!();
    not_on!("runc", "systemd forgets what is no file below /dev");
    let kmsg = json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11});
    let rule = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"});
    let opens = |container: &Container| container.exec("dd if=/dev/null of=/dev/kmsg count=0").code == 0;
    let bundle = || Bundle::idle().systemd("system.slice").push("/linux/devices", kmsg.clone());
    let limited = bundle().set("/linux/resources/memory/limit", 64 << 20);
    let (allowed, denied) = (limited.push("/linux/resources/devices", rule).start(), bundle().start());
    let limit = if peer::v2() { "memory.max" } else { "memory.limit_in_bytes" };
    let memory = || std::fs::read_to_string(cgroup::of("memory", allowed.cgroup()).join(limit)).unwrap();
    for _ in 0..2 {
        assert!(opens(&allowed));
        assert!(!opens(&denied));
        assert_eq!(memory().trim(), (64 << 20).to_string());
        systemctl(&["daemon-reload"]);
    }
}

#[test]
fn a_poststop_hook_and_a_failed_create_leave_no_unit() {
    needs_systemd!();
    let bundle = Bundle::sh("true").systemd("system.slice").hook("createRuntime", "exit 3");
    bundle.try_create().fails();
    bundle.leaves_nothing();
    assert_eq!(show(&bundle.unit(), "LoadState"), "not-found");
}

#[test]
fn where_there_is_no_systemd_it_says_so() {
    needs!(!std::path::Path::new("/run/systemd/system").exists(), "systemd runs here");
    let bundle = Bundle::sh("true").global("--systemd-cgroup").set("/linux/cgroupsPath", "system.slice:a:b");
    bundle.try_create().fails().stderr_has("systemd");
}

/// A user's own systemd, and a container without root that it makes the scope of.
#[test]
fn a_user_without_root_asks_his_own_systemd() {
    needs_systemd!();
    needs!(peer::v2() && std::path::Path::new("/home/tester").exists(), "no cgroup v2 alone and no user `tester`");
    const USER: u32 = 1000;
    systemctl(&["start", &format!("user@{USER}.service")]);
    let bundle = Bundle::idle().of_user(USER).systemd("app.slice").set("/linux/resources/pids/limit", 33);
    let unit = bundle.unit();
    let as_user = |call: Call| call.by_user(USER).run();
    as_user(bundle.call_create(&[])).ok();
    let state = as_user(bundle.call(["state", bundle.id()])).json();
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", state["pid"])).unwrap();
    let path = text.trim().trim_start_matches("0::").to_owned();
    assert!(path.ends_with(&format!("/user@{USER}.service/app.slice/{unit}")), "{text}");
    let limit = std::fs::read_to_string(cgroup::of("pids", &path).join("pids.max")).unwrap();
    assert_eq!(limit.trim(), "33");
    as_user(bundle.call(["start", bundle.id()])).ok();
    as_user(bundle.call(["delete", "--force", bundle.id()])).ok();
    assert!(!cgroup::of("", &path).exists());
}
