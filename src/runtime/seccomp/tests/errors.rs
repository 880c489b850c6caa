//! Every refusal says where.

use super::*;

fn refusal(json: &str) -> String {
    compile(&parse(json), Arch::X86_64).unwrap_err().to_string()
}

fn rule(rule: &str) -> String {
    let json =
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}, RULE]}"#;
    refusal(&json.replace("RULE", rule))
}

fn arg(arg: &str) -> String {
    rule(&r#"{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 5, "value": 1, "op": "SCMP_CMP_EQ"}, ARG]}"#.replace("ARG", arg))
}

#[test]
fn in_the_profile() {
    let cases = [
        (r#"{"syscalls": [{}]}"#, "linux.seccomp.defaultAction: missing"),
        (r#"{"defaultAction": "ALLOW"}"#, "linux.seccomp.defaultAction: unknown action \"ALLOW\""),
        (
            r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY is for single system calls, not for the default",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}"#,
            "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW carries no errno; only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#,
            "linux.seccomp.defaultErrnoRet: 4096 is more than the action can carry, which is 4095",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "x86"]}"#,
            "linux.seccomp.architectures[1]: unknown architecture \"x86\"",
        ),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["LOG"]}"#, "linux.seccomp.flags[0]: unknown flag \"LOG\""),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "m"}"#,
            "linux.seccomp.listenerMetadata: set, but there is no listenerPath to send it to",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(refusal(json), expected);
    }
}

#[test]
fn in_a_rule() {
    let cases = [
        (r#"{"names": ["read"]}"#, "syscalls[1].action: missing"),
        (r#"{"names": ["read"], "action": "SCMP_ACT_NO"}"#, "syscalls[1].action: unknown action \"SCMP_ACT_NO\""),
        (r#"{"names": ["read", ""], "action": "SCMP_ACT_TRAP"}"#, "syscalls[1].names[1]: empty"),
        (
            r#"{"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}"#,
            "syscalls[1].names[1]: SCMP_ACT_NOTIFY cannot be used for write",
        ),
        (
            r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#,
            "listenerPath: missing, and a rule has SCMP_ACT_NOTIFY",
        ),
        (
            r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 2}"#,
            "syscalls[1].errnoRet: SCMP_ACT_KILL carries no errno; only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do",
        ),
        (
            r#"{"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65536}"#,
            "syscalls[1].errnoRet: 65536 is more than the action can carry, which is 65535",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(rule(json), format!("linux.seccomp.{expected}"));
    }
}

#[test]
fn in_a_condition() {
    let cases = [
        (r#"{"value": 1, "op": "SCMP_CMP_EQ"}"#, "index: missing"),
        (
            r#"{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}"#,
            "index: 6 is none of a system call's arguments, which are 0 to 5",
        ),
        (r#"{"index": 0, "op": "SCMP_CMP_EQ"}"#, "value: missing"),
        (r#"{"index": 0, "value": 1}"#, "op: missing"),
        (r#"{"index": 0, "value": 1, "op": "SCMP_CMP_IN"}"#, "op: unknown operator \"SCMP_CMP_IN\""),
    ];
    for (json, expected) in cases {
        assert_eq!(arg(json), format!("linux.seccomp.syscalls[1].args[1].{expected}"));
    }
}

#[test]
fn where_the_system_calls_are_not_known() {
    let error = compile(&parse(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#), Arch::S390x).unwrap_err();
    assert!(error.to_string().contains("SCMP_ARCH_S390X"), "{error}");
}

#[test]
fn a_program_that_the_kernel_would_not_take() {
    let arg = r#"[{"index": 0, "value": 1311768467463790320, "op": "SCMP_CMP_GT"}]"#;
    let rules: Vec<String> = (0..700)
        .map(|errno| {
            format!(r#"{{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": {errno}, "args": {arg}}}"#)
        })
        .collect();
    let error = refusal(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.join(",")));
    assert!(error.starts_with("linux.seccomp: the filter has") && error.ends_with("the kernel takes 4096"), "{error}");
}
