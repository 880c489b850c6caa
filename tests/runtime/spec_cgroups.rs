//! config-linux.md, Control groups: paths, owners, and the resources that need no controller's own test.

use crate::kit::*;
use std::os::unix::fs::MetadataExt;

fn file(container: &Container, controller: &str, name: &str) -> String {
    let path = cgroup::of(controller, container.cgroup()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")).trim().to_owned()
}

fn owner(container: &Container, name: &str) -> u32 {
    cgroup::unified().join(container.cgroup().trim_start_matches('/')).join(name).metadata().unwrap().uid()
}

#[test]
fn one_path_is_one_place() {
    let path = format!("/{}", Bundle::sh("").id());
    let seen = || {
        let container = Bundle::idle().set("/linux/cgroupsPath", path.clone()).start();
        std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap()
    };
    let first = seen();
    assert!(first.lines().any(|line| line.ends_with(&format!(":{path}"))), "{first}");
    assert_eq!(first, seen());
}

const V2_CGROUP: (&str, &str, &str) = ("/sys/fs/cgroup", "cgroup", "cgroup");

/// A container of root's in a user namespace whose root is 100000, with a cgroup2 mount or without.
fn delegated(namespace: bool, options: Option<&[&str]>) -> Container {
    let bundle = Bundle::idle().user_namespace(100_000);
    let bundle = if namespace { bundle.namespace("cgroup") } else { bundle };
    let (destination, kind, source) = V2_CGROUP;
    match options {
        Some(options) => bundle.mount(destination, kind, source, options).start(),
        None => bundle.start(),
    }
}

#[test]
fn a_writable_v2_cgroup_belongs_to_the_containers_root() {
    needs!(peer::v2(), "not pure cgroup v2");
    let container = delegated(true, Some(&["rw", "nosuid", "noexec", "nodev"]));
    let listed = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap();
    assert_eq!(owner(&container, ""), 100_000, "the directory");
    let directory = cgroup::unified().join(container.cgroup().trim_start_matches('/'));
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() {
            let expected = if listed.lines().any(|line| line == name) { 100_000 } else { 0 };
            assert_eq!(owner(&container, &name), expected, "{name}");
        }
    }
}

#[test]
fn without_the_kernels_list_three_files_change_their_owner() {
    needs!(peer::v2(), "not pure cgroup v2");
    let (destination, kind, source) = V2_CGROUP;
    let bundle = Bundle::idle().user_namespace(100_000).namespace("cgroup").mount(destination, kind, source, &["rw"]);
    // What hides the list makes sysfs unmountable for a user namespace.
    let bundle = bundle.without_mount("/sys");
    let hide = "mount -t tmpfs x /sys/kernel/cgroup; exec \"$@\"";
    bundle.call_create(&[]).under(["unshare", "-m", "sh", "-ec", hide, "sh"]).run().ok();
    let directory = cgroup::unified().join(bundle.cgroup().trim_start_matches('/'));
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let given = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"].contains(&&*name);
        let owner = entry.metadata().unwrap().uid();
        assert_eq!(owner, if given { 100_000 } else { 0 }, "{name}");
    }
}

/// cgroup2's options are those of its last mount outside a cgroup namespace, whoever made it.
#[test]
fn the_hosts_mount_keeps_its_options() {
    needs!(peer::v2(), "not pure cgroup v2");
    not_on!("runc crun", "mount it anew");
    let (destination, kind, source) = V2_CGROUP;
    let bundle =
        Bundle::sh("grep ' /sys/fs/cgroup ' /proc/self/mountinfo").mount(destination, kind, source, &["ro", "nosuid"]);
    let options = |table: &str| {
        let line = table.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup2 mount");
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let host = || options(&std::fs::read_to_string("/proc/self/mountinfo").unwrap());
    let before = host();
    let inside = bundle.call_run(&[]).run().ok().stdout;
    assert_eq!(options(&inside), before);
    assert_eq!(host(), before);
}

#[test]
fn a_v2_cgroup_keeps_its_owner_without_reason() {
    needs!(peer::v2(), "not pure cgroup v2");
    let read_only: &[&str] = &["ro", "nosuid", "noexec", "nodev"];
    for (namespace, options) in [(true, Some(read_only)), (true, None), (false, None)] {
        let container = delegated(namespace, options);
        assert_eq!(owner(&container, ""), 0, "namespace {namespace}, mounted {options:?}");
        assert_eq!(owner(&container, "cgroup.procs"), 0);
    }
}

#[test]
fn a_v1_cgroup_keeps_its_owner() {
    needs!(!peer::v2() && host::controller("pids"), "no cgroup v1");
    let container = delegated(true, None);
    let directory = cgroup::of("pids", container.cgroup());
    assert_eq!(directory.metadata().unwrap().uid(), 0);
    assert_eq!(directory.join("cgroup.procs").metadata().unwrap().uid(), 0);
}

#[test]
fn device_rules_apply_in_their_order() {
    needs!(host::controller("devices") || peer::v2(), "no devices cgroup");
    let node = json!({"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11, "fileMode": 0o666});
    let rule = |allow: bool| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": "rwm"});
    for (last, expected) in [(true, "open"), (false, "")] {
        let bundle = Bundle::sh("(exec 3</dev/kmsg) && echo open; true").capabilities(&["CAP_SYSLOG", "CAP_SYS_ADMIN"]);
        let rules = json!([{"allow": false, "access": "rwm"}, rule(!last), rule(last)]);
        let bundle = bundle.set("/linux/devices", json!([node])).set("/linux/resources/devices", rules);
        bundle.run().stdout_is(expected);
    }
}

#[test]
fn a_limit_below_the_use_is_refused() {
    needs!(host::controller("memory"), "no memory controller");
    if !peer::v2() {
        not_on!("runc crun", "leave it to the kernel on cgroup v1");
    }
    let container = Bundle::sh("x=$(head -c 8000000 /dev/zero | tr '\\0' a); echo ready; sleep 1000; true").start();
    container.wait_stdout("ready");
    let resources = json!({"memory": {"limit": 1_048_576, "checkBeforeUpdate": true}}).to_string();
    let update = container.call(["update", "--resources", "-", container.id()]).stdin_text(&resources).run();
    update.fails();
    assert_eq!(container.status(), "running");
}

#[test]
fn a_page_size_that_does_not_exist_is_an_error() {
    for size in ["3MB", "bread", ""] {
        bolo_only!("others pass over what the kernel has not");
        let limits = json!([{"pageSize": size, "limit": 4096}]);
        let bundle = Bundle::sh("true").set("/linux/resources/hugepageLimits", limits);
        bundle.try_create().fails().stderr_has("linux.resources.hugepageLimits[0]");
        bundle.leaves_nothing();
    }
}

#[test]
fn a_pids_limit_of_zero_is_a_limit() {
    not_on!("runc crun", "write 1, or take it for none");
    needs!(host::controller("pids"), "no pids controller");
    let container = Bundle::program(["sleep", "1000"]).set("/linux/resources/pids/limit", 0).create();
    assert_eq!(file(&container, "pids", "pids.max"), "0");
}

#[test]
fn unified_writes_any_file() {
    needs!(peer::v2(), "not pure cgroup v2");
    let container = Bundle::idle().set("/linux/resources/unified", json!({"cgroup.max.descendants": "7"})).start();
    assert_eq!(file(&container, "", "cgroup.max.descendants"), "7");
}

#[test]
fn unified_enables_the_controller() {
    needs!(peer::v2() && host::controller("pids"), "no pids controller on cgroup v2");
    let container = Bundle::idle().set("/linux/resources/unified", json!({"pids.max": "77"})).start();
    assert_eq!(file(&container, "pids", "pids.max"), "77");
}

#[test]
fn unified_of_a_missing_controller_is_an_error() {
    needs!(peer::v2(), "not pure cgroup v2");
    for key in ["sourdough.max", "memory.no_such_file", "../pids.max", "a/b"] {
        let bundle = Bundle::sh("true").set("/linux/resources/unified", json!({ key: "1" }));
        bundle.try_create().fails().bolo_says(key);
        bundle.leaves_nothing();
    }
}

#[test]
fn what_v2_cannot_express_is_an_error() {
    needs!(peer::v2(), "not pure cgroup v2");
    not_on!("runc", "ignores it");
    let v1 = [
        ("network", json!({"classID": 7}), "linux.resources.network"),
        ("memory", json!({"swappiness": 10}), "linux.resources.memory.swappiness"),
    ];
    for (name, value, says) in v1 {
        let bundle = Bundle::sh("true").set(&format!("/linux/resources/{name}"), value);
        bundle.try_create().fails().bolo_says(says);
        bundle.leaves_nothing();
    }
}
