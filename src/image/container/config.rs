//! config.json of a container: what was asked for, with the image's answers filled in. A start makes the OCI runtime's
//! configuration of it, so that it needs the image no more.

use crate::image::config::Healthcheck;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    pub id: String,
    pub name: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    /// The image as the user called it, and its id.
    pub image: String,
    pub image_id: String,
    pub snapshot: String,

    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    /// As in USER: `name|uid[:group|gid]`.
    pub user: String,
    pub groups: Vec<String>,
    pub hostname: String,
    pub domainname: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub terminal: bool,
    /// Standard input stays open, for whoever attaches.
    pub stdin: bool,
    pub mounts: Vec<Mount>,
    pub network: Network,
    /// By `port/protocol`.
    pub exposed: Vec<String>,
    pub restart: Restart,
    pub stop_signal: i32,
    /// Seconds; negative: for ever.
    pub stop_timeout: i64,
    pub auto_remove: bool,
    pub healthcheck: Option<Healthcheck>,
    pub log: LogOptions,
    pub security: Security,
    /// `linux.resources` of the OCI runtime's configuration.
    pub resources: Value,
    /// Name without `RLIMIT_`, soft and hard.
    pub ulimits: Vec<(String, u64, u64)>,
    pub oom_score_adj: Option<i32>,
    pub sysctls: BTreeMap<String, String>,
    /// Bytes of /dev/shm.
    pub shm_size: u64,
    /// A process of ours as the container's first one, which reaps.
    pub init: bool,
    pub cgroup_parent: String,
    pub pid_mode: String,
    pub ipc_mode: String,
    pub uts_mode: String,
    pub cgroupns_mode: String,
    /// What the container was started with, for a start without saying it again.
    pub runtime: String,
}

impl Config {
    /// What runs: the entry point and behind it the command.
    pub fn args(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    #[default]
    Bind,
    Volume,
    Tmpfs,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    pub kind: MountKind,
    /// A path of the host, or a volume's name.
    pub source: String,
    pub target: String,
    pub read_only: bool,
    /// The volume was made for this container, and goes with it.
    pub anonymous: bool,
    /// What is in the image at the target does not go into an empty volume.
    pub no_copy: bool,
    /// `rprivate` and so on; empty: the default.
    pub propagation: String,
    /// Further words for the mount, in the runtime's language.
    pub options: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// `host`, `none`, `container:ID`, or the name of a network.
    pub mode: String,
    pub aliases: Vec<String>,
    /// An address that was asked for.
    pub address: String,
    pub address6: String,
    pub mac: String,
    pub publish: Vec<Publish>,
    /// Every exposed port gets one of the host.
    pub publish_all: bool,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// `name:address`
    pub extra_hosts: Vec<String>,
}

/// `-p`, one port of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Publish {
    /// Empty: every address of the host.
    pub host_ip: String,
    /// 0: a free one.
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    #[default]
    No,
    OnFailure,
    Always,
    UnlessStopped,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Restart {
    pub policy: RestartPolicy,
    /// How often at most, for `on-failure`; 0: without end.
    pub maximum: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogOptions {
    /// `json-file` or `none`.
    pub driver: String,
    /// Bytes of one file; 0: without bound.
    pub max_size: u64,
    pub max_file: u32,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { driver: "json-file".to_owned(), max_size: 0, max_file: 1 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Security {
    pub privileged: bool,
    pub read_only: bool,
    /// In the kernel's spelling, `CAP_NET_RAW`, or `ALL`.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub no_new_privileges: bool,
    /// Empty: ours; `unconfined`; or a profile's text.
    pub seccomp: String,
    pub apparmor: String,
    /// Nothing in /proc and /sys is hidden.
    pub unmask: bool,
    /// `path:in container:permissions`
    pub devices: Vec<String>,
    /// Further rules, as the OCI runtime wants them.
    pub device_rules: Vec<Value>,
    pub userns: String,
}
