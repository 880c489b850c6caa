//! `linux.seccomp` in the kernel: every action, operator, flag and architecture, the order of loading, and an agent.

use crate::kit::agent::{Answer, serve};
use crate::kit::probe::{Door, program};
use crate::kit::socket::Receiver;
use crate::kit::*;

/// personality(2): without privileges, and asked for 0xffffffff it changes nothing.
const PERSONALITY: u32 = 135;
const PERSONALITY_X86: u32 = 136;
const ASK: u64 = 0xffff_ffff;
/// What a shell shows of a process that SIGSYS has ended.
const SIGSYS: i32 = 128 + 31;

fn one(action: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [action]})
}

/// What a call exits with under a profile.
#[track_caller]
fn exits(profile: &Value, door: Door, number: u32, argument: u64, code: i32) {
    let bundle = Bundle::program(["/probe"]).script_bytes("/probe", &program(door, number, argument));
    let output = bundle.set("/linux/seccomp", profile.clone()).run();
    assert_eq!(output.code, code, "{door:?} {number} {argument:#x} under {profile}: {output}");
}

#[test]
fn every_action() {
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    let rule = |action: &str| one(json!({"names": ["personality"], "action": action}));
    let actions = [
        ("SCMP_ACT_ALLOW", 0),
        ("SCMP_ACT_LOG", 0),
        ("SCMP_ACT_ERRNO", 1),
        ("SCMP_ACT_TRACE", 38), // nobody traces: ENOSYS
        ("SCMP_ACT_TRAP", SIGSYS),
        ("SCMP_ACT_KILL", SIGSYS),
        ("SCMP_ACT_KILL_THREAD", SIGSYS),
        ("SCMP_ACT_KILL_PROCESS", SIGSYS),
    ];
    // A tracer hands SIGSYS on as an ordinary signal, of which a first process does not die.
    let traced = peer::is_traced();
    for (action, code) in actions.into_iter().filter(|(action, _)| !traced || *action != "SCMP_ACT_TRAP") {
        exits(&rule(action), Door::X86_64, PERSONALITY, ASK, code);
    }
    let errno = one(json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}));
    exits(&errno, Door::X86_64, PERSONALITY, ASK, 77);
    let none = one(json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}));
    exits(&none, Door::X86_64, PERSONALITY, ASK, 0);
}

#[test]
fn every_operator_on_both_sides() {
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    let rule = |op: &str, value: u64, two: u64| {
        let arg = json!({"index": 0, "value": value, "valueTwo": two, "op": op});
        one(json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": [arg]}))
    };
    let high = 1 << 32 | ASK;
    let operators = [
        ("SCMP_CMP_NE", ASK, 0, 8, ASK),
        ("SCMP_CMP_LT", ASK, 0, ASK - 1, ASK),
        ("SCMP_CMP_LE", ASK, 0, ASK, high),
        ("SCMP_CMP_EQ", 8, 0, 8, ASK),
        ("SCMP_CMP_GE", high, 0, high, ASK),
        ("SCMP_CMP_GT", ASK, 0, high, ASK),
        ("SCMP_CMP_MASKED_EQ", 0xf_0000, 0x2_0000, 0x2_0008, ASK),
    ];
    for (op, value, two, hit, miss) in operators {
        exits(&rule(op, value, two), Door::X86_64, PERSONALITY, hit, 77);
        exits(&rule(op, value, two), Door::X86_64, PERSONALITY, miss, 0);
    }
}

#[test]
fn two_conditions_on_one_argument_are_two_rules() {
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    let arg = |op: &str, value: u64| json!({"index": 0, "value": value, "op": op});
    let args = [arg("SCMP_CMP_EQ", 8), arg("SCMP_CMP_EQ", 6)];
    let profile = one(json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": args}));
    exits(&profile, Door::X86_64, PERSONALITY, 8, 77);
    exits(&profile, Door::X86_64, PERSONALITY, 6, 77);
    exits(&profile, Door::X86_64, PERSONALITY, ASK, 0);
}

#[test]
fn a_call_newer_than_the_profile_does_not_exist() {
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    not_on!("crun runc<1.2", "answers with the default action");
    let names = "execve exit exit_group write read close futex rt_sigreturn clone3 brk mmap munmap sched_yield getpid \
                 madvise tgkill epoll_ctl epoll_pwait nanosleep fcntl rt_sigprocmask sigaltstack gettid openat";
    let names: Vec<&str> = names.split_whitespace().collect();
    let allow = json!({"names": names, "action": "SCMP_ACT_ALLOW"});
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 77, "syscalls": [allow]});
    // clone3 is 435.
    exits(&profile, Door::X86_64, PERSONALITY, ASK, 77);
    exits(&profile, Door::X86_64, 434, 0, 77);
    exits(&profile, Door::X86_64, 436, 0, 38);
    exits(&profile, Door::X86_64, 5000, 0, 38);
}

#[test]
fn every_flag_is_taken_by_the_kernel() {
    not_on!("crun<1.9 runc<1.2", "fewer flags");
    let rule = json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO"});
    for flag in ["LOG", "SPEC_ALLOW", "TSYNC", "WAIT_KILLABLE_RECV"] {
        let flag = format!("SECCOMP_FILTER_FLAG_{flag}");
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag], "syscalls": [rule]});
        Bundle::sh("grep ^Seccomp: /proc/self/status").set("/linux/seccomp", profile).run().stdout_is("Seccomp:\t2");
    }
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_BAKE"], "syscalls": [rule]});
    let bundle = Bundle::sh("true").set("/linux/seccomp", profile);
    bundle.try_create().fails().bolo_says("linux.seccomp.flags[0]");
}

/// Whether the kernel has the door at all: a call without a filter.
fn open(door: Door, number: u32) -> bool {
    let bundle = Bundle::program(["/probe"]).script_bytes("/probe", &program(door, number, ASK));
    bundle.run().code == 0
}

#[test]
fn architectures_that_are_not_listed_are_shut() {
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    let rule = json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77});
    let profile =
        |archs: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": archs, "syscalls": [rule.clone()]});
    let native = profile(json!(["SCMP_ARCH_X86_64"]));
    let all = profile(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]));
    exits(&native, Door::X86_64, PERSONALITY, ASK, 77);
    // The filter comes before the kernel's own word on whether it knows x32.
    exits(&native, Door::X32, PERSONALITY, ASK, SIGSYS);
    exits(&all, Door::X32, PERSONALITY, ASK, 77);
    needs!(open(Door::X86, PERSONALITY_X86), "no system calls of i386");
    exits(&native, Door::X86, PERSONALITY_X86, ASK, SIGSYS);
    exits(&all, Door::X86, PERSONALITY_X86, ASK, 77);
}

/// With no_new_privs the filter is the last thing before exec; without, the kernel takes it from the privileged only, and
/// the user changes under it.
#[test]
fn the_order_of_loading_depends_on_no_new_privileges() {
    let names = ["setresuid", "setresgid", "setgroups", "setuid", "setgid", "capset"];
    let profile = one(json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": 77}));
    let bundle = Bundle::sh("id -u").user(1000, 1000).set("/linux/seccomp", profile);
    let bundle = bundle.set("/process/noNewPrivileges", true);
    bundle.run().stdout_is("1000");
    bundle.set("/process/noNewPrivileges", false).run().fails();
    // Unprivileged and without no_new_privs, all the same.
    let harmless = one(json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO"}));
    let bundle = Bundle::sh("id -u; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status").user(1000, 1000);
    let bundle = bundle.set("/linux/seccomp", harmless).set("/process/noNewPrivileges", false);
    bundle.run().stdout_is("1000\nNoNewPrivs:\t0\nSeccomp:\t2");
}

/// The agent gets the calls of the container's process and decides: an error, a result nobody worked for, or the call.
#[test]
fn an_agent_answers() {
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    let script = "mkdir /refused; chown 7:7 /loaf && stat -c %u /loaf; rmdir /box && echo gone; mkdir /late";
    let bundle = Bundle::sh(script).file("/loaf", "").dir("/box");
    let receiver = Receiver::listen(bundle.path("agent.sock"));
    let names = ["mkdir", "mkdirat", "chown", "lchown", "fchownat", "rmdir", "unlinkat"];
    let rule = json!({"names": names, "action": "SCMP_ACT_NOTIFY"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": receiver.path(), "listenerMetadata": "rye",
                         "syscalls": [rule], "flags": []});
    let container = bundle.set("/linux/seccomp", profile).create();
    let (text, fds) = receiver.receive();
    let state: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&state["metadata"], &state["state"]["status"]), (&json!("rye"), &json!("creating")), "{state}");
    assert_eq!(state["pid"], container.pid());
    container.start().ok();
    let questions = serve(&fds[0], |question| match question.number {
        83 | 258 => Answer::Errno(122),
        92 | 94 | 260 => Answer::Value(0),
        _ => Answer::Continue,
    });
    container.wait_stopped();
    assert_eq!(container.stdout(), "0\ngone\n");
    let quota = container.stderr();
    assert!(quota.contains("/refused': Disk quota exceeded") && quota.contains("/late"), "{quota}");
    assert!(questions.len() >= 4, "{questions:?}");
    assert!(questions.iter().all(|question| question.arch == 0xc000_003e && question.pid > 0), "{questions:?}");
}

/// A further process has a listener of its own, and the state says which process that is.
#[test]
fn an_agent_answers_for_exec() {
    not_on!("crun", "tells the first process's pid");
    needs!(cfg!(target_arch = "x86_64"), "no x86_64");
    let bundle = Bundle::idle();
    let receiver = Receiver::listen(bundle.path("agent.sock"));
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": receiver.path(), "syscalls": [rule]});
    let container = bundle.set("/linux/seccomp", profile).create();
    let _first = receiver.receive();
    container.start().ok();
    let running = container.call_exec(&[], &["mkdir", "/refused"]).spawn();
    let (text, fds) = receiver.receive();
    let state: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(state["state"]["status"], "running", "{state}");
    assert_eq!(state["state"]["pid"], container.pid(), "{state}");
    assert_ne!(state["pid"], container.pid(), "{state}");
    let questions = serve(&fds[0], |_| Answer::Errno(122));
    assert_eq!(questions.len(), 1, "{questions:?}");
    running.wait().fails().stderr_has("Disk quota exceeded");
}

/// An agent that goes away leaves its containers with calls that do not exist, not with a way around.
#[test]
fn an_agent_that_is_gone_allows_nothing() {
    let bundle = Bundle::sh("mkdir /new; ls -d /new");
    let receiver = Receiver::listen(bundle.path("agent.sock"));
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": receiver.path(), "syscalls": [rule]});
    let container = bundle.set("/linux/seccomp", profile).create();
    drop(receiver.receive());
    container.start().ok();
    container.wait_stopped();
    assert_eq!(container.stdout(), "");
    assert!(container.stderr().contains("Function not implemented"), "{}", container.stderr());
}
