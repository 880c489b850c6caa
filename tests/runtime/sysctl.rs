//! `linux.sysctl`

use crate::kit::*;

#[test]
fn of_the_network() {
    let sysctl = json!({"net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 100"});
    let bundle = Bundle::sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range");
    bundle.set("/linux/sysctl", sysctl).run().stdout_is("1\n0\t100");
}

#[test]
fn of_the_ipc_namespace() {
    let sysctl = json!({"kernel.shmmax": "123456", "fs.mqueue.msg_max": "77"});
    let bundle = Bundle::sh("cat /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max");
    bundle.set("/linux/sysctl", sysctl).run().stdout_is("123456\n77");
}

#[test]
fn with_slashes() {
    not_on!("crun<1.9", "dots only");
    let bundle = Bundle::sh("cat /proc/sys/net/ipv4/conf/lo/forwarding");
    bundle.set("/linux/sysctl", json!({"net/ipv4/conf/lo/forwarding": "1"})).run().stdout_is("1");
}

#[test]
fn of_the_uts_namespace() {
    let bundle =
        Bundle::sh("cat /proc/sys/kernel/domainname").set("/linux/sysctl", json!({"kernel.domainname": "kitchen"}));
    bundle.run().stdout_is("kitchen");
}

#[test]
fn the_hostname_has_its_own_field() {
    not_on!("crun", "allowed");
    let bundle = Bundle::sh("true").set("/linux/sysctl", json!({"kernel.hostname": "oven"}));
    bundle.try_create().fails().stderr_has("hostname");
}

#[test]
fn of_the_host_are_refused() {
    let scene = Scene::new();
    for name in ["kernel.panic", "vm.swappiness", "kernel.core_pattern", "fs.file-max", "kernel/panic", "../panic", ""]
    {
        let bundle = scene.sh("true").set("/linux/sysctl", json!({name: "1"}));
        bundle.try_create().fails().bolo_says("linux.sysctl");
        bundle.leaves_nothing();
    }
}

#[test]
fn without_the_namespace_are_refused() {
    let bundle =
        Bundle::sh("true").without_namespace("network").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    bundle.try_create().fails().stderr_has("net");
    let bundle = Bundle::sh("true").without_namespace("ipc").without_mount("/dev/mqueue");
    let bundle = bundle.set("/linux/sysctl", json!({"kernel.shmmax": "123456"}));
    bundle.try_create().fails().stderr_has("kernel.shmmax");
}

#[test]
fn in_the_hosts_network_by_path_are_refused() {
    not_on!("crun", "allowed");
    let bundle = Bundle::sh("true").join("network", "/proc/self/ns/net");
    // What it is already: a runtime that writes it does no harm.
    let own = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let bundle = bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": own.trim()}));
    bundle.try_create().fails();
    bundle.leaves_nothing();
}

#[test]
fn one_that_does_not_exist() {
    let bundle = Bundle::sh("true").set("/linux/sysctl", json!({"net.ipv4.sourdough": "1"}));
    bundle.try_create().fails().stderr_has("sourdough");
    bundle.leaves_nothing();
}

#[test]
fn a_value_that_the_kernel_refuses() {
    let bundle = Bundle::sh("true").set("/linux/sysctl", json!({"net.ipv4.ping_group_range": "x"}));
    bundle.try_create().fails().bolo_says("ping_group_range");
    bundle.leaves_nothing();
}

#[test]
fn on_a_read_only_proc_sys() {
    // They are written before /proc/sys turns read-only.
    let bundle = Bundle::sh("cat /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/ip_forward");
    let output = bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})).run();
    output.code_is(1).stdout_is("1").stderr_has("Read-only file system");
}
