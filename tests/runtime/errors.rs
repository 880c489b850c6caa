//! Broken config.json files: one clear line with the place, a code, and nothing left.

use crate::kit::*;

#[test]
fn each_names_its_place() {
    bolo_only!("its own words");
    let cases = [
        ("/process/args", json!([]), "process.args"),
        ("/process/args", json!("sh"), "process.args"),
        ("/process/cwd", json!("relative"), "process.cwd"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        ("/process/env", json!([7]), "process.env[0]"),
        ("/process/rlimits/0/type", json!("RLIMIT_FLOUR"), "process.rlimits[0]"),
        ("/process/rlimits/0/soft", json!("many"), "process.rlimits[0].soft"),
        ("/process/oomScoreAdj", json!(5000), "process.oomScoreAdj"),
        ("/process/scheduler", json!({"policy": "SCHED_OVEN"}), "process.scheduler"),
        ("/process/ioPriority", json!({"class": "IOPRIO_OVEN"}), "process.ioPriority"),
        ("/root/path", json!(5), "root.path"),
        ("/root/path", json!(""), "root.path"),
        ("/mounts/3/destination", json!(""), "mounts[3]"),
        ("/mounts/3/destination", json!(3), "mounts[3].destination"),
        ("/mounts/2/options", json!("ro"), "mounts[2].options"),
        ("/hooks/prestart", json!([{"path": "relative"}]), "hooks.prestart[0]"),
        ("/linux/namespaces/0/type", json!("oven"), "linux.namespaces[0]"),
        ("/linux/namespaces/1/path", json!("/no/such/path"), "linux.namespaces[1]"),
        ("/linux/devices", json!([{"type": "x", "path": "/dev/x"}]), "linux.devices[0]"),
        ("/linux/sysctl", json!({"kernel.panic": "1"}), "linux.sysctl"),
        ("/linux/rootfsPropagation", json!("sideways"), "linux.rootfsPropagation"),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_BAKE"}), "linux.seccomp.defaultAction"),
        ("/linux/personality", json!({"domain": "OVEN"}), "linux.personality"),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]), "linux.uidMappings"),
        ("/ociVersion", json!("9.0.0"), "ociVersion"),
        ("/ociVersion", json!("bread"), "ociVersion"),
    ];
    for (pointer, value, words) in cases {
        let bundle = Bundle::sh("true").set(pointer, value);
        let output = bundle.try_create().fails().stderr_has(words);
        assert_eq!(output.stderr.lines().count(), 1, "one line: {output}");
        bundle.leaves_nothing();
    }
    Bundle::sh("true").remove("/root").try_create().fails().stderr_has("root: missing");
}

#[test]
fn what_is_no_json_names_the_line() {
    let good = Bundle::sh("true").config_text();
    for text in ["", "{", "[]", "null", "nonsense", &good[..good.len() / 2], &good.replace(':', "="), "\u{0}\u{0}"] {
        let bundle = Bundle::sh("true").text(text);
        bundle.try_create().fails().bolo_says("config.json");
        bundle.leaves_nothing();
    }
}

#[test]
fn deep_and_huge_files() {
    let deep = "[".repeat(200_000);
    let texts = [format!("{{\"x\": {deep}"), format!("{{\"annotations\": {{\"a\": \"{}\"", "x".repeat(5_000_000))];
    for text in texts {
        let bundle = Bundle::sh("true").text(text);
        bundle.try_create().fails();
        bundle.leaves_nothing();
    }
}

#[test]
fn unknown_keys_are_ignored() {
    let bundle = Bundle::sh("echo fine").set("/bakery", json!({"oven": 1})).set("/process/flour", "rye");
    bundle.set("/linux/salt", json!([1])).run().stdout_is("fine");
}

/// Every value of a config.json replaced, one after the other, by what it should not be.
#[test]
fn mutated_configs_never_panic() {
    let bundle = Bundle::sh("true").set("/process/rlimits", json!([])).hook("poststop", "true");
    let config: Value = serde_json::from_str(&bundle.config_text()).unwrap();
    let mut pointers = Vec::new();
    collect(&config, String::new(), &mut pointers);
    let values = [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!(1.5e300),
        json!(""),
        json!("\u{0}"),
        json!([]),
        json!([[]]),
        json!({}),
        json!(true),
    ];
    let verb = if peer::RUNTIME.name == "bolo" { "plan" } else { return skip::skip("no plan to feed with mutations") };
    for (number, pointer) in pointers.iter().enumerate() {
        // Each place meets three of the values; all places together meet all values many times.
        for value in values.iter().cycle().skip(number).take(3) {
            let mut mutated = config.clone();
            *mutated.pointer_mut(pointer).unwrap() = value.clone();
            std::fs::write(bundle.bundle_dir().join("config.json"), mutated.to_string()).unwrap();
            let output = bundle.call([verb, "--bundle", bundle.bundle_dir().to_str().unwrap()]).run();
            assert!(output.code == 0 || output.code == 1, "{pointer} = {value}: {output}");
            assert!(!output.stderr.contains("panicked"), "{pointer} = {value}: {output}");
        }
    }
}

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| collect(value, format!("{at}/{key}"), pointers)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| collect(value, format!("{at}/{n}"), pointers))
        }
        _ => {}
    }
    if !at.is_empty() {
        pointers.push(at);
    }
}
