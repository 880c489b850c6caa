//! `linux.namespaces`, hostname and domainname, id mappings, time offsets.

use crate::kit::*;

/// The name of a namespace type in config.json, and in /proc/PID/ns.
const KINDS: [(&str, &str); 8] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
    ("user", "user"),
    ("time", "time"),
];

fn inside(bundle: Bundle, file: &str) -> String {
    bundle.args(["readlink", &format!("/proc/self/ns/{file}")]).run().text()
}

fn outside(file: &str) -> String {
    host::namespace_of(std::process::id() as i32, file)
}

#[test]
fn new_ones() {
    for (kind, file) in KINDS {
        if kind == "time" {
            continue;
        }
        let bundle = Bundle::sh("");
        let bundle = if kind == "user" { bundle.user_namespace(100_000) } else { bundle.namespace(kind) };
        assert_ne!(inside(bundle, file), outside(file), "{kind}");
    }
}

#[test]
fn a_new_time_namespace_with_offsets() {
    not_on!("runc<1.2", "no time namespace");
    needs!(host::namespace("time"), "no time namespaces");
    let bundle = Bundle::sh("readlink /proc/self/ns/time; cut -d. -f1 /proc/uptime").namespace("time").set(
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 5000, "nanosecs": 7}}),
    );
    let lines = bundle.run().lines();
    assert_ne!(lines[0], outside("time"));
    assert!(lines[1].parse::<u64>().unwrap() >= 1_000_000, "{lines:?}");
    let offsets = bundle.args(["cat", "/proc/self/timens_offsets"]).run().text();
    let words: Vec<_> = offsets.split_whitespace().collect();
    assert_eq!(words, ["monotonic", "5000", "7", "boottime", "1000000", "0"]);
}

#[test]
fn inherited_where_not_named() {
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("cgroup", "cgroup"), ("user", "user")] {
        assert_eq!(inside(Bundle::sh("").without_namespace(kind), file), outside(file), "{kind}");
    }
    let bundle = Bundle::sh("").without_namespace("uts").remove("/hostname");
    assert_eq!(inside(bundle, "uts"), outside("uts"));
    assert_eq!(inside(Bundle::sh("").without_namespace("pid"), "pid"), outside("pid"));
}

#[test]
fn joined_by_path() {
    let host = Bundle::idle().namespace("cgroup").start();
    let pid = host.pid();
    for (kind, file) in KINDS {
        if ["mount", "user", "time"].contains(&kind) {
            continue;
        }
        let bundle = host.scene().sh("").join(kind, format!("/proc/{pid}/ns/{file}"));
        assert_eq!(inside(bundle, file), host::namespace_of(pid, file), "{kind}");
    }
}

#[test]
fn a_joined_pid_namespace_shows_its_processes() {
    let host = Bundle::program(["sleep", "54321"]).start();
    let path = format!("/proc/{}/ns/pid", host.pid());
    host.scene().sh("ps; echo $$").join("pid", path).run().stdout_has("sleep 54321");
}

#[test]
fn a_joined_user_namespace() {
    let host = Bundle::idle().user_namespace(200_000).start();
    let path = format!("/proc/{}/ns/user", host.pid());
    let bundle = host.scene().sh("cat /proc/self/uid_map; id -u").user_namespace(200_000).join("user", &path);
    let lines = bundle.run().lines();
    let words: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(words, ["0", "200000", "65536"]);
    assert_eq!(lines[1], "0");
    assert_eq!(inside(bundle, "user"), host::namespace_of(host.pid(), "user"));
}

#[test]
fn all_of_another_container_as_a_pod() {
    not_on!("runc<1.2", "asks for mappings beside the path");
    let pause = Bundle::idle().user_namespace(300_000).start();
    let path = |file: &str| format!("/proc/{}/ns/{file}", pause.pid());
    let bundle = pause.scene().sh("hostname; readlink /proc/self/ns/net").user_namespace(300_000);
    let bundle = bundle.remove("/linux/uidMappings").remove("/linux/gidMappings").remove("/hostname");
    let bundle = bundle.join("user", path("user")).join("network", path("net")).join("ipc", path("ipc"));
    let lines = bundle.join("uts", path("uts")).run().lines();
    assert_eq!(lines, ["tart", &host::namespace_of(pause.pid(), "net")]);
}

#[test]
fn a_path_that_is_no_such_namespace_is_refused() {
    let scene = Scene::new();
    let file = scene.host_file("file", "");
    for path in ["/no/such/namespace", file.to_str().unwrap(), "/proc/self/ns/net"] {
        let bundle = scene.sh("true").join("ipc", path);
        bundle.try_create().fails().bolo_says("linux.namespaces[4]");
        bundle.leaves_nothing();
    }
}

#[test]
fn the_same_type_twice_is_refused() {
    let bundle = Bundle::sh("true").push("/linux/namespaces", json!({"type": "ipc"}));
    bundle.try_create().fails().bolo_says("linux.namespaces[5]");
    bundle.leaves_nothing();
}

#[test]
fn an_unknown_type_is_refused() {
    let bundle = Bundle::sh("true").push("/linux/namespaces", json!({"type": "oven"}));
    bundle.try_create().fails().stderr_has("oven");
    bundle.leaves_nothing();
}

#[test]
fn the_first_process_of_a_pid_namespace_is_1() {
    Bundle::sh("echo $$").run().stdout_is("1");
    let pid: i32 = Bundle::sh("echo $$").without_namespace("pid").run().text().parse().unwrap();
    assert!(pid > 1);
}

#[test]
fn loopback_is_up_in_a_new_network() {
    Bundle::sh("ip link show lo").run().stdout_has("UP").stdout_has("LOOPBACK");
    Bundle::sh("ip -o link | wc -l; ip route | wc -l").run().stdout_has("\n0");
}

#[test]
fn hostname() {
    Bundle::sh("hostname; cat /proc/sys/kernel/hostname").set("/hostname", "oven").run().stdout_is("oven\noven");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_ne!(host, "oven\n");
    Bundle::sh("hostname").remove("/hostname").run().stdout_is(host.trim_end());
}

#[test]
fn hostname_without_a_namespace_of_its_own_is_refused() {
    let bundle = Bundle::sh("true").without_namespace("uts");
    bundle.try_create().fails().stderr_has("hostname");
    bundle.leaves_nothing();
}

#[test]
fn domainname() {
    not_on!("runc<1.2 crun<1.9", "no domainname");
    Bundle::sh("cat /proc/sys/kernel/domainname").set("/domainname", "kitchen").run().stdout_is("kitchen");
    let bundle = Bundle::sh("true").remove("/hostname").set("/domainname", "kitchen").without_namespace("uts");
    bundle.try_create().fails().stderr_has("domainname");
}

#[test]
fn user_namespace_maps_ids() {
    let bundle = Bundle::sh("cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; cat /proc/self/setgroups");
    let lines = bundle.user_namespace(100_000).run().lines();
    for line in &lines[..2] {
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    }
    assert_eq!(lines[2..], ["0", "0", "allow"]);
}

#[test]
fn the_host_sees_the_mapped_ids() {
    let container = Bundle::idle().user_namespace(100_000).user(7, 8).start();
    let ids = |field| host::process_status(container.pid(), field).unwrap();
    assert_eq!(ids("Uid"), "100007\t100007\t100007\t100007");
    assert_eq!(ids("Gid"), "100008\t100008\t100008\t100008");
}

#[test]
fn several_mappings() {
    let map = json!([
        {"containerID": 0, "hostID": 100_000, "size": 10},
        {"containerID": 10, "hostID": 200_000, "size": 5},
        {"containerID": 65534, "hostID": 300_000, "size": 1}
    ]);
    let bundle = Bundle::sh("cat /proc/self/uid_map").user_namespace(100_000);
    let bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let words = bundle.run().text();
    let words: Vec<_> = words.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "10", "10", "200000", "5", "65534", "300000", "1"]);
}

#[test]
fn an_id_that_is_not_mapped_is_refused() {
    let bundle = Bundle::sh("true").user_namespace(100_000).user(70_000, 0);
    bundle.run().fails();
    bundle.leaves_nothing();
}

#[test]
fn mappings_without_a_user_namespace_are_refused() {
    not_on!("crun runc<1.2", "ignored");
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 10}]);
    let bundle = Bundle::sh("true").set("/linux/uidMappings", map);
    bundle.try_create().fails().stderr_has("uidMappings");
}

#[test]
fn overlapping_mappings_are_an_error() {
    let map = json!([
        {"containerID": 0, "hostID": 100_000, "size": 10},
        {"containerID": 5, "hostID": 200_000, "size": 10}
    ]);
    let bundle = Bundle::sh("true").user_namespace(100_000).set("/linux/uidMappings", map);
    bundle.try_create().fails();
    bundle.leaves_nothing();
}

#[test]
fn a_cgroup_namespace_has_the_containers_cgroup_as_its_root() {
    let lines = Bundle::sh("cat /proc/self/cgroup").namespace("cgroup").run().lines();
    assert!(lines.iter().any(|line| line.ends_with(":/")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("bt")), "{lines:?}");
}

#[test]
fn an_ipc_namespace_hides_shared_memory() {
    let script = "cat /proc/sysvipc/shm | wc -l";
    Bundle::sh(script).run().stdout_is("1");
}

#[test]
fn without_a_mount_namespace() {
    not_on!("runc", "refuses");
    not_on!("crun", "mounts into the host's namespace");
    bolo_only!("refused: the root filesystem needs one");
    let bundle = Bundle::sh("true").without_namespace("mount");
    bundle.try_create().fails().stderr_has("mount");
    bundle.leaves_nothing();
}
