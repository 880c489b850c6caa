//! `features`: what this runtime can do (runtime-spec, features.md), whoever calls it and wherever.

use super::Global;
use super::output::print;
use super::plan::namespaces::KINDS;
use super::plan::{MEMORY_FLAGS, MEMORY_MODES, capabilities, mount_words};
use super::seccomp::Arch;
use super::spec::VERSION;
use crate::error::Result;
use serde_json::json;

const HOOKS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];
const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Global, _: Args) -> Result<u8> {
    let mut mount_options: Vec<_> = mount_words().collect();
    mount_options.sort_unstable();
    let mut namespaces: Vec<_> = KINDS.iter().map(|kind| kind.0).collect();
    namespaces.sort_unstable();
    let archs: Vec<_> = Arch::ALL.iter().map(|arch| arch.word()).collect();
    let modes: Vec<_> = MEMORY_MODES.iter().map(|mode| mode.0).collect();
    let flags: Vec<_> = MEMORY_FLAGS.iter().map(|flag| flag.0).collect();
    let features = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": HOOKS,
        "mountOptions": mount_options,
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities::all_names(),
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
            "seccomp": {
                "enabled": true,
                "actions": ACTIONS,
                "operators": OPERATORS,
                "archs": archs,
                "knownFlags": FLAGS,
                "supportedFlags": FLAGS,
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false},
            "memoryPolicy": {"modes": modes, "flags": flags},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": false},
        },
        "annotations": {"org.bolo.version": env!("CARGO_PKG_VERSION")},
    });
    print(&format!("{}\n", serde_json::to_string_pretty(&features)?))
}
