//! The same limits under systemd: in the kernel's files, and in the unit, which would set them anew.

use crate::kit::*;
use std::process::Command;

fn file(container: &Container, name: &str) -> String {
    let path = cgroup::of(name.split('.').next().unwrap(), container.cgroup()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")).trim().to_owned()
}

fn property(container: &Container, name: &str) -> String {
    let unit = container.unit();
    let output = Command::new("systemctl").args(["show", "--property", name, "--value", &unit]).output();
    String::from_utf8_lossy(&output.expect("run systemctl").stdout).trim().to_owned()
}

/// linux.resources, file, its content, property, what systemctl shows.
type Row = (&'static str, Value, &'static str, &'static str, &'static str, &'static str);

fn table() -> Vec<Row> {
    let mib = 1 << 20;
    if !peer::v2() {
        return vec![
            ("/memory/limit", json!(64 * mib), "memory.limit_in_bytes", "67108864", "MemoryLimit", "67108864"),
            ("/pids/limit", json!(17), "pids.max", "17", "TasksMax", "17"),
            ("/cpu/shares", json!(77), "cpu.shares", "77", "CPUShares", "77"),
            ("/cpu/quota", json!(50_000), "cpu.cfs_quota_us", "50000", "CPUQuotaPerSecUSec", "500ms"),
            ("/memory/reservation", json!(32 * mib), "memory.soft_limit_in_bytes", "33554432", "Slice", "system.slice"),
            ("/cpu/cpus", json!("0"), "cpuset.cpus", "0", "Slice", "system.slice"),
        ];
    }
    vec![
        ("/memory/limit", json!(64 * mib), "memory.max", "67108864", "MemoryMax", "67108864"),
        ("/memory/reservation", json!(32 * mib), "memory.low", "33554432", "MemoryLow", "33554432"),
        (
            "/memory",
            json!({"limit": 64 * mib, "swap": 96 * mib}),
            "memory.swap.max",
            "33554432",
            "MemorySwapMax",
            "33554432",
        ),
        ("/pids/limit", json!(17), "pids.max", "17", "TasksMax", "17"),
        ("/cpu/quota", json!(50_000), "cpu.max", "50000 100000", "CPUQuotaPerSecUSec", "500ms"),
        ("/cpu", json!({"quota": 20_000, "period": 50_000}), "cpu.max", "20000 50000", "CPUQuotaPeriodUSec", "50ms"),
        ("/cpu/cpus", json!("0"), "cpuset.cpus", "0", "AllowedCPUs", "0"),
        ("/cpu/mems", json!("0"), "cpuset.mems", "0", "AllowedMemoryNodes", "0"),
        ("/unified/memory.high", json!("33554432"), "memory.high", "33554432", "MemoryHigh", "33554432"),
        ("/unified/memory.min", json!("1048576"), "memory.min", "1048576", "MemoryMin", "1048576"),
        ("/unified/cpu.weight", json!("77"), "cpu.weight", "77", "CPUWeight", "77"),
        ("/unified/pids.max", json!("55"), "pids.max", "55", "TasksMax", "55"),
        ("/unified/cpu.max", json!("30000 60000"), "cpu.max", "30000 60000", "CPUQuotaPerSecUSec", "500ms"),
    ]
}

#[test]
fn limits_are_in_the_file_and_in_the_unit() {
    needs!(host::systemd(), "systemd does not run here");
    for (pointer, value, name, content, known, shown) in table() {
        let bundle = Bundle::idle().systemd("system.slice").set(&format!("/linux/resources{pointer}"), value);
        let container = bundle.create();
        assert_eq!(file(&container, name), content, "{pointer}");
        assert_eq!(property(&container, known), shown, "{pointer}");
    }
}

#[test]
fn what_systemd_rounds_or_does_not_know_is_exact_in_the_file() {
    needs!(host::systemd() && peer::v2(), "systemd does not run here with cgroup v2");
    bolo_only!("runc leaves systemd's rounding, and has the old formula of weights");
    for (pointer, value, name, content, known, shown) in [
        ("/cpu/quota", json!(12_345), "cpu.max", "12345 100000", "CPUQuotaPerSecUSec", "130ms"),
        ("/cpu/shares", json!(1024), "cpu.weight", "100", "CPUWeight", "100"),
        ("/pids/limit", json!(0), "pids.max", "0", "TasksMax", "1"),
        ("/cpu/idle", json!(1), "cpu.idle", "1", "CPUWeight", "idle"),
        (
            "/hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 4 << 20}]),
            "hugetlb.2MB.max",
            "4194304",
            "Slice",
            "system.slice",
        ),
    ] {
        let bundle = Bundle::idle().systemd("system.slice").set(&format!("/linux/resources{pointer}"), value);
        let container = bundle.create();
        assert_eq!(file(&container, name), content, "{pointer}");
        let property = property(&container, known);
        // Whether systemctl writes "idle" or 0 depends on its version.
        assert!(property == shown || (shown == "idle" && property == "0"), "{pointer}: {property}");
    }
}

#[test]
fn update_changes_both() {
    needs!(host::systemd() && peer::v2(), "systemd does not run here with cgroup v2");
    let container = Bundle::idle().systemd("system.slice").set("/linux/resources/pids/limit", 20).start();
    let flags = ["--pids-limit", "30", "--memory", "64m", "--cpu-quota", "30000", "--cpuset-cpus", "0"];
    container.call([&["update"], &flags[..], &[container.id()]].concat()).run().ok();
    for (name, content, known, shown) in [
        ("pids.max", "30", "TasksMax", "30"),
        ("memory.max", "67108864", "MemoryMax", "67108864"),
        ("cpu.max", "30000 100000", "CPUQuotaPerSecUSec", "300ms"),
        ("cpuset.cpus", "0", "AllowedCPUs", "0"),
    ] {
        assert_eq!(file(&container, name), content);
        assert_eq!(property(&container, known), shown);
    }
    container.call(["update", "--pids-limit", "-1", container.id()]).run().ok();
    assert_eq!(file(&container, "pids.max"), "max");
    assert_eq!(property(&container, "TasksMax"), "infinity");
}

#[test]
fn an_update_that_fails_changes_neither() {
    needs!(host::systemd() && peer::v2(), "systemd does not run here with cgroup v2");
    bolo_only!("others do not put the unit back");
    let container = Bundle::idle().systemd("system.slice").set("/linux/resources/pids/limit", 20).start();
    let resources = json!({"pids": {"limit": 30}, "memory": {"limit": 64 << 20}, "unified": {"memory.nonsense": "1"}});
    let call = container.call(["update", "--resources", "-", container.id()]).stdin_text(&resources.to_string());
    call.run().fails().stderr_has("memory.nonsense");
    assert_eq!(file(&container, "pids.max"), "20");
    assert_eq!(property(&container, "TasksMax"), "20");
    assert_eq!(file(&container, "memory.max"), "max");
    assert_eq!(property(&container, "MemoryMax"), "infinity");
}

#[test]
fn update_of_devices_under_systemd() {
    needs!(host::systemd(), "systemd does not run here");
    bolo_only!("runc leaves devices out of update");
    let kmsg = json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11});
    let container = Bundle::idle().systemd("system.slice").push("/linux/devices", kmsg).start();
    let opens = || container.exec("dd if=/dev/null of=/dev/kmsg count=0").code == 0;
    for allow in [false, true, false] {
        let rule = json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": "rw"});
        let resources = json!({"devices": [rule]}).to_string();
        container.call(["update", "--resources", "-", container.id()]).stdin_text(&resources).run().ok();
        assert_eq!(opens(), allow);
    }
}
