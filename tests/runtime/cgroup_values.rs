//! `linux.resources`, member by member: what the kernel's file says then. The tables hold for runc too, but for the rows
//! with a reason why not.

use crate::kit::*;

/// Where it stands below `linux.resources`, the value, controller, file, what the file says, and why not on runc.
type Row = (&'static str, Value, &'static str, &'static str, String, &'static str);

const OLD_RUNC: &str = "runc 1.1 does not know it";
const PASSED_OVER: &str = "runc passes over it";

fn check(table: Vec<Row>) {
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for (pointer, value, controller, name, expected, not_runc) in table {
        if !host::controller(controller) || (!not_runc.is_empty() && peer::RUNTIME.name != "bolo") {
            left.push(format!("{pointer}: {}", if not_runc.is_empty() { controller } else { not_runc }));
            continue;
        }
        let container = Bundle::idle().set(&format!("/linux/resources{pointer}"), value).create();
        let path = cgroup::of(controller, container.cgroup()).join(name);
        let Ok(content) = std::fs::read_to_string(&path) else {
            left.push(format!("{pointer}: the kernel has no {name}"));
            continue;
        };
        let found = content.lines().any(|line| line.trim() == expected);
        assert!(found, "{pointer}: {name} says {content:?}, not {expected:?}");
        done.push(pointer);
    }
    eprintln!("read back: {}; left out: {}", done.join(" "), left.join("; "));
    assert!(!done.is_empty() || !left.is_empty());
}

/// A whole disk, by number: throttles are about one.
fn disk() -> Option<(u32, u32)> {
    let text = std::fs::read_to_string("/proc/partitions").ok()?;
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [major, minor, _, name] = words[..] else { return None };
        let is_disk = ["vda", "sda", "nvme0n1"].contains(&name);
        Some((major.parse().ok()?, minor.parse().ok()?)).filter(|_| is_disk)
    })
}

fn throttle(rate: u64) -> Value {
    let (major, minor) = disk().unwrap_or_default();
    json!([{"major": major, "minor": minor, "rate": rate}])
}

#[test]
fn values_of_version_1() {
    needs!(!peer::v2(), "pure cgroup v2");
    let mib = 1_u64 << 20;
    let swap = |limit: u64, swap: u64| json!({"limit": limit, "swap": swap});
    let quota = |quota: i64, period: u64| json!({"quota": quota, "period": period});
    let mut table: Vec<Row> = vec![
        ("/pids/limit", json!(17), "pids", "pids.max", "17".into(), ""),
        ("/pids/limit", json!(-1), "pids", "pids.max", "max".into(), ""),
        ("/pids/limit", json!(0), "pids", "pids.max", "0".into(), "runc takes 0 for no limit"),
        ("/memory/limit", json!(64 * mib), "memory", "memory.limit_in_bytes", (64 * mib).to_string(), ""),
        ("/memory/reservation", json!(32 * mib), "memory", "memory.soft_limit_in_bytes", (32 * mib).to_string(), ""),
        ("/memory", swap(32 * mib, 64 * mib), "memory", "memory.memsw.limit_in_bytes", (64 * mib).to_string(), ""),
        ("/memory/swappiness", json!(7), "memory", "memory.swappiness", "7".into(), ""),
        ("/memory/disableOOMKiller", json!(true), "memory", "memory.oom_control", "oom_kill_disable 1".into(), ""),
        ("/cpu/shares", json!(512), "cpu", "cpu.shares", "512".into(), ""),
        ("/cpu/quota", json!(50_000), "cpu", "cpu.cfs_quota_us", "50000".into(), ""),
        ("/cpu/period", json!(200_000), "cpu", "cpu.cfs_period_us", "200000".into(), ""),
        ("/cpu", quota(5_000, 10_000), "cpu", "cpu.cfs_quota_us", "5000".into(), ""),
        ("/cpu", json!({"quota": 50_000, "burst": 20_000}), "cpu", "cpu.cfs_burst_us", "20000".into(), OLD_RUNC),
        ("/cpu/idle", json!(1), "cpu", "cpu.idle", "1".into(), OLD_RUNC),
        ("/cpu/realtimePeriod", json!(500_000), "cpu", "cpu.rt_period_us", "500000".into(), ""),
        ("/cpu/realtimeRuntime", json!(1_000), "cpu", "cpu.rt_runtime_us", "1000".into(), ""),
        ("/cpu/cpus", json!("0"), "cpuset", "cpuset.cpus", "0".into(), ""),
        ("/cpu/mems", json!("0"), "cpuset", "cpuset.mems", "0".into(), ""),
        ("/network/classID", json!(0x0010_0001), "net_cls", "net_cls.classid", 0x0010_0001.to_string(), ""),
        (
            "/network/priorities",
            json!([{"name": "lo", "priority": 3}]),
            "net_prio",
            "net_prio.ifpriomap",
            "lo 3".into(),
            "",
        ),
        (
            "/hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 4 * mib}]),
            "hugetlb",
            "hugetlb.2MB.limit_in_bytes",
            (4 * mib).to_string(),
            "",
        ),
        (
            "/devices",
            json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]),
            "devices",
            "devices.list",
            "c 1:11 r".into(),
            "",
        ),
        ("/devices", json!([{"allow": true, "access": "rwm"}]), "devices", "devices.list", "a *:* rwm".into(), ""),
    ];
    if let Some((major, minor)) = disk() {
        for (pointer, name) in [
            ("/blockIO/throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
            ("/blockIO/throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
            ("/blockIO/throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
            ("/blockIO/throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
        ] {
            table.push((pointer, throttle(1_000_000), "blkio", name, format!("{major}:{minor} 1000000"), ""));
        }
        table.push(("/blockIO/weight", json!(300), "blkio", "blkio.bfq.weight", "300".into(), ""));
    }
    // A file that this kernel does not have is refused, which other tests are about.
    let has = |controller: &str, name: &str| cgroup::of(controller, "").join(name).exists();
    table.retain(|row| row.0 != "/blockIO/weight" || has("blkio", "blkio.bfq.weight_device"));
    table.retain(|row| !row.3.starts_with("cpu.rt_") || has("cpu", row.3));
    check(table);
}

#[test]
fn values_of_version_2() {
    needs!(peer::v2(), "not pure cgroup v2");
    let mib = 1_u64 << 20;
    let mut table: Vec<Row> = vec![
        ("/pids/limit", json!(17), "pids", "pids.max", "17".into(), ""),
        ("/pids/limit", json!(-1), "pids", "pids.max", "max".into(), ""),
        ("/memory/limit", json!(64 * mib), "memory", "memory.max", (64 * mib).to_string(), ""),
        ("/memory/reservation", json!(32 * mib), "memory", "memory.low", (32 * mib).to_string(), ""),
        (
            "/memory",
            json!({"limit": 32 * mib, "swap": 48 * mib}),
            "memory",
            "memory.swap.max",
            (16 * mib).to_string(),
            "",
        ),
        ("/memory", json!({"limit": 32 * mib, "swap": 32 * mib}), "memory", "memory.swap.max", "0".into(), ""),
        ("/memory", json!({"limit": 32 * mib, "swap": -1}), "memory", "memory.swap.max", "max".into(), ""),
        ("/cpu/quota", json!(50_000), "cpu", "cpu.max", "50000 100000".into(), ""),
        ("/cpu/period", json!(200_000), "cpu", "cpu.max", "max 200000".into(), ""),
        ("/cpu", json!({"quota": 50_000, "burst": 20_000}), "cpu", "cpu.max.burst", "20000".into(), OLD_RUNC),
        ("/cpu/idle", json!(1), "cpu", "cpu.idle", "1".into(), OLD_RUNC),
        ("/cpu/shares", json!(1024), "cpu", "cpu.weight", "100".into(), "runc 1.1 has the old formula: 39"),
        ("/cpu/shares", json!(2), "cpu", "cpu.weight", "1".into(), ""),
        ("/cpu/shares", json!(262_144), "cpu", "cpu.weight", "10000".into(), ""),
        ("/cpu/cpus", json!("0"), "cpuset", "cpuset.cpus", "0".into(), ""),
        ("/cpu/mems", json!("0"), "cpuset", "cpuset.mems", "0".into(), ""),
        ("/unified/memory.high", json!("33554432"), "memory", "memory.high", "33554432".into(), ""),
        ("/unified/memory.min", json!("4096"), "memory", "memory.min", "4096".into(), ""),
        ("/unified/memory.oom.group", json!("1"), "memory", "memory.oom.group", "1".into(), ""),
        ("/unified/pids.max", json!("9"), "pids", "pids.max", "9".into(), ""),
        ("/unified/cgroup.max.depth", json!("3"), "pids", "cgroup.max.depth", "3".into(), ""),
        (
            "/hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 4 * mib}]),
            "hugetlb",
            "hugetlb.2MB.max",
            (4 * mib).to_string(),
            "",
        ),
        (
            "/hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 4 * mib}]),
            "hugetlb",
            "hugetlb.2MB.rsvd.max",
            (4 * mib).to_string(),
            OLD_RUNC,
        ),
        ("/memory/kernelTCP", json!(0), "memory", "memory.max", "max".into(), PASSED_OVER),
    ];
    if let Some((major, minor)) = disk() {
        let line = |key: &str| {
            let value = |name: &str| if name == key { "1000000" } else { "max" };
            let words = ["rbps", "wbps", "riops", "wiops"].map(|name| format!("{name}={}", value(name)));
            format!("{major}:{minor} {}", words.join(" "))
        };
        for (pointer, key) in [
            ("/blockIO/throttleReadBpsDevice", "rbps"),
            ("/blockIO/throttleWriteBpsDevice", "wbps"),
            ("/blockIO/throttleReadIOPSDevice", "riops"),
            ("/blockIO/throttleWriteIOPSDevice", "wiops"),
        ] {
            table.push((pointer, throttle(1_000_000), "io", "io.max", line(key), ""));
        }
    }
    check(table);
}

#[test]
fn a_weight_of_io_is_in_the_file_that_the_scheduler_has() {
    needs!(peer::v2() && host::controller("io"), "no io controller of version 2");
    let bundle = Bundle::idle().set("/linux/resources/blockIO/weight", 500);
    let weighs = ["io.bfq.weight", "io.weight"].map(|name| cgroup::of("io", "/system.slice").join(name).exists());
    if weighs == [false, false] {
        bolo_only!("others pass over a weight that nothing heeds");
        bundle.try_create().fails().stderr_has("linux.resources.blockIO.weight");
        return;
    }
    let container = bundle.create();
    let file = |name: &str| std::fs::read_to_string(cgroup::of("io", container.cgroup()).join(name));
    match file("io.bfq.weight") {
        Ok(text) => assert!(text.lines().any(|line| line == "default 500" || line == "500"), "{text}"),
        Err(_) => assert_eq!(file("io.weight").unwrap().trim(), "default 4950"),
    }
}
