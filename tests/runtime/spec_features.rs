//! features.md and features-linux.md: what `features` prints is what the runtime does.

use crate::kit::*;
use std::collections::BTreeSet;

fn features() -> Value {
    Scene::new().call(["features"]).run().json()
}

fn words<'a>(features: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = features.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}"));
    list.iter().map(|word| word.as_str().expect("a word")).collect()
}

macro_rules! needs_features {
    () => {
        not_on!("runc<1.2 crun<1.9", "no features, or fewer");
    };
}

fn version(features: &Value, key: &str) -> (u32, u32, u32) {
    let text = features[key].as_str().unwrap_or_else(|| panic!("no {key}"));
    let core = text.split(['-', '+']).next().unwrap();
    let numbers: Vec<u32> = core.split('.').map(|number| number.parse().expect("a number")).collect();
    assert_eq!(numbers.len(), 3, "{key}: {text}");
    (numbers[0], numbers[1], numbers[2])
}

#[test]
fn features_name_the_versions() {
    needs_features!();
    let features = features();
    let (min, max) = (version(&features, "ociVersionMin"), version(&features, "ociVersionMax"));
    assert!(min <= max, "{min:?} to {max:?}");
    let annotations = features["annotations"].as_object().expect("annotations");
    assert!(annotations.values().all(Value::is_string), "{annotations:?}");
}

#[test]
fn both_versions_are_accepted() {
    needs_features!();
    let features = features();
    for key in ["ociVersionMin", "ociVersionMax"] {
        Bundle::sh("echo fine").set("/ociVersion", features[key].clone()).run().stdout_is("fine");
    }
}

#[test]
fn features_do_not_depend_on_the_caller() {
    needs_features!();
    let usual = features();
    let scene = Scene::new();
    let bare = scene.call(["features"]).env_clear().env("PATH", "/usr/bin:/bin").cwd("/").run().json();
    assert_eq!(usual, bare);
    let confined = scene.call(["features"]).under(["unshare", "--net", "--mount", "--uts"]).run().json();
    assert_eq!(usual, confined);
}

/// A runtime that knows says so: a member that is there has a value, not null.
#[test]
fn features_name_what_is_supported() {
    needs_features!();
    let features = features();
    for pointer in [
        "/hooks",
        "/mountOptions",
        "/linux/namespaces",
        "/linux/capabilities",
        "/linux/cgroup/v1",
        "/linux/cgroup/v2",
        "/linux/seccomp/enabled",
        "/linux/mountExtensions/idmap/enabled",
    ] {
        let value = features.pointer(pointer);
        assert!(value.is_some_and(|value| !value.is_null()), "{pointer}: {value:?}");
    }
}

#[test]
fn features_has_only_the_properties_of_the_specification() {
    needs_features!();
    let known: BTreeSet<&str> = [
        "ociVersionMin",
        "ociVersionMax",
        "hooks",
        "mountOptions",
        "linux",
        "annotations",
        "potentiallyUnsafeConfigAnnotations",
    ]
    .into();
    let linux: BTreeSet<&str> = [
        "namespaces",
        "capabilities",
        "cgroup",
        "seccomp",
        "apparmor",
        "selinux",
        "intelRdt",
        "memoryPolicy",
        "mountExtensions",
        "netDevices",
    ]
    .into();
    let features = features();
    for (object, known) in [(&features, known), (&features["linux"], linux)] {
        for key in object.as_object().expect("an object").keys() {
            assert!(known.contains(key.as_str()), "{key}");
        }
    }
}

#[test]
fn every_named_hook_runs() {
    needs_features!();
    let features = features();
    let bundle =
        Bundle::sh("true").file("/bin/hook", "").script("/bin/hook", "#!/bin/sh\necho startContainer >> /log\n");
    let log = bundle.in_rootfs("/log");
    let bundle = words(&features, "/hooks").into_iter().fold(bundle, |bundle, kind| match kind {
        "startContainer" => bundle.push("/hooks/startContainer", json!({"path": "/bin/hook"})),
        _ => bundle.hook(kind, &format!("echo {kind} >> {}", log.display())),
    });
    bundle.run().ok();
    let text = std::fs::read_to_string(log).unwrap();
    let ran: BTreeSet<&str> = text.lines().collect();
    assert_eq!(ran, words(&features, "/hooks").into_iter().collect());
}

#[test]
fn no_option_is_data_of_a_filesystem() {
    needs_features!();
    let features = features();
    for word in words(&features, "/mountOptions") {
        assert!(!word.contains('='), "{word}");
        assert!(!["mode", "size", "uid", "gid", "newinstance", "ptmxmode", "lowerdir"].contains(&word), "{word}");
    }
}

#[test]
fn every_named_namespace_is_known() {
    needs_features!();
    let features = features();
    let names = words(&features, "/linux/namespaces");
    assert!(names.len() >= 7, "{names:?}");
    for kind in names {
        if kind != "time" || host::namespace("time") {
            let bundle = Bundle::sh("true");
            let bundle = if kind == "user" { bundle.user_namespace(100_000) } else { bundle.namespace(kind) };
            let output = bundle.run();
            assert_eq!(output.code, 0, "{kind}: {output}");
        }
    }
}

#[test]
fn every_named_capability_is_known() {
    needs_features!();
    let features = features();
    let names = words(&features, "/linux/capabilities");
    assert!(names.len() >= 40, "{names:?}");
    // Nothing is said of a name that is known; of one that the kernel lacks, something may be.
    let output = Bundle::sh("true").capability_set("bounding", &names).run();
    for name in names.iter().filter(|name| **name != "CAP_CHECKPOINT_RESTORE") {
        assert!(!output.stderr.contains(&format!("unknown capability {name}")), "{output}");
    }
    output.ok();
}

#[test]
fn every_named_seccomp_word_is_known() {
    needs_features!();
    let features = features();
    let run = |profile: Value, what: &str| {
        let bundle = Bundle::sh("true").set("/linux/seccomp", profile);
        let output = bundle.run();
        assert_eq!(output.code, 0, "{what}: {output}");
    };
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    for action in words(&features, "/linux/seccomp/actions") {
        if action != "SCMP_ACT_NOTIFY" {
            run(rule(json!({"names": ["acct"], "action": action})), action);
        }
    }
    for op in words(&features, "/linux/seccomp/operators") {
        let argument = json!({"index": 0, "value": 7, "valueTwo": 7, "op": op});
        run(rule(json!({"names": ["acct"], "action": "SCMP_ACT_ERRNO", "args": [argument]})), op);
    }
    for arch in words(&features, "/linux/seccomp/archs") {
        // A libseccomp takes no others, or is older than the runtime that names them.
        if peer::RUNTIME.name == "bolo" || arch.starts_with("SCMP_ARCH_X86") {
            run(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch]}), arch);
        }
    }
    let supported = words(&features, "/linux/seccomp/supportedFlags");
    let known = words(&features, "/linux/seccomp/knownFlags");
    assert!(supported.iter().all(|flag| known.contains(flag)), "{supported:?} beside {known:?}");
    for flag in supported.iter().filter(|flag| !flag.contains("WAIT_KILLABLE")) {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag],
            "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]});
        run(profile, flag);
    }
}

#[test]
fn every_named_memory_policy_is_known() {
    not_on!("runc<1.4 crun", "none are named");
    let features = features();
    let modes = words(&features, "/linux/memoryPolicy/modes");
    let flags = words(&features, "/linux/memoryPolicy/flags");
    assert!(modes.len() >= 6 && flags.len() >= 2, "{modes:?} {flags:?}");
    for mode in modes {
        let nodes = if ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode) { "" } else { "0" };
        let bundle = Bundle::sh("true").set("/linux/memoryPolicy", json!({"mode": mode, "nodes": nodes}));
        let output = bundle.run();
        // The kernel may lack a mode, or NUMA itself; a word that the runtime does not know is refused in other words.
        assert!(output.code == 0 || !output.stderr.to_lowercase().contains("unknown"), "{mode}: {output}");
    }
}

#[test]
fn idmapped_mounts_are_named() {
    needs_features!();
    assert_eq!(features().pointer("/linux/mountExtensions/idmap/enabled"), Some(&json!(true)));
}
