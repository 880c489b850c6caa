//! Against libseccomp, through Debian's python3-seccomp.

use super::super::arch::carried;
use super::naive::{arguments, number_of};
use super::*;
use crate::sys::seccomp::SockFilter;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// A Python that has the module; the first in PATH may be another than the system's.
fn python() -> Option<&'static str> {
    let has = |python: &&str| {
        let output = Command::new(python).args(["-c", "import seccomp"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has);
    if found.is_none() {
        eprintln!("SKIPPED: comparison with libseccomp: no python3 with the module seccomp (Debian: python3-seccomp)");
    }
    found
}

/// libseccomp's program, and its number for each name and ABI. `optimize` 2 is its binary tree.
pub(crate) fn program(profile: &Seccomp, optimize: u32) -> Option<(Vec<SockFilter>, Value)> {
    let python = python()?;
    let default = naive::action(&profile.default_action, profile.default_errno_ret);
    let mut rules: Vec<Value> = Vec::new();
    for rule in &profile.syscalls {
        let action = naive::action(&rule.action, rule.errno_ret);
        let conditions = rule.args.iter().map(|arg| json!([arg.index, arg.op, arg.value, arg.value_two]));
        let conditions: Vec<Value> = conditions.collect();
        let twice = (1..rule.args.len()).any(|i| rule.args[..i].iter().any(|arg| arg.index == rule.args[i].index));
        for name in &rule.names {
            match twice {
                true => rules.extend(conditions.iter().map(|one| json!([action, name, [one]]))),
                false => rules.push(json!([action, name, conditions])),
            }
        }
    }
    let input = json!({"default": default, "arches": profile.architectures, "optimize": optimize, "rules": rules});
    let mut child = Command::new(python)
        .args(["-c", include_str!("libseccomp.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "libseccomp.py");
    let output: Value = serde_json::from_slice(&output.stdout).unwrap();
    let instructions: Vec<(u16, u8, u8, u32)> = serde_json::from_value(output["program"].clone()).unwrap();
    let program = instructions.into_iter().map(|(code, jt, jf, k)| SockFilter { code, jt, jf, k }).collect();
    Some((program, output["numbers"].clone()))
}

/// Names that this libseccomp does not have, on one ABI at least. It may be older than our tables, but where it has a
/// number it has ours.
fn unknown(profile: &Seccomp, known: &Value) -> Vec<String> {
    let unknown = |name: &&String| {
        let Some(theirs) = known.get(name.as_str()) else {
            return [X86_64, X32, X86].iter().any(|(abi, _, _)| number_of(name, *abi).is_some());
        };
        let lacks = |abi: Arch| {
            let ours = number_of(name, abi);
            let theirs = theirs[abi.word().strip_prefix("SCMP_ARCH_").unwrap()].as_i64().unwrap();
            // Of a carried call libseccomp gives the carrier.
            let carrier = carried(name).filter(|_| abi == Arch::X86).map(|(carrier, _)| i64::from(carrier));
            if theirs >= 0 && carrier != Some(theirs) {
                assert_eq!(ours.map(i64::from), Some(theirs), "{name} on {abi:?}");
            }
            theirs < -10000 && ours.is_some()
        };
        [X86_64, X32, X86].iter().any(|(abi, _, _)| lacks(*abi))
    };
    let mut names: Vec<String> =
        profile.syscalls.iter().flat_map(|rule| &rule.names).filter(unknown).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Both say the same of every number and of arguments around every value of the profile. What ours adds, the answer to
/// newer calls, is checked apart.
pub(crate) fn compare(name: &str, profile: &Seccomp) -> usize {
    let Some((_, known)) = program(profile, 1) else { return 0 };
    let unknown = unknown(profile, &known);
    eprintln!("{name}: left out, for this libseccomp does not know them: {unknown:?}");
    let mut profile = profile.clone();
    for rule in &mut profile.syscalls {
        rule.names.retain(|name| !unknown.contains(name));
    }
    let Some((theirs, _)) = program(&profile, 1) else { return 0 };
    let ours = filter(&profile, Arch::X86_64).program;
    let arguments = arguments(&profile);
    let permissive = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].contains(&profile.default_action.as_str());
    let listed = |arch: Arch| arch == Arch::X86_64 || profile.architectures.iter().any(|word| word == arch.word());
    let mut compared = 0;
    for (abi, audit, base) in [X86_64, X32, X86] {
        let names = profile.syscalls.iter().flat_map(|rule| &rule.names);
        let newest = names.filter_map(|name| number_of(name, abi)).max();
        // Of a conditional rule libseccomp gives a carrier what is left when one condition is replaced; ours says less.
        let conditional = profile.syscalls.iter().filter(|rule| !rule.args.is_empty() && abi == Arch::X86);
        let apart: Vec<u32> = conditional
            .flat_map(|rule| &rule.names)
            .filter_map(|name| carried(name))
            .map(|(carrier, _)| carrier)
            .collect();
        // An unconditional rule about the carrier itself beats both.
        let told = |number: &u32| !apart.contains(number) || unconditional(&profile, *number);
        for number in numbers(base).filter(told).chain((base != 0).then_some(u32::MAX)) {
            let newer = listed(abi) && !permissive && newest.is_some_and(|newest| number > newest);
            for args in &arguments {
                // An argument of x86 has 32 bits.
                let args = if abi == Arch::X86 { args.map(|arg| u64::from(arg as u32)) } else { *args };
                let call = Call { number, audit, args };
                let expected = if newer { 0x0005_0026 } else { run(&theirs, call) };
                assert_eq!(run(&ours, call), expected, "{name}: {abi:?} {call:x?}");
                compared += 1;
            }
        }
    }
    compared
}

/// Of x86.
fn unconditional(profile: &Seccomp, number: u32) -> bool {
    let mut rules = profile.syscalls.iter().filter(|rule| rule.args.is_empty());
    rules.any(|rule| rule.names.iter().any(|name| number_of(name, Arch::X86) == Some(number)))
}

#[test]
fn own_profiles_say_what_libseccomp_says() {
    for (name, text) in PROFILES {
        let mut profile = parse(text);
        // Architectures of other machines make no difference on this one.
        profile.architectures.retain(|word| word.starts_with("SCMP_ARCH_X"));
        compare(name, &profile);
    }
}
