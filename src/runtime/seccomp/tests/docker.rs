//! Docker's default profile, which is not in this repository: DOCKER_SECCOMP_PROFILE names moby's file of it.

use super::*;
use crate::runtime::spec::seccomp::Syscall;
use serde_json::Value;

const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// As dockerd would write it to config.json on x86_64 for a container with its default capabilities.
fn profile() -> Option<Seccomp> {
    let Some(path) = std::env::var_os("DOCKER_SECCOMP_PROFILE") else {
        eprintln!("SKIPPED: docker's default profile: DOCKER_SECCOMP_PROFILE does not name it");
        return None;
    };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut profile: Seccomp = serde_json::from_value(file.clone()).unwrap();
    let map = file["archMap"].as_array().unwrap().iter().find(|map| map["architecture"] == "SCMP_ARCH_X86_64").unwrap();
    profile.architectures = serde_json::from_value(map["subArchitectures"].clone()).unwrap();
    profile.architectures.insert(0, "SCMP_ARCH_X86_64".into());
    let rules = file["syscalls"].as_array().unwrap().iter().filter(|rule| {
        let words = |list: &str, key: &str| rule[list][key].as_array().cloned().unwrap_or_default();
        let held = |cap: &Value| CAPABILITIES.contains(&cap.as_str().unwrap());
        let arches = words("includes", "arches");
        words("includes", "caps").iter().all(held)
            && !words("excludes", "caps").iter().any(held)
            && (arches.is_empty() || arches.iter().any(|arch| arch == "amd64"))
            && !words("excludes", "arches").iter().any(|arch| arch == "amd64")
    });
    profile.syscalls = rules.map(|rule| serde_json::from_value::<Syscall>(rule.clone()).unwrap()).collect();
    Some(profile)
}

#[test]
fn as_libseccomp_for_every_call() {
    let Some(profile) = profile() else { return };
    let compared = libseccomp::compare("docker", &profile);
    eprintln!("{compared} calls compared");
}

#[test]
fn as_a_plain_reading_for_every_call() {
    let Some(profile) = profile() else { return };
    let program = filter(&profile, Arch::X86_64).program;
    for (abi, audit, base) in [X86_64, X32, X86] {
        let reading = naive::read(&profile, Arch::X86_64, abi);
        for number in numbers(base) {
            for args in naive::arguments(&profile) {
                let expected = reading.verdict(number, args);
                let call = Call { number, audit, args };
                assert_eq!(run(&program, call), expected, "{abi:?} {call:x?}");
            }
        }
    }
}

/// Shorter than both of libseccomp's, and fewer instructions for the kernel to run at loading.
#[test]
fn smaller_than_libseccomps() {
    let Some(profile) = profile() else { return };
    let Some((linear, _)) = libseccomp::program(&profile, 1) else { return };
    let Some((tree, _)) = libseccomp::program(&profile, 2) else { return };
    let ours = filter(&profile, Arch::X86_64).program;
    let work = |program: &[_]| -> usize {
        let calls = [X86_64.1, X86.1].into_iter().flat_map(|audit| (0..470).map(move |number| (audit, number)));
        calls.map(|(audit, number)| interpreter::count(program, Call { number, audit, args: [0; 6] }).1).sum()
    };
    for (name, program) in [("libseccomp linear", &linear), ("libseccomp tree", &tree), ("ours", &ours)] {
        eprintln!("{name}: {} instructions, {} run at loading", program.len(), work(program));
    }
    assert!(ours.len() < linear.len() && ours.len() < tree.len());
    assert!(work(&ours) < work(&linear) && work(&ours) < work(&tree));
}
