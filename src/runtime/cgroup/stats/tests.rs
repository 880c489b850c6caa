use super::*;

#[test]
fn the_shape_of_nothing() {
    let text = serde_json::to_string(&Stats::default()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = serde_json::json!({"limit": 0, "failcnt": 0});
    let expected = serde_json::json!({
        "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
        "cpuset": {
            "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0, "memory_spread_page": 0,
            "memory_spread_slab": 0, "memory_pressure": 0, "sched_load_balance": 0, "sched_relax_domain_level": 0
        },
        "memory": {"usage": entry, "swap": entry, "kernel": entry, "kernelTCP": entry},
        "pids": {},
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": null
    });
    assert_eq!(value, expected);
}

#[test]
fn lists() {
    assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
    assert!(list("\n").is_empty());
}

#[test]
fn a_cgroup_with_a_process_uses_something() {
    use super::super::tests::{Guard, Sleeper, root};
    if !root() {
        return;
    }
    let mut guard = Guard::new("stats");
    guard.0.create().unwrap();
    let child = Sleeper::new();
    guard.0.attach(child.pid(), false).unwrap();
    let stats = guard.0.stats().unwrap();
    assert_eq!(stats.pids.current, 1);
    let unified = guard.0.places.iter().all(Place::is_v2);
    if !unified {
        assert!(stats.memory.usage.limit > 0);
        assert!(!stats.memory.raw.is_empty());
        assert!(!stats.cpu.usage.percpu.is_empty());
        assert!(!stats.cpuset.cpus.is_empty());
    }
}
