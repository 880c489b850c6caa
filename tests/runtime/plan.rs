//! `plan`: prints what would be done, and does nothing.

use crate::kit::*;

fn plan(bundle: &Bundle) -> Output {
    bundle.write_config();
    bundle.call(["plan", "--bundle", bundle.bundle_dir().to_str().unwrap()]).run()
}

/// The number of the first line with all of these words.
#[track_caller]
fn line(lines: &[String], words: &[&str]) -> usize {
    let found = lines.iter().position(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("no line with {words:?} in\n{}", lines.join("\n")))
}

#[test]
fn names_the_origin_of_each_step() {
    bolo_only!("the verb is its own");
    let bundle = Bundle::sh("true").tmpfs("/mnt", &["nosuid", "size=1m"]);
    let lines = plan(&bundle).lines();
    line(&lines, &["mounts[6]", "/mnt", "tmpfs"]);
    line(&lines, &["hostname", "tart"]);
    line(&lines, &["linux.maskedPaths[0]", "/proc/acpi"]);
}

#[test]
fn shows_the_order_that_matters() {
    bolo_only!("the verb is its own");
    let bundle = Bundle::sh("true").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    let lines = plan(&bundle).lines();
    let order = [
        line(&lines, &["mounts[0]", "/proc"]),
        line(&lines, &["linux.sysctl", "ip_forward"]),
        line(&lines, &["linux.readonlyPaths[0]"]),
        line(&lines, &["pivot_root"]),
        line(&lines, &["exec", "/bin/sh"]),
    ];
    assert!(order.is_sorted(), "{order:?} in\n{}", lines.join("\n"));
}

#[test]
fn makes_nothing() {
    bolo_only!("the verb is its own");
    let bundle = Bundle::sh("true").tmpfs("/new/dir", &[]);
    plan(&bundle).ok();
    assert!(!bundle.in_rootfs("/new").exists());
    assert_eq!(std::fs::read_dir(bundle.root()).unwrap().count(), 0);
    bundle.leaves_nothing();
}

#[test]
fn refuses_what_create_refuses() {
    bolo_only!("the verb is its own");
    let bundle = Bundle::sh("true").push("/linux/namespaces", json!({"type": "oven"}));
    plan(&bundle).fails().stderr_has("linux.namespaces[5]").stderr_has("oven");
}

#[test]
fn the_bundle_is_the_current_directory_by_default() {
    bolo_only!("the verb is its own");
    let bundle = Bundle::sh("true");
    bundle.write_config();
    bundle.call(["plan"]).cwd(bundle.bundle_dir()).run().stdout_has("pivot_root");
}
