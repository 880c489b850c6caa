//! A program is judged by running it: in an interpreter of the kernel's filter machine, against a second reading of the
//! same profile (`naive`), against the seccompiler crate, and against libseccomp.

use super::*;
use crate::runtime::spec::seccomp::Seccomp;
use interpreter::{Call, check, run};

mod docker;
mod errors;
mod interpreter;
mod libseccomp;
mod naive;
mod random;
#[cfg(feature = "image")]
mod seccompiler;

/// A profile of ours for each group of features, beside the tests.
const PROFILES: [(&str, &str); 5] = [
    ("actions", include_str!("tests/profiles/actions.json")),
    ("arches", include_str!("tests/profiles/arches.json")),
    ("deny", include_str!("tests/profiles/deny.json")),
    ("operators", include_str!("tests/profiles/operators.json")),
    ("strict", include_str!("tests/profiles/strict.json")),
];

fn parse(json: &str) -> Seccomp {
    serde_json::from_str(json).expect("a profile")
}

fn filter(profile: &Seccomp, native: Arch) -> Filter {
    let filter = compile(profile, native).expect("a good profile").expect("something to load");
    check(&filter.program);
    filter
}

/// The ABI, the audit number and the base of the numbers.
const X86_64: (Arch, u32, u32) = (Arch::X86_64, 0xc000_003e, 0);
const X32: (Arch, u32, u32) = (Arch::X32, 0xc000_003e, 0x4000_0000);
const X86: (Arch, u32, u32) = (Arch::X86, 0x4000_0003, 0);
const AARCH64: (Arch, u32, u32) = (Arch::Aarch64, 0xc000_00b7, 0);
const ARM: (Arch, u32, u32) = (Arch::Arm, 0x4000_0028, 0);

/// Every number an ABI could ever have, and those at which something else begins.
fn numbers(base: u32) -> impl Iterator<Item = u32> {
    let edges = [0xeffff, 0xf0000, 0xf0002, 0xf0005, 0xf0006, 0x3fff_ffff];
    (0..=1024).chain(edges).map(move |number| number | base)
}

#[test]
fn own_profiles_say_what_a_plain_reading_says() {
    for (name, text) in PROFILES {
        let profile = parse(text);
        for (native, abis) in [(Arch::X86_64, &[X86_64, X32, X86][..]), (Arch::Aarch64, &[AARCH64, ARM])] {
            let program = filter(&profile, native).program;
            for (abi, audit, base) in abis {
                let reading = naive::read(&profile, native, *abi);
                for number in numbers(*base) {
                    for args in naive::arguments(&profile) {
                        let call = Call { number, audit: *audit, args };
                        assert_eq!(run(&program, call), reading.verdict(number, args), "{name}: {abi:?} {call:x?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_foreign_architecture_is_killed_and_a_skipped_call_is_not() {
    let allow = parse(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
    let program = filter(&allow, Arch::X86_64).program;
    let verdict = |number, audit| run(&program, Call { number, audit, args: [0; 6] });
    assert_eq!(verdict(1, X86_64.1), 0x7fff_0000);
    assert_eq!(verdict(1, X86.1), 0);
    assert_eq!(verdict(1, 0x1234), 0);
    assert_eq!(verdict(0x4000_0001, X32.1), 0);
    assert_eq!(verdict(0xffff_fffe, X32.1), 0);
    assert_eq!(verdict(0xffff_ffff, X32.1), 0x7fff_0000);
}

#[test]
fn a_call_newer_than_the_profile_does_not_exist() {
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
                   "syscalls": [{"names": ["read", "rseq", "made_up_call"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let program = filter(&parse(json), Arch::X86_64).program;
    let verdict = |number, audit| run(&program, Call { number, audit, args: [0; 6] });
    let (eperm, enosys) = (0x0005_0001, 0x0005_0026);
    // rseq is 334 on x86_64 and 386 on x86.
    assert_eq!(verdict(333, X86_64.1), eperm);
    assert_eq!(verdict(334, X86_64.1), 0x7fff_0000);
    assert_eq!(verdict(335, X86_64.1), enosys);
    assert_eq!(verdict(335, X86.1), eperm);
    assert_eq!(verdict(387, X86.1), enosys);
    // A permissive default needs no such help.
    let json = json.replace("\"SCMP_ACT_ERRNO\"", "\"SCMP_ACT_LOG\"");
    let program = filter(&parse(&json), Arch::X86_64).program;
    assert_eq!(run(&program, Call { number: 335, audit: X86_64.1, args: [0; 6] }), 0x7ffc_0000);
}

#[test]
fn masked_eq_takes_value_as_the_mask() {
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": 983040, "valueTwo": 131072, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#;
    let program = filter(&parse(json), Arch::X86_64).program;
    let personality = |arg| run(&program, Call { number: 135, audit: X86_64.1, args: [arg, 0, 0, 0, 0, 0] });
    assert_eq!(personality(0x20008), 0x0005_0001);
    assert_eq!(personality(0x30008), 0x7fff_0000);
    assert_eq!(personality(0xffff_ffff), 0x7fff_0000);
}

#[test]
fn an_unconditional_rule_beats_conditional_ones_and_the_first_counts() {
    let rule =
        |action: &str, args: &str| format!(r#"{{"names": ["personality"], "action": "{action}", "args": {args}}}"#);
    let seven = r#"[{"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]"#;
    let above = r#"[{"index": 0, "value": 5, "op": "SCMP_CMP_GT"}]"#;
    let verdict = |rules: &[String], arg| {
        let json = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.join(","));
        run(&filter(&parse(&json), Arch::X86_64).program, Call { number: 135, audit: X86_64.1, args: [arg; 6] })
    };
    let (errno, trap, log) = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRAP", "SCMP_ACT_LOG");
    assert_eq!(verdict(&[rule(errno, seven), rule(trap, "[]"), rule(log, "[]")], 7), 0x0003_0000);
    assert_eq!(verdict(&[rule(errno, seven), rule(trap, above)], 7), 0x0005_0001);
    assert_eq!(verdict(&[rule(trap, above), rule(errno, seven)], 7), 0x0003_0000);
    assert_eq!(verdict(&[rule(errno, seven), rule(trap, above)], 6), 0x0003_0000);
    assert_eq!(verdict(&[rule(errno, seven), rule(trap, above)], 5), 0x7fff_0000);
}

#[test]
fn carried_calls_get_what_can_be_said_of_them() {
    let json = r#"{"defaultAction": "DEFAULT", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["socket"], "action": "RULE", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]},
        {"names": ["shmget"], "action": "RULE"}]}"#;
    let verdict = |default: &str, rule: &str, number, first| {
        let json = json.replace("DEFAULT", default).replace("RULE", rule);
        let args = [first, 40, 0, 0, 0, 0];
        run(&filter(&parse(&json), Arch::X86_64).program, Call { number, audit: X86.1, args })
    };
    let (allow, errno) = ("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO");
    // socketcall(SYS_SOCKET): its family cannot be seen, so it is refused where it might be the refused one, and stays
    // refused where only it might be the allowed one.
    assert_eq!(verdict(allow, errno, 102, 1), 0x0005_0001);
    assert_eq!(verdict(allow, errno, 102, 2), 0x7fff_0000);
    assert_eq!(verdict(errno, allow, 102, 1), 0x0005_0001);
    // ipc(SHMGET)
    assert_eq!(verdict(errno, allow, 117, 23), 0x7fff_0000);
    assert_eq!(verdict(errno, allow, 117, 24), 0x0005_0001);
}

#[test]
fn flags_and_listener() {
    let notify = r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent", "listenerMetadata": "m", FLAGS
                     "syscalls": [{"names": ["chown"], "action": "SCMP_ACT_NOTIFY"}]}"#;
    let flags = |json: &str, words: &str| filter(&parse(&json.replace("FLAGS", words)), Arch::X86_64).flags;
    assert_eq!(flags(notify, ""), 4 | 8);
    assert_eq!(flags(notify, r#""flags": [],"#), 8);
    assert_eq!(flags(notify, r#""flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],"#), 8 | 32);
    let listener = filter(&parse(&notify.replace("FLAGS", "")), Arch::X86_64).listener;
    assert_eq!(listener, Some(Listener { path: "/run/agent".into(), metadata: "m".into() }));

    // Nobody to notify: no listener, and what needs one is left out.
    let trap = notify.replace("NOTIFY", "TRAP");
    assert_eq!(flags(&trap, r#""flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],"#), 0);
    let all = r#""flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],"#;
    assert_eq!(flags(&trap, all), 2 | 4);
    assert_eq!(filter(&parse(&trap.replace("FLAGS", "")), Arch::X86_64).listener, None);
}

#[test]
fn nothing_to_load() {
    assert_eq!(compile(&parse("{}"), Arch::X86_64).unwrap(), None);
    assert!(compile(&parse(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#), Arch::X86_64).unwrap().is_some());
}

#[test]
fn the_listener_is_introduced_by_the_container_process_state() {
    let state = listener::ContainerProcessState::new("1.3.0", 4422, "", serde_json::json!({"id": "c", "pid": 4422}));
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(text, r#"{"ociVersion":"1.3.0","fds":["seccompFd"],"pid":4422,"state":{"id":"c","pid":4422}}"#);
}

#[test]
fn tables_are_sorted_and_numbers_are_not_shared() {
    assert!(syscalls::SYSCALLS.is_sorted_by(|a, b| a.0 < b.0));
    for column in 0..5 {
        let mut numbers: Vec<_> = syscalls::SYSCALLS.iter().map(|row| row.1[column]).collect();
        numbers.retain(|number| *number != syscalls::NO);
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        // arm_sync_file_range and sync_file_range2 are one call.
        assert_eq!(all - numbers.len(), usize::from(column == 4), "column {column}");
    }
}
