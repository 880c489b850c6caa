//! runtime.md: what the specification says of operations and of the life of a container, beyond the verbs' own tests.

use crate::kit::*;
use std::path::Path;

#[test]
fn every_operation_reaches_the_container() {
    let container = Bundle::idle().create();
    assert_eq!(container.status(), "created");
    container.start().ok();
    container.wait_stdout("ready");
    container.kill("TERM").ok();
    container.wait_stopped();
    container.delete().ok();
    container.leaves_nothing();
}

#[test]
fn paused_is_a_status_of_its_own() {
    needs!(host::controller("freezer") || peer::v2(), "no freezer cgroup");
    let container = Bundle::idle().start();
    container.wait_stdout("ready");
    container.verb("pause").ok();
    assert_eq!(container.status(), "paused");
    container.verb("resume").ok();
    assert_eq!(container.status(), "running");
}

#[test]
fn create_makes_the_environment() {
    let container = Bundle::idle().tmpfs("/mnt", &["size=4k"]).set("/hostname", "flan").create();
    let pid = container.pid();
    for kind in ["pid", "net", "ipc", "uts", "mnt"] {
        assert_ne!(host::namespace_of(pid, kind), host::namespace_of(std::process::id() as i32, kind), "{kind}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    for point in ["/", "/proc", "/dev", "/dev/shm", "/mnt"] {
        assert!(MountPoint::find(&mounts, point).is_some(), "{point} is not mounted before start: {mounts}");
    }
    let root = format!("/proc/{pid}/root");
    assert!(Path::new(&root).join("dev/null").exists(), "no /dev/null before start");
    assert!(!cgroup::find(container.cgroup()).is_empty(), "no cgroup before start");
    let hostname = ["--uts", "--target", &pid.to_string(), "hostname"].map(str::to_owned);
    let output = std::process::Command::new("nsenter").args(hostname).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "flan\n");
}

#[test]
fn what_cannot_be_applied_is_an_error() {
    let same_namespace = |bundle: Bundle| bundle.set("/linux/sysctl", json!({"kernel.no_such_thing": "1"}));
    let settings: [(&str, &dyn Fn(Bundle) -> Bundle); 5] = [
        ("a mount", &|bundle| bundle.mount("/mnt", "sourdough", "none", &[])),
        ("a namespace", &|bundle| bundle.join("network", "/no/such/namespace")),
        ("a sysctl", &same_namespace),
        ("a working directory", &|bundle| bundle.set("/process/cwd", "/etc/passwd")),
        ("a root", &|bundle| bundle.set("/root/path", "nowhere")),
    ];
    for (what, set) in settings {
        let bundle = set(Bundle::sh("true"));
        let output = bundle.try_create();
        assert!(output.code != 0, "{what} that cannot be applied is no error: {output}");
        output.fails();
        bundle.leaves_nothing();
    }
}

#[test]
fn no_process_is_an_error_at_the_latest_at_start() {
    let bundle = Bundle::idle().remove("/process");
    let created = bundle.try_create();
    if peer::RUNTIME.name == "bolo" {
        assert_eq!(created.code, 0, "create needs no process: {created}");
    }
    if created.code == 0 {
        bundle.verb("start").fails().bolo_says("process");
        bundle.call(["delete", "--force", bundle.id()]).run().ok();
    } else {
        created.fails();
    }
    bundle.leaves_nothing();
}

#[test]
fn delete_keeps_what_create_did_not_make() {
    let bundle = Bundle::sh("echo crumb > /shelf/crumb; echo crust > /crust");
    let shelf = bundle.host_dir("shelf");
    std::fs::write(shelf.join("loaf"), "rye").unwrap();
    let container = bundle.bind(&shelf, "/shelf", &[]).start();
    container.wait_stopped();
    container.delete().ok();
    container.leaves_nothing();
    for file in ["loaf", "crumb"] {
        assert!(shelf.join(file).exists(), "{file} of a bound directory is gone");
    }
    for file in ["config.json", "rootfs/crust", "rootfs/bin/busybox", "rootfs/shelf"] {
        assert!(container.bundle_dir().join(file).exists(), "{file} of the bundle is gone");
    }
}

#[test]
fn a_version_that_is_none_is_refused() {
    not_on!("runc crun", "do not look at it");
    for version in [json!("one"), json!(1), json!("2.0.0"), json!(""), json!("1")] {
        let bundle = Bundle::sh("true").set("/ociVersion", version);
        bundle.try_create().fails().stderr_has("ociVersion");
        bundle.leaves_nothing();
    }
}

#[test]
fn unknown_properties_and_annotations_are_no_error() {
    let bundle = Bundle::sh("echo fine").set("/oven", json!({"temperature": 230}));
    let bundle = bundle.set("/process/kneaded", true).set("/linux/resources/yeast", 7).set("/root/crust", "dark");
    bundle.set("/annotations", json!({"org.example.unknown": "", "": "x"})).run().stdout_is("fine");
}

#[test]
fn annotations_that_are_no_strings_are_refused() {
    not_on!("crun<1.9", "ignores them");
    for annotations in [json!({"bread": 1}), json!({"bread": null, "rye": []}), json!(["bread"])] {
        let bundle = Bundle::sh("true").set("/annotations", annotations);
        bundle.try_create().fails().bolo_says("annotations");
        bundle.leaves_nothing();
    }
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    let wrong = [
        ("/process/user/uid", json!("root")),
        ("/process/user/uid", json!(-1)),
        ("/process/args", json!("sh")),
        ("/process/cwd", json!(7)),
        ("/mounts", json!({"destination": "/mnt"})),
        ("/linux/namespaces", json!("pid")),
        ("/hostname", json!(["tart"])),
    ];
    for (pointer, value) in wrong {
        let bundle = Bundle::sh("true").set(pointer, value.clone());
        let output = bundle.try_create();
        assert!(output.code != 0, "{pointer} may be {value}: {output}");
        output.fails().bolo_says(&pointer[1..].replace('/', "."));
        bundle.leaves_nothing();
    }
}
