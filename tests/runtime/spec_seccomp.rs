//! config-linux.md, Seccomp: what the specification demands of a profile and of the listener.

use crate::kit::*;
use std::os::fd::AsRawFd;

#[track_caller]
fn refused(profile: Value, says: &str) {
    let bundle = Bundle::sh("true").set("/linux/seccomp", profile);
    bundle.try_create().fails().bolo_says(says);
    bundle.leaves_nothing();
}

#[test]
fn a_profile_without_an_action_is_refused() {
    let rule = json!({"names": ["chmod"], "action": "SCMP_ACT_ERRNO"});
    refused(json!({"syscalls": [rule]}), "linux.seccomp.defaultAction");
    refused(json!({"defaultAction": "SCMP_ACT_BAKE"}), "linux.seccomp.defaultAction");
    let rule = |action: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [action]});
    refused(rule(json!({"names": ["chmod"]})), "linux.seccomp.syscalls[0].action");
    refused(rule(json!({"names": ["chmod"], "action": "SCMP_ACT_BAKE"})), "linux.seccomp.syscalls[0].action");
}

#[test]
fn an_errno_for_an_action_without_one_is_an_error() {
    not_on!("runc", "ignores it");
    refused(json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 7}), "linux.seccomp.defaultErrnoRet");
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG", "SCMP_ACT_TRAP"] {
        let rule = json!({"names": ["chmod"], "action": action, "errnoRet": 7});
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        refused(profile, "linux.seccomp.syscalls[0].errnoRet");
    }
}

#[test]
fn a_rule_without_names_is_refused() {
    bolo_only!("others let it be");
    for rule in [json!({"action": "SCMP_ACT_ERRNO"}), json!({"names": [], "action": "SCMP_ACT_ERRNO"})] {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        refused(profile, "linux.seccomp.syscalls[0].names");
    }
}

#[test]
fn an_operator_that_does_not_exist_is_refused() {
    for op in [json!("SCMP_CMP_BAKE"), json!(""), Value::Null] {
        let argument = json!({"index": 0, "value": 7, "op": op});
        let rule = json!({"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "args": [argument]});
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        refused(profile, "linux.seccomp.syscalls[0].args[0].op");
    }
}

fn notifying(listener: &str) -> Value {
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"});
    json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": listener, "listenerMetadata": "rye", "syscalls": [rule]})
}

#[test]
fn the_listener_gets_one_state_and_the_connection_ends() {
    let bundle = Bundle::idle();
    let receiver = socket::Receiver::listen(bundle.path("agent.sock"));
    let bundle = bundle.set("/linux/seccomp", notifying(receiver.path()));
    let container = bundle.create();
    let (text, fds) = receiver.receive();
    // One message with everything in it: what `receive` got is the whole state, or it is no JSON.
    let state: Value = serde_json::from_slice(&text).unwrap();
    let version = state["ociVersion"].as_str().expect("ociVersion");
    assert!(version.starts_with("1.") || peer::RUNTIME.name == "crun", "{version}");
    assert_eq!(state["fds"], json!(["seccompFd"]), "{state}");
    assert_eq!(state["metadata"], "rye", "{state}");
    assert_eq!(state["pid"], container.pid(), "the container process as the runtime sees it: {state}");
    assert_eq!(state["state"]["id"], container.id(), "{state}");
    assert_eq!(state["state"]["bundle"], container.bundle_dir().to_str().unwrap(), "{state}");
    assert_eq!(fds.len(), 1);
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fds[0].as_raw_fd())).unwrap();
    assert_eq!(link.to_str(), Some("anon_inode:seccomp notify"));
}

#[test]
fn a_listener_that_does_not_listen_is_an_error() {
    let bundle = Bundle::sh("true");
    let path = bundle.path("nobody.sock").display().to_string();
    refused(notifying(&path), "linux.seccomp.listenerPath");
}

#[test]
fn metadata_without_a_listener_is_refused() {
    not_on!("runc", "ignores it when no rule notifies");
    refused(json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "rye"}), "linux.seccomp.listenerMetadata");
}
