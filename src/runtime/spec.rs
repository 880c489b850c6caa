//! config.json as the runtime specification 1.3 defines it, for Linux.
//!
//! Own types beside the oci-spec crate, which refuses a whole file for one unknown word: here words that tables decide
//! about stay strings, absent and empty are told apart only where the specification does, and what is unknown is ignored
//! (runtime-spec, config.md, "Extensibility").

pub mod list;
pub mod resources;
pub mod seccomp;

use resources::Resources;
use seccomp::Seccomp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of the specification that is spoken here in full.
pub const VERSION: &str = "1.3.0";

/// A file of /proc/sys by its dotted name, or any other map that must keep no order.
pub type Map = BTreeMap<String, String>;

macro_rules! spec {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $(
            #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
            $(#[$field_meta])*
            pub $field: $kind,
        )* }
    )*};
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

spec! {
    pub struct Spec {
        pub oci_version: String,
        pub process: Option<Process>,
        pub root: Option<Root>,
        pub hostname: String,
        pub domainname: String,
        pub mounts: Vec<Mount>,
        pub hooks: Option<Hooks>,
        pub annotations: Map,
        pub linux: Option<Linux>,
    }

    pub struct Root {
        pub path: String,
        pub readonly: bool,
    }

    pub struct Process {
        pub terminal: bool,
        pub console_size: Option<ConsoleSize>,
        pub user: User,
        pub args: Option<Vec<String>>,
        pub env: Option<Vec<String>>,
        pub cwd: String,
        pub capabilities: Option<Capabilities>,
        pub rlimits: Option<Vec<Rlimit>>,
        pub no_new_privileges: bool,
        pub apparmor_profile: String,
        pub oom_score_adj: Option<i32>,
        pub scheduler: Option<Scheduler>,
        pub selinux_label: String,
        pub io_priority: Option<IoPriority>,
        #[serde(rename = "execCPUAffinity")]
        pub exec_cpu_affinity: Option<CpuAffinity>,
    }

    /// Rows and columns.
    pub struct ConsoleSize {
        pub height: u16,
        pub width: u16,
    }

    pub struct User {
        pub uid: u32,
        pub gid: u32,
        pub umask: Option<u32>,
        pub additional_gids: Option<Vec<u32>>,
        pub username: String,
    }

    pub struct Capabilities {
        pub bounding: Option<Vec<String>>,
        pub effective: Option<Vec<String>>,
        pub inheritable: Option<Vec<String>>,
        pub permitted: Option<Vec<String>>,
        pub ambient: Option<Vec<String>>,
    }

    pub struct Rlimit {
        #[serde(rename = "type")]
        pub kind: String,
        pub soft: u64,
        pub hard: u64,
    }

    /// sched_setattr(2)
    pub struct Scheduler {
        pub policy: String,
        pub nice: i32,
        pub priority: i32,
        pub flags: Option<Vec<String>>,
        pub runtime: u64,
        pub deadline: u64,
        pub period: u64,
    }

    /// ioprio_set(2)
    pub struct IoPriority {
        pub class: String,
        pub priority: i32,
    }

    /// Lists of CPUs, "0-3,7", that `exec` runs on before and after it entered the cgroup.
    pub struct CpuAffinity {
        pub initial: String,
        #[serde(rename = "final")]
        pub last: String,
    }

    pub struct Mount {
        pub destination: String,
        #[serde(rename = "type")]
        pub kind: String,
        pub source: String,
        pub options: Option<Vec<String>>,
        pub uid_mappings: Option<Vec<IdMapping>>,
        pub gid_mappings: Option<Vec<IdMapping>>,
    }

    pub struct Hooks {
        pub prestart: Option<Vec<Hook>>,
        pub create_runtime: Option<Vec<Hook>>,
        pub create_container: Option<Vec<Hook>>,
        pub start_container: Option<Vec<Hook>>,
        pub poststart: Option<Vec<Hook>>,
        pub poststop: Option<Vec<Hook>>,
    }

    pub struct Hook {
        pub path: String,
        pub args: Option<Vec<String>>,
        pub env: Option<Vec<String>>,
        /// Seconds.
        pub timeout: Option<i64>,
    }

    pub struct Linux {
        pub namespaces: Option<Vec<Namespace>>,
        pub uid_mappings: Option<Vec<IdMapping>>,
        pub gid_mappings: Option<Vec<IdMapping>>,
        pub time_offsets: Option<BTreeMap<String, TimeOffset>>,
        pub devices: Option<Vec<Device>>,
        pub net_devices: Option<BTreeMap<String, NetDevice>>,
        pub cgroups_path: String,
        pub resources: Option<Resources>,
        pub rootfs_propagation: String,
        pub seccomp: Option<Seccomp>,
        pub sysctl: Option<Map>,
        pub masked_paths: Option<Vec<String>>,
        pub readonly_paths: Option<Vec<String>>,
        pub mount_label: String,
        pub intel_rdt: Option<IntelRdt>,
        pub memory_policy: Option<MemoryPolicy>,
        pub personality: Option<Personality>,
    }

    pub struct Namespace {
        #[serde(rename = "type")]
        pub kind: String,
        pub path: String,
    }

    pub struct IdMapping {
        #[serde(rename = "containerID")]
        pub container_id: u32,
        #[serde(rename = "hostID")]
        pub host_id: u32,
        pub size: u32,
    }

    pub struct TimeOffset {
        pub secs: i64,
        pub nanosecs: u32,
    }

    pub struct Device {
        #[serde(rename = "type")]
        pub kind: String,
        pub path: String,
        pub major: i64,
        pub minor: i64,
        pub file_mode: Option<u32>,
        pub uid: Option<u32>,
        pub gid: Option<u32>,
    }

    pub struct NetDevice {
        pub name: String,
    }

    /// resctrl, `Documentation/arch/x86/resctrl.rst` of the kernel.
    pub struct IntelRdt {
        #[serde(rename = "closID")]
        pub clos_id: String,
        pub schemata: Option<Vec<String>>,
        pub l3_cache_schema: String,
        pub mem_bw_schema: String,
        pub enable_monitoring: bool,
    }

    /// set_mempolicy(2)
    pub struct MemoryPolicy {
        pub mode: String,
        pub nodes: String,
        pub flags: Option<Vec<String>>,
    }

    /// personality(2)
    pub struct Personality {
        pub domain: String,
        pub flags: Option<Vec<String>>,
    }
}

/// JSON's null is as good as nothing, as it is for Go's decoder.
fn null_as_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}
