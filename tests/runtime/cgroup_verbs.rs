//! `pause`, `resume`, `ps`, `update` and `events`.

use crate::kit::*;

fn file(container: &Container, controller: &str, name: &str) -> String {
    let path = cgroup::of(controller, container.cgroup()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")).trim().to_owned()
}

#[test]
fn a_paused_container_does_nothing_until_it_is_resumed() {
    let container = Bundle::sh("i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.01; done").start();
    let count = || std::fs::read_to_string(container.in_rootfs("/count")).unwrap_or_default();
    wait("the container counts", || !count().is_empty());
    container.verb("pause").ok();
    assert_eq!(container.status(), "paused");
    let before = count();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(count(), before);
    container.verb("resume").ok();
    assert_eq!(container.status(), "running");
    wait("it goes on", || count() != before);
}

#[test]
fn who_cannot_be_paused_or_resumed() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    container.verb("pause").fails();
    container.verb("resume").fails();
    let running = Bundle::idle().start();
    running.verb("resume").fails();
    running.call(["pause", "nobody"]).run().fails();
}

#[test]
fn a_paused_container_can_be_deleted_by_force() {
    let container = Bundle::idle().start();
    container.verb("pause").ok();
    container.call(["delete", "--force", container.id()]).run().ok();
    container.leaves_nothing();
}

#[test]
fn ps_knows_every_process() {
    let container = Bundle::sh("sleep 1000 & sleep 1000 & wait").start();
    let pids = || container.call(["ps", "--format", "json", container.id()]).run().json();
    wait("there are three", || pids().as_array().is_some_and(|pids| pids.len() == 3));
    assert!(pids().as_array().unwrap().contains(&json!(container.pid())));
}

#[test]
fn ps_shows_what_ps_says() {
    not_on!("crun", "knows no options of ps(1)");
    needs!(host::program("ps"), "no ps(1)");
    let container = Bundle::idle().start();
    let lines = container.verb("ps").lines();
    assert!(lines[0].contains("PID"), "{lines:?}");
    assert!(lines.len() >= 2, "{lines:?}");
    let pid = container.pid().to_string();
    assert!(lines[1].split_whitespace().any(|word| word == pid), "{lines:?}");
    let lines = container.call(["ps", container.id(), "-o", "pid,comm"]).run().lines();
    assert_eq!(lines[1].split_whitespace().next(), Some(&*pid));
}

#[test]
fn update_changes_limits() {
    needs!(host::controller("pids") && host::controller("memory"), "no pids and memory controllers");
    let container = Bundle::idle().set("/linux/resources/pids/limit", 20).start();
    container.call(["update", "--pids-limit", "30", "--memory", "67108864", container.id()]).run().ok();
    assert_eq!(file(&container, "pids", "pids.max"), "30");
    let limit = if peer::v2() { "memory.max" } else { "memory.limit_in_bytes" };
    assert_eq!(file(&container, "memory", limit), "67108864");
    container.call(["update", "--memory", "32m", "--pids-limit", "-1", container.id()]).run().ok();
    assert_eq!(file(&container, "memory", limit), "33554432");
    assert_eq!(file(&container, "pids", "pids.max"), "max");
}

#[test]
fn update_of_cpus_of_version_1() {
    needs!(!peer::v2() && host::controller("cpu"), "no cpu controller of version 1");
    let container = Bundle::idle().start();
    let flags = ["--cpu-period", "50000", "--cpu-quota", "20000", "--cpu-share", "77", "--cpuset-cpus", "0"];
    container.call([&["update"], &flags[..], &[container.id()]].concat()).run().ok();
    assert_eq!(file(&container, "cpu", "cpu.cfs_period_us"), "50000");
    assert_eq!(file(&container, "cpu", "cpu.cfs_quota_us"), "20000");
    assert_eq!(file(&container, "cpu", "cpu.shares"), "77");
    assert_eq!(file(&container, "cpuset", "cpuset.cpus"), "0");
}

#[test]
fn update_reads_a_file_and_standard_input() {
    needs!(host::controller("pids"), "no pids controller");
    let container = Bundle::idle().start();
    let call = |from: &str| container.call(["update", "--resources", from, container.id()]);
    call("-").stdin_text(r#"{"pids": {"limit": 41}}"#).run().ok();
    assert_eq!(file(&container, "pids", "pids.max"), "41");
    let path = container.host_file("resources.json", r#"{"pids": {"limit": 42}}"#);
    call(path.to_str().unwrap()).run().ok();
    assert_eq!(file(&container, "pids", "pids.max"), "42");
    call("-").stdin_text("{\"pids\": ").run().fails();
    assert_eq!(file(&container, "pids", "pids.max"), "42");
}

#[test]
fn an_update_that_fails_changes_nothing() {
    not_on!("crun", "does not put the old values back");
    needs!(!peer::v2() && host::controller("pids") && host::controller("cpuset"), "no cgroup v1");
    let container = Bundle::idle().set("/linux/resources/pids/limit", 20).start();
    container.call(["update", "--pids-limit", "30", "--cpuset-cpus", "4000", container.id()]).run().fails();
    assert_eq!(file(&container, "pids", "pids.max"), "20");
}

#[test]
fn update_changes_devices() {
    bolo_only!("runc leaves devices out of update");
    needs!(std::path::Path::new("/dev/kmsg").exists(), "no /dev/kmsg");
    let kmsg = json!({"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11});
    let container = Bundle::idle().push("/linux/devices", kmsg).start();
    let opens = || container.exec("dd if=/dev/null of=/dev/kmsg count=0").code == 0;
    let update = |allow: bool| {
        let rule = json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": "rw"});
        let resources = json!({"devices": [rule]}).to_string();
        container.call(["update", "--resources", "-", container.id()]).stdin_text(&resources).run().ok();
    };
    assert!(!opens());
    update(true);
    assert!(opens());
    assert!(container.exec(": >/dev/null").code == 0);
    update(false);
    assert!(!opens());
}

#[test]
fn stats_have_the_shape_that_engines_read() {
    not_on!("crun", "has no events");
    let bundle = Bundle::idle();
    let limited = host::controller("pids");
    let container = if limited { bundle.set("/linux/resources/pids/limit", 20) } else { bundle }.start();
    let event = container.call(["events", "--stats", container.id()]).run().json();
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], container.id());
    let data = &event["data"];
    for key in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"] {
        assert!(data.get(key).is_some(), "{key}: {event}");
    }
    assert!(data["cpu"]["usage"]["total"].as_u64().is_some_and(|total| total > 0), "{event}");
    if limited {
        let pids = container.call(["ps", "--format", "json", container.id()]).run().json();
        assert_eq!(data["pids"]["current"], pids.as_array().unwrap().len());
        assert_eq!(data["pids"]["limit"], 20);
    }
    if host::controller("memory") {
        for entry in ["usage", "swap", "kernel", "kernelTCP"] {
            assert!(data["memory"][entry]["limit"].is_u64(), "{entry}: {event}");
        }
    }
}

#[test]
fn events_come_until_the_container_ends() {
    not_on!("crun", "has no events");
    let container = Bundle::idle().start();
    let events = container.call(["events", "--interval", "50ms", container.id()]).spawn();
    wait("two lines", || events.stdout().lines().count() >= 2);
    container.kill("KILL").ok();
    let lines = events.wait().lines();
    assert!(lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["type"] == "stats")));
    container.wait_stopped();
    container.call(["events", container.id()]).run().fails();
}

#[test]
fn running_out_of_memory_is_told() {
    not_on!("crun", "has no events");
    needs!(host::controller("memory"), "no memory controller");
    let memory = json!({"limit": 16 << 20, "swap": 16 << 20});
    let script = "while [ ! -e /go ]; do sleep 0.05; done; x=0123456789abcdef; while :; do x=$x$x; done";
    let container = Bundle::sh(script).set("/linux/resources/memory", memory).start();
    let events = container.call(["events", "--interval", "20ms", container.id()]).spawn();
    wait("it watches", || !events.stdout().is_empty());
    std::fs::write(container.in_rootfs("/go"), "").unwrap();
    let lines = events.wait().lines();
    assert!(lines.iter().any(|line| line.contains(r#""type":"oom""#)), "{lines:?}");
}
