//! `linux.resources` and the files that it becomes, on version 1 and on version 2.

use super::*;
use serde_json::{Value, json};

/// `FILE=VALUE` of each setting, or the error.
fn planned(resources: &Value, version: Version) -> String {
    let resources: Resources = serde_json::from_value(resources.clone()).unwrap();
    match plan(&resources, |_| version) {
        Ok(settings) => settings.iter().map(shown).collect::<Vec<_>>().join(", "),
        Err(error) => format!("error: {error}"),
    }
}

fn shown(setting: &Setting) -> String {
    let instead = match &setting.missing {
        super::super::setting::Missing::Error => String::new(),
        super::super::setting::Missing::Ignore => "?".to_owned(),
        super::super::setting::Missing::Instead(other) => format!(" or {}", shown(other)),
    };
    format!("{}={}{instead}", setting.file, setting.value)
}

fn both(resources: Value, v1: &str, v2: &str) {
    assert_eq!(planned(&resources, Version::V1), v1, "version 1: {resources}");
    assert_eq!(planned(&resources, Version::V2), v2, "version 2: {resources}");
}

#[test]
fn pids() {
    both(json!({"pids": {"limit": 10}}), "pids.max=10", "pids.max=10");
    both(json!({"pids": {"limit": -1}}), "pids.max=max", "pids.max=max");
    both(json!({"pids": {"limit": 0}}), "pids.max=0", "pids.max=0");
    both(json!({"pids": {}}), "", "");
}

#[test]
fn memory() {
    let limit = "memory.limit_in_bytes=1000";
    both(json!({"memory": {"limit": 1000}}), limit, "memory.max=1000");
    both(
        json!({"memory": {"limit": -1}}),
        "memory.limit_in_bytes=-1, memory.memsw.limit_in_bytes=-1?",
        "memory.swap.max=max?, memory.max=max",
    );
    both(
        json!({"memory": {"limit": 1000, "swap": 3000}}),
        "memory.limit_in_bytes=1000, memory.memsw.limit_in_bytes=3000",
        "memory.swap.max=2000, memory.max=1000",
    );
    both(
        json!({"memory": {"limit": 1000, "swap": 1000}}),
        "memory.limit_in_bytes=1000, memory.memsw.limit_in_bytes=1000",
        "memory.swap.max=0?, memory.max=1000",
    );
    both(
        json!({"memory": {"limit": 1000, "swap": -1}}),
        "memory.limit_in_bytes=1000, memory.memsw.limit_in_bytes=-1",
        "memory.swap.max=max?, memory.max=1000",
    );
    both(json!({"memory": {"reservation": 500}}), "memory.soft_limit_in_bytes=500", "memory.low=500");
    both(json!({"memory": {"limit": 0, "swap": 0, "reservation": 0}}), "", "");
    let error = "error: linux.resources.memory.swap: memory and swap together (500) cannot be less than memory (1000)";
    assert_eq!(planned(&json!({"memory": {"limit": 1000, "swap": 500}}), Version::V2), error);
    let error = "error: linux.resources.memory.swap: memory and swap together need a limit of memory too";
    assert_eq!(planned(&json!({"memory": {"swap": 500}}), Version::V2), error);
    let error = "error: linux.resources.memory.limit: -2 is negative; -1 means unlimited";
    both(json!({"memory": {"limit": -2}}), error, error);
}

#[test]
fn memory_that_only_version_1_has() {
    for (member, value, v1) in [
        ("swappiness", json!(10), "memory.swappiness=10"),
        ("disableOOMKiller", json!(true), "memory.oom_control=1"),
        ("kernel", json!(1000), "memory.kmem.limit_in_bytes=1000"),
        ("kernelTCP", json!(1000), "memory.kmem.tcp.limit_in_bytes=1000"),
    ] {
        let error = format!("error: linux.resources.memory.{member}: cgroup version 2 has no such limit");
        both(json!({"memory": {member: value}}), v1, &error);
    }
    let error = "error: linux.resources.memory.swappiness: 101 is not in the range 0 to 100";
    both(json!({"memory": {"swappiness": 101}}), error, error);
    both(json!({"memory": {"disableOOMKiller": false}}), "memory.oom_control=0", "");
}

#[test]
fn cpu() {
    both(json!({"cpu": {"shares": 1024}}), "cpu.shares=1024", "cpu.weight=100");
    both(json!({"cpu": {"quota": 50_000}}), "cpu.cfs_quota_us=50000", "cpu.max=50000 100000");
    both(
        json!({"cpu": {"quota": 50_000, "period": 200_000}}),
        "cpu.cfs_period_us=200000, cpu.cfs_quota_us=50000",
        "cpu.max=50000 200000",
    );
    both(json!({"cpu": {"quota": -1}}), "cpu.cfs_quota_us=-1", "cpu.max=max 100000");
    both(json!({"cpu": {"period": 200_000}}), "cpu.cfs_period_us=200000", "cpu.max=max 200000");
    both(
        json!({"cpu": {"burst": 10_000, "quota": 50_000}}),
        "cpu.cfs_burst_us=10000, cpu.cfs_quota_us=50000",
        "cpu.max.burst=10000, cpu.max=50000 100000",
    );
    both(json!({"cpu": {"idle": 1, "shares": 1024}}), "cpu.idle=1", "cpu.idle=1");
    both(json!({"cpu": {"idle": 0, "shares": 2}}), "cpu.idle=0, cpu.shares=2", "cpu.idle=0, cpu.weight=1");
    both(
        json!({"cpu": {"realtimeRuntime": 10, "realtimePeriod": 1000}}),
        "cpu.rt_period_us=1000, cpu.rt_runtime_us=10",
        "error: linux.resources.cpu.realtimePeriod: cgroup version 2 has no real-time limits",
    );
    let lists = "cpuset.cpus=0-1,3, cpuset.mems=0";
    both(json!({"cpu": {"cpus": "0-1,3", "mems": "0"}}), lists, lists);
    let error = "error: linux.resources.cpu.cpus: \"0\\n1\" is no list like 0-3,7";
    both(json!({"cpu": {"cpus": "0\n1"}}), error, error);
}

#[test]
fn weights_go_through_the_three_points() {
    for (shares, weight) in [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (u64::MAX, 10_000), (512, 59), (2048, 174)]
    {
        assert_eq!(super::cpu::weight(shares), weight, "{shares}");
    }
    for shares in 3..262_144 {
        assert!(super::cpu::weight(shares) >= super::cpu::weight(shares - 1), "{shares}");
    }
}

#[test]
fn block_io() {
    both(
        json!({"blockIO": {"weight": 500}}),
        "blkio.weight=500 or blkio.bfq.weight=500",
        "io.bfq.weight=500 or io.weight=4950",
    );
    both(
        json!({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1000}]}}),
        "blkio.weight_device=8:0 1000 or blkio.bfq.weight_device=8:0 1000",
        "io.bfq.weight=8:0 1000 or io.weight=8:0 10000",
    );
    both(
        json!({"blockIO": {
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 100}],
            "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 200}],
            "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 300}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 0}],
        }}),
        "blkio.throttle.read_bps_device=8:0 100, blkio.throttle.write_bps_device=8:0 200, \
         blkio.throttle.read_iops_device=8:0 300, blkio.throttle.write_iops_device=8:0 0",
        "io.max=8:0 rbps=100, io.max=8:0 wbps=200, io.max=8:0 riops=300, io.max=8:0 wiops=max",
    );
    let error = "error: linux.resources.blockIO.weight: 9 is not in the range 10 to 1000";
    both(json!({"blockIO": {"weight": 9}}), error, error);
    both(
        json!({"blockIO": {"leafWeight": 10}}),
        "blkio.leaf_weight=10",
        "error: linux.resources.blockIO.leafWeight: cgroup version 2 has no weights of leaves",
    );
    assert_eq!((super::io::io_weight(10), super::io::io_weight(1000)), (1, 10_000));
}

#[test]
fn huge_pages() {
    both(
        json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]}),
        "hugetlb.2MB.limit_in_bytes=4194304, hugetlb.2MB.rsvd.limit_in_bytes=4194304?",
        "hugetlb.2MB.max=4194304, hugetlb.2MB.rsvd.max=4194304?",
    );
    let error = "error: linux.resources.hugepageLimits[0].pageSize: \"../x\" is no page size";
    both(json!({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}), error, error);
}

#[test]
fn rdma() {
    let value = "rdma.max=mlx5_1 hca_handle=3 hca_object=10000";
    both(json!({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10_000}}}), value, value);
    let error = "error: linux.resources.rdma[\"a b\"]: \"a b\" is no name";
    both(json!({"rdma": {"a b": {"hcaHandles": 3}}}), error, error);
}

#[test]
fn network() {
    both(
        json!({"network": {"classID": 1_048_577, "priorities": [{"name": "eth0", "priority": 5}]}}),
        "net_cls.classid=1048577, net_prio.ifpriomap=eth0 5",
        "error: linux.resources.network.classID: cgroup version 2 has no network classes, and no net_cls hierarchy is \
         mounted",
    );
    both(json!({"network": {"classID": 0}}), "", "");
}

#[test]
fn unified() {
    let plan = |file: &str, value: &str| planned(&json!({"unified": {file: value}}), Version::V2);
    assert_eq!(plan("memory.high", "1000"), "memory.high=1000");
    assert_eq!(plan("io.max", "8:0 rbps=1\n8:16 wbps=2\n"), "io.max=8:0 rbps=1, io.max=8:16 wbps=2");
    assert_eq!(plan("cpuset.cpus", ""), "cpuset.cpus=\n");
    assert_eq!(
        plan("../memory.high", "1"),
        "error: linux.resources.unified[\"../memory.high\"]: it must be a file name, without slashes"
    );
    assert_eq!(plan("memory", "1"), "error: linux.resources.unified[\"memory\"]: it must be CONTROLLER.PARAMETER");
}
