//! Golden plans: `tests/plans/NAME.json` is a config.json, planned without root, and what `bolo plan` would print is
//! compared with `NAME.plan`. `UPDATE=1 cargo test --test plans` rewrites those; then read the difference.
//!
//! What a plan depends on beside config.json is not this machine's: the member `plan`, which a runtime ignores, gives it
//! (`id`, `rootless`, `noPivot`, `noNewKeyring`, `preserved`, `terminalSize`, `cgroup`: v1 or v2, `exec`). A config.json
//! that must not be planned has its error in NAME.plan.

use bolo::error::Result;
use bolo::runtime::bundle;
use bolo::runtime::cgroup::Cgroup;
use bolo::runtime::plan::namespaces::Namespaces;
use bolo::runtime::plan::{self, Facts, Plan};
use bolo::runtime::spec::Spec;
use bolo::sys::process::{CLONE_NEWPID, CLONE_NEWUSER};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn cgroup(version: &str) -> Cgroup {
    let place = |mount: &str, controllers: &[&str]| json!({"mount": mount, "path": "box", "controllers": controllers});
    let places = match version {
        "v1" => json!([
            place("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"]),
            place("/sys/fs/cgroup/memory", &["memory"]),
            place("/sys/fs/cgroup/systemd", &["name=systemd"])
        ]),
        "v2" => json!([place("/sys/fs/cgroup", &[])]),
        other => panic!("cgroup {other:?}"),
    };
    serde_json::from_value(json!({"places": places, "lenient": false, "rootless": false})).unwrap()
}

fn plan_of(config: &[u8], wanted: &Value) -> Result<Plan> {
    let spec: Spec = bundle::parse(config)?;
    let is = |name: &str| wanted[name].as_bool().unwrap_or(false);
    let number = |value: &Value| value.as_u64().map(|number| u16::try_from(number).unwrap());
    let cgroup = wanted["cgroup"].as_str().map(cgroup);
    let facts = Facts {
        bundle: "/bundle",
        id: wanted["id"].as_str().unwrap_or("box"),
        rootless: is("rootless"),
        no_pivot: is("noPivot"),
        no_new_keyring: is("noNewKeyring"),
        preserved: number(&wanted["preserved"]).unwrap_or(0).into(),
        terminal_size: number(&wanted["terminalSize"][0]).zip(number(&wanted["terminalSize"][1])),
        cgroup: cgroup.as_ref(),
        notify: wanted["notify"].as_str(),
        held: wanted["held"].as_u64(),
    };
    if !is("exec") {
        return plan::container(&spec, &facts);
    }
    let linux = spec.linux.unwrap_or_default();
    let joined = Namespaces::parse(&linux)?.all();
    let again = facts.rootless && joined & CLONE_NEWPID != 0 && joined & CLONE_NEWUSER != 0;
    plan::exec(&spec.process.unwrap_or_default(), &linux, joined, again, &facts)
}

/// How long a filter is depends on the architecture.
fn without_counts(plan: &str) -> String {
    let line = |line: &str| match line.split_once("seccomp filter of ") {
        Some((before, _)) => format!("{before}seccomp filter\n"),
        None => format!("{line}\n"),
    };
    plan.lines().map(line).collect()
}

#[test]
fn configs_give_the_plans_beside_them() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let update = std::env::var_os("UPDATE").is_some();
    let (mut seen, mut wrong) = (0, Vec::new());
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let got = printed(path);
        let golden = path.with_extension("plan");
        if update {
            std::fs::write(&golden, &got).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != got {
            wrong.push(format!("--- {}\n{got}", golden.display()));
        }
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} config.json found in {}", directory.display());
    assert!(wrong.is_empty(), "these plans are not what their .plan says:\n{}", wrong.join("\n"));
}

fn printed(path: &Path) -> String {
    let config = std::fs::read(path).unwrap();
    let whole: Value = serde_json::from_slice(&config).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let got = plan_of(&config, &whole["plan"]);
    assert_eq!(
        got.is_err(),
        path.file_name().unwrap().to_string_lossy().starts_with("error-"),
        "{}: {:?}",
        path.display(),
        got.err()
    );
    got.map_or_else(|error| format!("error {error}\n"), |plan| without_counts(&plan.to_string()))
}
