//! config-linux.md: namespaces, mappings, devices and paths, as far as the tests of those features leave it out.

use crate::kit::*;

#[track_caller]
fn refused(bundle: Bundle, says: &str) {
    bundle.try_create().fails().bolo_says(says);
    bundle.leaves_nothing();
}

/// What `spec` writes is what every program may rely on (config-linux.md, Default Filesystems).
#[test]
fn the_default_config_mounts_the_default_filesystems() {
    let bundle = Bundle::sh("");
    let dir = bundle.host_dir("new");
    bundle.call(["spec", "--bundle", dir.to_str().unwrap()]).run().ok();
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let bundle = bundle.set("/mounts", config["mounts"].clone()).args(["cat", "/proc/self/mountinfo"]);
    let mounts = bundle.run().text();
    for (point, filesystem) in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs")] {
        let found = MountPoint::find(&mounts, point).unwrap_or_else(|| panic!("nothing at {point}: {mounts}"));
        assert_eq!(found.filesystem, filesystem, "{point}");
    }
}

#[test]
fn a_namespace_without_a_type_is_refused() {
    for namespace in [json!({}), json!({"type": ""}), json!({"path": "/proc/self/ns/ipc"})] {
        refused(Bundle::sh("true").push("/linux/namespaces", namespace), "linux.namespaces[5]");
    }
}

#[test]
fn a_namespace_path_that_is_not_absolute_is_refused() {
    let bundle = Bundle::sh("true").join("ipc", "../../proc/self/ns/ipc");
    refused(bundle, "linux.namespaces[4].path");
}

/// With an owner that the namespace maps, and with one that it does not: nobody changes them.
#[test]
fn a_user_namespace_leaves_the_owners_of_files() {
    use std::os::unix::fs::{MetadataExt, chown};
    let bundle = Bundle::sh("true").file("/mine", "").file("/foreign", "").user_namespace(100_000);
    chown(bundle.in_rootfs("/mine"), Some(100_005), Some(100_006)).unwrap();
    chown(bundle.in_rootfs("/foreign"), Some(12), Some(13)).unwrap();
    bundle.run().ok();
    let owner = |path: &str| bundle.in_rootfs(path).metadata().map(|file| (file.uid(), file.gid())).unwrap();
    assert_eq!(owner("/mine"), (100_005, 100_006));
    assert_eq!(owner("/foreign"), (12, 13));
}

#[test]
fn a_device_without_type_or_path_is_refused() {
    let devices = [
        json!({"path": "/dev/loaf", "major": 1, "minor": 3}),
        json!({"type": "", "path": "/dev/loaf", "major": 1, "minor": 3}),
        json!({"type": "c", "major": 1, "minor": 3}),
        json!({"type": "c", "path": "", "major": 1, "minor": 3}),
    ];
    // runc and crun take a missing path for the root.
    let count = if peer::RUNTIME.name == "bolo" { devices.len() } else { 2 };
    for device in devices.into_iter().take(count) {
        refused(Bundle::sh("true").set("/linux/devices", json!([device])), "linux.devices[0]");
    }
}

#[test]
fn a_file_in_the_place_of_a_device_is_an_error() {
    not_on!("runc", "leaves it");
    let device = json!({"type": "c", "path": "/opt/loaf", "major": 1, "minor": 3});
    let bundle = Bundle::sh("true").set("/linux/devices", json!([device]));
    let bundle = bundle.file("/opt/loaf", "rye");
    refused(bundle, "linux.devices[0]");
}

#[test]
fn ptmx_is_the_containers_own() {
    let script = "readlink /dev/ptmx || stat -c %t:%T /dev/ptmx; exec 3<>/dev/ptmx; ls /dev/pts";
    let lines = Bundle::sh(script).run().lines();
    assert!(["pts/ptmx", "/dev/pts/ptmx", "5:2"].contains(&&*lines[0]), "{lines:?}");
    assert_eq!(lines[1..], ["0", "ptmx"], "the first pty of a devpts of its own has number 0");
}

#[test]
fn a_masked_path_that_is_not_absolute_is_refused() {
    bolo_only!("others resolve it from somewhere");
    for path in ["etc/passwd", ""] {
        refused(Bundle::sh("true").push("/linux/maskedPaths", path), "linux.maskedPaths[10]");
    }
}

#[test]
fn a_readonly_path_that_is_not_absolute_is_refused() {
    bolo_only!("others resolve it from somewhere");
    for path in ["etc", ""] {
        refused(Bundle::sh("true").push("/linux/readonlyPaths", path), "linux.readonlyPaths[5]");
    }
}

#[test]
fn a_mapping_of_no_ids_is_refused() {
    for kind in ["uidMappings", "gidMappings"] {
        let map = json!([{"containerID": 0, "hostID": 100_000}]);
        let bundle = Bundle::sh("true").user_namespace(100_000).set(&format!("/linux/{kind}"), map);
        refused(bundle, &format!("linux.{kind}[0].size"));
    }
}
