//! A seccomp profile of the user's, in docker's language, which depends on capabilities, architecture and kernel, becomes
//! the runtime's, which does not.

use crate::image::config::host_architecture;
use serde_json::{Value, json};

/// Go's name, the profile's name, and what else such a machine runs.
const ARCHITECTURES: [(&str, &str, &[&str]); 6] = [
    ("amd64", "SCMP_ARCH_X86_64", &["SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
    ("arm64", "SCMP_ARCH_AARCH64", &["SCMP_ARCH_ARM"]),
    ("386", "SCMP_ARCH_X86", &[]),
    ("s390x", "SCMP_ARCH_S390X", &["SCMP_ARCH_S390"]),
    ("riscv64", "SCMP_ARCH_RISCV64", &[]),
    ("loong64", "SCMP_ARCH_LOONGARCH64", &[]),
];

fn architectures() -> Vec<&'static str> {
    let here = ARCHITECTURES.iter().find(|(name, ..)| *name == host_architecture());
    here.map(|(_, own, others)| std::iter::once(*own).chain(others.iter().copied()).collect()).unwrap_or_default()
}

/// The profile for a container whose root has these capabilities. One in the runtime's language stays as it is.
pub fn translate(profile: &Value, capabilities: &[String]) -> Value {
    let mut translated = profile.clone();
    let Some(map) = translated.as_object_mut() else {
        return translated;
    };
    if map.remove("archMap").is_some() && map.get("architectures").is_none_or(Value::is_null) {
        map.insert("architectures".to_owned(), json!(architectures()));
    }
    if let Some(rules) = map.get_mut("syscalls").and_then(Value::as_array_mut) {
        rules.retain(|rule| applies(rule, capabilities));
        for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
            // A name was a string of its own once.
            if let Some(name) = rule.remove("name").filter(Value::is_string) {
                rule.insert("names".to_owned(), json!([name]));
            }
            rule.retain(|key, _| matches!(key.as_str(), "names" | "action" | "args" | "errnoRet"));
        }
    }
    translated
}

fn applies(rule: &Value, capabilities: &[String]) -> bool {
    let list = |part: &str, key: &str| -> Vec<String> {
        let words = rule[part][key].as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let has = |names: &[String]| names.iter().any(|name| capabilities.contains(name));
    let here = |names: &[String]| names.iter().any(|name| name == host_architecture());
    let (with, arches) = (list("includes", "caps"), list("includes", "arches"));
    let kernel = rule["includes"]["minKernel"].as_str().is_none_or(kernel_is_at_least);
    kernel
        && (with.is_empty() || with.iter().all(|name| capabilities.contains(name)))
        && (arches.is_empty() || here(&arches))
        && !has(&list("excludes", "caps"))
        && !here(&list("excludes", "arches"))
}

/// `4.8`
fn kernel_is_at_least(version: &str) -> bool {
    let numbers = |text: &str| -> (u32, u32) {
        let mut parts = text.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    numbers(&release) >= numbers(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_others_are_left_out() {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "archMap": [], "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_X"]}, "comment": "why"},
            {"names": ["b"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_X"]}},
            {"names": ["c"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "99.0"}},
            {"name": "d", "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "3.1"}},
        ]});
        let names = |capabilities: &[&str]| {
            let capabilities: Vec<String> = capabilities.iter().map(|name| (*name).to_owned()).collect();
            let translated = translate(&profile, &capabilities);
            translated["syscalls"].as_array().unwrap().iter().map(|rule| rule["names"][0].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["CAP_X"]), ["a", "d"]);
        assert_eq!(names(&[]), ["b", "d"]);
        assert_eq!(translate(&profile, &["CAP_X".to_owned()])["syscalls"][0].get("comment"), None);
    }
}
