//! config-linux.md, IntelRdt. Most of it needs a machine that can partition its caches, and resctrl mounted.

use crate::kit::*;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/resctrl";

fn mounted() -> bool {
    Path::new(MOUNT).join("schemata").exists()
}

macro_rules! needs_resctrl {
    () => {
        needs!(mounted(), "resctrl is not mounted");
    };
}

fn group(name: &str) -> PathBuf {
    Path::new(MOUNT).join(name)
}

fn root_schemata() -> String {
    std::fs::read_to_string(group("schemata")).unwrap()
}

fn line(kind: &str) -> String {
    let text = root_schemata();
    text.lines().map(str::trim).find(|line| line.starts_with(kind)).unwrap_or_default().to_owned()
}

fn holds(name: &str, container: &Container) -> bool {
    let tasks = std::fs::read_to_string(group(name).join("tasks")).unwrap();
    tasks.lines().any(|pid| pid == container.pid().to_string())
}

fn with(rdt: Value) -> Bundle {
    Bundle::idle().set("/linux/intelRdt", rdt)
}

#[test]
fn without_resctrl_it_is_an_error() {
    needs!(!mounted(), "resctrl is mounted");
    for rdt in [json!({}), json!({"closID": "bakery"}), json!({"l3CacheSchema": "L3:0=f"})] {
        let bundle = with(rdt);
        bundle.try_create().fails().bolo_says("linux.intelRdt");
        bundle.leaves_nothing();
    }
}

#[test]
fn a_newline_in_a_schema_is_refused() {
    bolo_only!("an error before anything is made");
    for field in ["l3CacheSchema", "memBwSchema"] {
        let bundle = with(json!({ field: "L3:0=f\nMB:0=10" }));
        bundle.try_create().fails().stderr_has(&format!("linux.intelRdt.{field}"));
        bundle.leaves_nothing();
    }
    let bundle = with(json!({"schemata": ["L3:0=f", "MB:0=10\nL3:0=1"]}));
    bundle.try_create().fails().stderr_has("linux.intelRdt.schemata[1]");
}

#[test]
fn the_process_is_in_its_group() {
    needs_resctrl!();
    let container = with(json!({"l3CacheSchema": line("L3:")})).start();
    assert!(holds(container.id(), &container));
    container.call(["delete", "--force", container.id()]).run().ok();
    assert!(!group(container.id()).exists());
}

#[test]
fn nothing_changes_without_it() {
    needs_resctrl!();
    let groups = || std::fs::read_dir(MOUNT).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    let (before, schemata) = (groups(), root_schemata());
    let container = Bundle::idle().start();
    assert_eq!((groups(), root_schemata()), (before, schemata));
    assert!(holds("", &container));
}

#[test]
fn the_root_group_is_used_as_it_is() {
    needs_resctrl!();
    let before = root_schemata();
    let container = with(json!({"closID": "/"})).start();
    assert!(holds("", &container));
    container.call(["delete", "--force", container.id()]).run().ok();
    assert_eq!(root_schemata(), before);
}

#[test]
fn schemata_are_written() {
    needs_resctrl!();
    let l3 = line("L3:");
    for rdt in [json!({"l3CacheSchema": l3}), json!({"schemata": [l3]}), json!({"l3CacheSchema": l3, "schemata": [l3]})]
    {
        let name = Bundle::sh("").id().to_owned();
        let mut rdt = rdt;
        rdt["closID"] = json!(name);
        let container = with(rdt).start();
        assert!(holds(&name, &container));
        assert!(std::fs::read_to_string(group(&name).join("schemata")).unwrap().contains(&l3));
        container.call(["delete", "--force", container.id()]).run().ok();
        assert!(!group(&name).exists(), "made by the runtime, and left");
    }
}

#[test]
fn other_schemata_of_an_existing_group_are_an_error() {
    needs_resctrl!();
    let name = Bundle::sh("").id().to_owned();
    std::fs::create_dir(group(&name)).unwrap();
    let output = with(json!({"closID": name, "l3CacheSchema": "L3:0=1"})).try_create();
    std::fs::remove_dir(group(&name)).unwrap();
    output.fails();
}

#[test]
fn a_group_without_schemata_must_exist() {
    needs_resctrl!();
    let name = Bundle::sh("").id().to_owned();
    with(json!({"closID": name})).try_create().fails();
    std::fs::create_dir(group(&name)).unwrap();
    let container = with(json!({"closID": name})).start();
    let inside = holds(&name, &container);
    container.call(["delete", "--force", container.id()]).run().ok();
    let left = group(&name).exists();
    std::fs::remove_dir(group(&name)).unwrap();
    assert!(inside && left);
}

#[test]
fn monitoring_has_its_group() {
    needs_resctrl!();
    let container = with(json!({"l3CacheSchema": line("L3:"), "enableMonitoring": true})).start();
    let monitoring = group(container.id()).join("mon_groups").join(container.id());
    assert!(monitoring.exists());
    container.call(["delete", "--force", container.id()]).run().ok();
    assert!(!monitoring.exists());
}
