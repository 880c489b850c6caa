//! Default devices and `linux.devices`.

use crate::kit::*;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

#[test]
fn default_devices() {
    let script = "for n in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' /dev/$n; done";
    let lines = Bundle::sh(script).run().lines();
    let expected =
        [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")];
    for (line, (name, numbers)) in lines.iter().zip(expected) {
        assert_eq!(*line, format!("/dev/{name} character special file {numbers} 666 0:0"));
    }
}

#[test]
fn default_devices_work() {
    let script =
        "echo gone > /dev/null; head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c; echo x > /dev/full";
    Bundle::sh(script).run().code_is(1).stdout_is("3\n5").stderr_has("No space left");
}

#[test]
fn default_links() {
    let script = "for n in fd stdin stdout stderr ptmx; do readlink /dev/$n; done";
    Bundle::sh(script).run().stdout_is("/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx");
}

#[test]
fn core_is_linked_when_there_is_one() {
    not_on!("crun", "always or never");
    let expected = if std::path::Path::new("/proc/kcore").exists() { "/proc/kcore" } else { "" };
    Bundle::sh("readlink /dev/core; true").run().stdout_is(expected);
}

#[test]
fn a_pty_can_be_opened() {
    needs!(host::program("busybox"), "no busybox");
    Bundle::sh("script -q -c 'tty' /dev/null || (exec 3<>/dev/ptmx; ls /dev/pts)").run().stdout_has("");
    Bundle::sh("exec 3<>/dev/ptmx; ls /dev/pts").run().stdout_is("0\nptmx");
}

fn device(kind: &str, path: &str) -> Value {
    json!({"type": kind, "path": path, "major": 1, "minor": 3})
}

#[test]
fn nodes_of_config_json() {
    let mut loaf = device("c", "/dev/bakery/loaf");
    loaf["fileMode"] = json!(0o640);
    loaf["uid"] = json!(7);
    loaf["gid"] = json!(8);
    let tin = json!({"type": "b", "path": "/dev/tin", "major": 7, "minor": 200, "fileMode": 0o600});
    let oven = json!({"type": "u", "path": "/dev/oven", "major": 1, "minor": 5});
    let bundle = Bundle::sh("stat -c '%F %t:%T %a %u:%g' /dev/bakery/loaf /dev/tin /dev/oven");
    let lines = bundle.set("/linux/devices", json!([loaf, tin, oven])).run().lines();
    assert_eq!(lines[0], "character special file 1:3 640 7:8");
    assert_eq!(lines[1], "block special file 7:c8 600 0:0");
    assert_eq!(lines[2], "character special file 1:5 666 0:0");
}

#[test]
fn fifos() {
    let fifo = json!({"type": "p", "path": "/dev/pipe", "fileMode": 0o622});
    let bundle = Bundle::sh("stat -c '%F %a' /dev/pipe; (echo through > /dev/pipe) & cat /dev/pipe");
    bundle.set("/linux/devices", json!([fifo])).run().stdout_is("fifo 622\nthrough");
}

#[test]
fn outside_of_dev() {
    let bundle = Bundle::sh("stat -c %t:%T /opt/null").set("/linux/devices", json!([device("c", "/opt/null")]));
    bundle.run().stdout_is("1:3");
    assert!(bundle.in_rootfs("/opt/null").metadata().unwrap().file_type().is_char_device());
}

#[test]
fn without_a_dev_mount() {
    let bundle = Bundle::sh("echo x > /dev/null; stat -c %t:%T /dev/zero; readlink /dev/fd");
    let bundle = bundle.without_mount("/dev").without_mount("/dev/pts").without_mount("/dev/shm");
    let bundle = bundle.without_mount("/dev/mqueue");
    bundle.run().stdout_is("1:5\n/proc/self/fd");
    bundle.run().stdout_is("1:5\n/proc/self/fd");
    assert_eq!(bundle.in_rootfs("/dev/null").metadata().unwrap().rdev(), 0x103);
}

#[test]
fn a_bound_dev_is_left_alone() {
    let bundle = Bundle::sh("ls /dev");
    let dev = bundle.host_dir("dev");
    std::fs::write(dev.join("mine"), "").unwrap();
    let null = nix::sys::stat::SFlag::S_IFCHR;
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::sys::stat::mknod(&dev.join("null"), null, mode, nix::sys::stat::makedev(1, 3)).unwrap();
    let bundle = bundle.without_mount("/dev/pts").without_mount("/dev/shm").without_mount("/dev/mqueue");
    bundle.without_mount("/dev").bind(&dev, "/dev", &[]).run().stdout_is("mine\nnull");
}

#[test]
fn in_a_user_namespace() {
    let bundle = Bundle::sh("echo x > /dev/null && head -c 2 /dev/zero | wc -c; stat -c %t:%T /dev/null");
    bundle.user_namespace(100_000).run().stdout_is("2\n1:3");
}

#[test]
fn a_wrong_type_is_refused() {
    let bundle = Bundle::sh("true").set("/linux/devices", json!([device("x", "/dev/oven")]));
    bundle.try_create().fails().bolo_says("linux.devices[0]");
    bundle.leaves_nothing();
}

/// 1:11 is kmsg, which no default rule allows.
fn kmsg(rules: Value) -> Output {
    let node = json!({"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11, "fileMode": 0o666});
    let bundle = Bundle::sh("( exec 3</dev/kmsg ) && echo open").set("/linux/devices", json!([node]));
    bundle.set("/linux/resources/devices", rules).capabilities(&["CAP_SYSLOG", "CAP_SYS_ADMIN"]).run()
}

#[test]
fn the_cgroup_decides_what_may_be_opened() {
    needs!(host::controller("devices") || peer::v2(), "no devices cgroup");
    let deny = json!({"allow": false, "access": "rwm"});
    let allow = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    kmsg(json!([deny])).fails().stderr_has("Operation not permitted");
    kmsg(json!([deny, allow])).stdout_is("open");
    kmsg(json!([deny, {"allow": true, "type": "c", "major": 1, "access": "rwm"}])).stdout_is("open");
    kmsg(json!([{"allow": true, "access": "rwm"}])).stdout_is("open");
}
