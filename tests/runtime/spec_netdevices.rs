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
    let script = "ip link add probe0 type veth";
    let status = std::process::Command::new("unshare").args(["--net", "sh", "-c", script]).output();
    status.is_ok_and(|output| output.status.success())
}

macro_rules! needs_devices {
    () => {
        not_on!("runc<1.4 crun<1.23", "no netDevices");
        needs!(possible(), "no veth network devices, or no ip(8)");
    };
}

const PAIR: &str = "ip link add loaf0 type veth peer name crust0";

#[test]
fn a_device_moves_and_is_up() {
    needs_devices!();
    let bundle = with_device("ip -o link show loaf0", "loaf0", json!({}));
    call(&bundle, PAIR, "run").stdout_has("loaf0").stdout_has("UP");
    let bundle = with_device("ip -o link show crumb0; ls /sys/class/net | wc -l", "loaf0", json!({"name": "crumb0"}));
    call(&bundle, PAIR, "run").stdout_has("crumb0").stdout_has("UP").stdout_has("\n2");
}

#[test]
fn a_device_that_does_not_exist_is_an_error() {
    needs_devices!();
    let bundle = with_device("true", "loaf9", json!({}));
    call(&bundle, PAIR, "create").fails().stderr_has("loaf9");
    bundle.leaves_nothing();
}

#[test]
fn a_name_in_use_is_an_error() {
    needs_devices!();
    let bundle = with_device("true", "loaf0", json!({"name": "lo"}));
    call(&bundle, PAIR, "create").fails();
    bundle.leaves_nothing();
}

#[test]
fn a_template_gives_a_free_name() {
    not_on!("runc crun", "no templates");
    needs_devices!();
    let bundle = with_device("ls /sys/class/net", "loaf0", json!({"name": "crumb%d"}));
    call(&bundle, PAIR, "run").stdout_is("crumb0\nlo");
}

#[test]
fn a_device_keeps_its_addresses_and_attributes() {
    needs_devices!();
    let setup = "ip link add loaf0 type veth peer name crust0; ip link set loaf0 address 02:00:00:00:00:07 mtu 1342 up
        ip address add 192.0.2.7/24 dev loaf0; ip address add 2001:db8::7/64 dev loaf0 nodad";
    let bundle = with_device("ip address show dev loaf0", "loaf0", json!({}));
    let output = call(&bundle, setup, "run").stdout_has("192.0.2.7/24").stdout_has("2001:db8::7/64");
    output.stdout_has("02:00:00:00:00:07").stdout_has("mtu 1342");
}

#[test]
fn a_device_stays_in_its_namespace() {
    needs_devices!();
    let scene = Scene::new();
    let holder = scene.idle().start();
    let path = format!("/proc/{}/ns/net", holder.pid());
    let bundle = scene.sh("true").set("/linux/netDevices", json!({"loaf0": {}, "crust0": {}})).join("network", path);
    call(&bundle, PAIR, "run").ok();
    holder.exec("ls /sys/class/net; ip -o link show loaf0").stdout_has("loaf0");
}

#[test]
fn after_a_failure_a_device_is_back_as_it_was() {
    bolo_only!("others leave it to its fate");
    needs_devices!();
    let bundle = with_device("true", "loaf0", json!({"name": "crumb0"})).hook("createRuntime", "exit 1");
    let setup = format!("{PAIR}; ip link set loaf0 up; ip address add 192.0.2.7/24 dev loaf0");
    let script = format!("{setup}; \"$@\" && exit 9; ip -o address show dev loaf0; ip -o link show loaf0");
    let output = bundle.call_create(&[]).under(["unshare", "--net", "sh", "-ec", &script, "sh"]).run();
    output.stdout_has("192.0.2.7/24").stdout_has(",UP").stderr_has("hooks.createRuntime[0]");
    bundle.leaves_nothing();
}

#[test]
fn names_that_no_device_has_are_refused() {
    bolo_only!("an error before anything is made");
    for (name, rename, place) in [
        ("a/b", "", "linux.netDevices.a/b"),
        ("", "x", "linux.netDevices."),
        ("eth0", "a b", "linux.netDevices.eth0.name"),
        ("eth0", "sixteen-letters-", "linux.netDevices.eth0.name"),
        ("eth0", "a%d%d", "linux.netDevices.eth0.name"),
        ("eth0", "a%s", "linux.netDevices.eth0.name"),
        ("eth0", "..", "linux.netDevices.eth0.name"),
    ] {
        let bundle = with_device("true", name, json!({"name": rename}));
        bundle.try_create().fails().stderr_has(place);
        bundle.leaves_nothing();
    }
    let twice = Bundle::sh("true").set("/linux/netDevices", json!({"eth7": {"name": "x"}, "eth8": {"name": "x"}}));
    twice.try_create().fails().stderr_has("linux.netDevices.eth8.name");
    let none = with_device("true", "eth0", json!({})).without_namespace("network");
    none.try_create().fails().stderr_has("linux.netDevices");
}

#[test]
fn the_network_namespace_of_a_joined_user_namespace_gets_its_device() {
    bolo_only!("its own two processes");
    needs_devices!();
    let scene = Scene::new();
    let holder = scene.idle().user_namespace(100_000).start();
    let user = format!("/proc/{}/ns/user", holder.pid());
    let bundle = scene.sh("ip -o link show crumb0").set("/linux/netDevices", json!({"loaf0": {"name": "crumb%d"}}));
    give(&bundle.rootfs(), 100_000);
    call(&bundle.join("user", user), PAIR, "run").stdout_has("crumb0").stdout_has("UP");
}
