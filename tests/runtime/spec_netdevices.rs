//! config-linux.md, Network Devices: devices of the runtime's network namespace move into the container's.

use crate::kit::*;

/// A call in a network namespace of its own, after `setup`; so no device of the host is ever touched.
fn call(bundle: &Bundle, setup: &str, verb: &str) -> Output {
    let script = format!("ip link set lo up; {setup}; exec \"$@\"");
    let call = if verb == "run" { bundle.call_run(&[]) } else { bundle.call_create(&[]) };
    call.under(["unshare", "--net", "sh", "-ec", &script, "sh"]).run()
}

fn with_device(script: &str, name: &str, device: Value) -> Bundle {
    Bundle::sh(script).set("/linux/netDevices", json!({ name: device }))
}

fn possible() -> bool {
    let script = "ip link add probe0 type dummy";
    let status = std::process::Command::new("unshare").args(["--net", "sh", "-c", script]).output();
    status.is_ok_and(|output| output.status.success())
}

macro_rules! needs_devices {
    () => {
        not_on!("runc<1.4 crun<1.23", "no netDevices");
        needs!(possible(), "no dummy network devices, or no ip(8)");
    };
}

const DUMMY: &str = "ip link add loaf0 type dummy";

#[test]
fn a_device_moves_and_is_up() {
    needs_devices!();
    let bundle = with_device("ip -o link show loaf0", "loaf0", json!({}));
    call(&bundle, DUMMY, "run").stdout_has("loaf0").stdout_has("UP");
    let bundle = with_device("ip -o link show crumb0; ls /sys/class/net | wc -l", "loaf0", json!({"name": "crumb0"}));
    call(&bundle, DUMMY, "run").stdout_has("crumb0").stdout_has("UP").stdout_has("\n2");
}

#[test]
fn a_device_that_does_not_exist_is_an_error() {
    needs_devices!();
    let bundle = with_device("true", "loaf9", json!({}));
    call(&bundle, DUMMY, "create").fails().stderr_has("loaf9");
    bundle.leaves_nothing();
}

#[test]
fn a_name_in_use_is_an_error() {
    needs_devices!();
    let bundle = with_device("true", "loaf0", json!({"name": "lo"}));
    call(&bundle, DUMMY, "create").fails();
    bundle.leaves_nothing();
}

#[test]
fn a_template_gives_a_free_name() {
    not_on!("runc crun", "no templates");
    needs_devices!();
    let bundle = with_device("ls /sys/class/net", "loaf0", json!({"name": "crumb%d"}));
    call(&bundle, DUMMY, "run").stdout_is("crumb0\nlo");
}

#[test]
fn a_device_keeps_its_addresses_and_attributes() {
    needs_devices!();
    let setup = "ip link add loaf0 type dummy; ip link set loaf0 address 02:00:00:00:00:07 mtu 1234 up
        ip address add 192.0.2.7/24 dev loaf0; ip address add 2001:db8::7/64 dev loaf0 nodad";
    let bundle = with_device("ip address show dev loaf0", "loaf0", json!({}));
    let output = call(&bundle, setup, "run").stdout_has("192.0.2.7/24").stdout_has("2001:db8::7/64");
    output.stdout_has("02:00:00:00:00:07").stdout_has("mtu 1234");
}

#[test]
fn a_device_stays_in_its_namespace() {
    needs_devices!();
    let scene = Scene::new();
    let holder = scene.idle().start();
    let path = format!("/proc/{}/ns/net", holder.pid());
    let bundle = scene.sh("true").set("/linux/netDevices", json!({"loaf0": {}})).join("network", path);
    call(&bundle, DUMMY, "run").ok();
    holder.exec("ls /sys/class/net; ip -o link show loaf0").stdout_has("loaf0");
}
