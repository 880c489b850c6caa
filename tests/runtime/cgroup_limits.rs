//! `linux.resources`: what the kernel is told, and that it acts on it.

use crate::kit::*;

fn file(container: &Container, controller: &str, name: &str) -> String {
    let path = cgroup::of(controller, container.cgroup()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")).trim().to_owned()
}

#[test]
fn values_of_version_1() {
    needs!(!peer::v2(), "pure cgroup v2");
    let table = [
        ("/pids/limit", json!(17), "pids", "pids.max", "17"),
        ("/memory/limit", json!(64 << 20), "memory", "memory.limit_in_bytes", "67108864"),
        ("/memory/reservation", json!(32 << 20), "memory", "memory.soft_limit_in_bytes", "33554432"),
        ("/memory/swappiness", json!(7), "memory", "memory.swappiness", "7"),
        ("/cpu/shares", json!(512), "cpu", "cpu.shares", "512"),
        ("/cpu/quota", json!(50_000), "cpu", "cpu.cfs_quota_us", "50000"),
        ("/cpu/period", json!(200_000), "cpu", "cpu.cfs_period_us", "200000"),
        ("/cpu/cpus", json!("0"), "cpuset", "cpuset.cpus", "0"),
        ("/cpu/mems", json!("0"), "cpuset", "cpuset.mems", "0"),
    ];
    for (pointer, value, controller, name, expected) in table {
        if !host::controller(controller) {
            continue;
        }
        let container = Bundle::idle().set(&format!("/linux/resources{pointer}"), value).create();
        assert_eq!(file(&container, controller, name), expected, "{pointer}");
    }
}

#[test]
fn memory_and_swap_of_version_1() {
    needs!(!peer::v2() && host::controller("memory"), "no memory controller of version 1");
    let memory = json!({"limit": 32 << 20, "swap": 64 << 20});
    let container = Bundle::idle().set("/linux/resources/memory", memory).create();
    assert_eq!(file(&container, "memory", "memory.limit_in_bytes"), "33554432");
    assert_eq!(file(&container, "memory", "memory.memsw.limit_in_bytes"), "67108864");
}

#[test]
fn values_of_version_2() {
    needs!(peer::v2(), "not pure cgroup v2");
    let table = [
        ("/pids/limit", json!(17), "pids", "pids.max", "17"),
        ("/memory/limit", json!(64 << 20), "memory", "memory.max", "67108864"),
        ("/memory/reservation", json!(32 << 20), "memory", "memory.low", "33554432"),
        ("/cpu/quota", json!(50_000), "cpu", "cpu.max", "50000 100000"),
        ("/cpu/period", json!(200_000), "cpu", "cpu.max", "max 200000"),
        ("/cpu/cpus", json!("0"), "cpuset", "cpuset.cpus", "0"),
        ("/cpu/mems", json!("0"), "cpuset", "cpuset.mems", "0"),
        ("/unified/memory.high", json!("33554432"), "memory", "memory.high", "33554432"),
        ("/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}]), "hugetlb", "hugetlb.2MB.max", "4194304"),
    ];
    for (pointer, value, controller, name, expected) in table {
        if !host::controller(controller) {
            continue;
        }
        let container = Bundle::idle().set(&format!("/linux/resources{pointer}"), value).create();
        assert_eq!(file(&container, controller, name), expected, "{pointer}");
    }
}

#[test]
fn unified_files_are_written() {
    needs!(peer::v2(), "not pure cgroup v2");
    let container = Bundle::idle().set("/linux/resources/unified", json!({"cgroup.max.depth": "3"})).create();
    assert_eq!(file(&container, "", "cgroup.max.depth"), "3");
}

#[test]
fn weights_follow_the_common_curve() {
    bolo_only!("runc and crun of this age have the old formula");
    needs!(peer::v2() && host::controller("cpu"), "no cpu controller of version 2");
    let container = Bundle::idle().set("/linux/resources/cpu/shares", 1024).create();
    assert_eq!(file(&container, "cpu", "cpu.weight"), "100");
}

#[test]
fn a_fork_bomb_stops() {
    needs!(host::controller("pids"), "no pids controller");
    let script = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 0.3; echo over";
    let bundle = Bundle::sh(script).set("/linux/resources/pids/limit", 20);
    let output = bundle.run();
    assert!(output.code != 0 || output.stdout.contains("over"), "{output}");
}

#[test]
fn a_memory_hog_is_ended() {
    needs!(host::controller("memory"), "no memory controller");
    let memory = json!({"limit": 16 << 20, "swap": 16 << 20});
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    Bundle::sh(script).set("/linux/resources/memory", memory).run().code_is(137);
}

#[test]
fn what_cannot_be_had_is_refused_with_its_path_and_leaves_nothing() {
    bolo_only!("its own words");
    for (pointer, value, message) in [
        ("/memory/limit", json!(-7), "linux.resources.memory.limit: -7 is negative"),
        ("/blockIO/weight", json!(3), "linux.resources.blockIO.weight: 3 is not in the range 10 to 1000"),
        ("/cpu/cpus", json!("zero"), "linux.resources.cpu.cpus: \"zero\" is no list"),
        ("/devices", json!([{"allow": true, "type": "p"}]), "linux.resources.devices[0].type: \"p\" is none of"),
        ("/unified", json!({"../x.y": "1"}), "linux.resources.unified[\"../x.y\"]: it must be a file name"),
        ("/rdma", json!({"mlx": {"hcaHandles": 1}}), "linux.resources.rdma[\"mlx\"]: "),
        ("/cpu/cpus", json!("4000"), "linux.resources.cpu.cpus: "),
    ] {
        let bundle = Bundle::sh("true").set(&format!("/linux/resources{pointer}"), value);
        bundle.try_create().fails().stderr_has(message);
        bundle.leaves_nothing();
    }
}

#[test]
fn an_allowed_device_works_and_a_denied_one_does_not() {
    let kmsg = json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11});
    needs!(std::path::Path::new("/dev/kmsg").exists(), "no /dev/kmsg");
    let script = "dd if=/dev/null of=/dev/kmsg count=0 2>&1 && echo opened";
    let bundle = || Bundle::sh(script).push("/linux/devices", kmsg.clone());
    bundle().run().code_is(1).stdout_has("Operation not permitted");
    let rule = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"});
    bundle().push("/linux/resources/devices", rule.clone()).run().ok().stdout_has("opened");
    let read_only = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    bundle().push("/linux/resources/devices", read_only).run().code_is(1).stdout_has("Operation not permitted");
}
