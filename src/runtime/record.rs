//! What is kept of a container between two calls of the program, and what others are told of it.

use super::cgroup::Cgroup;
use super::spec::Map;
use serde::{Deserialize, Serialize};

/// state.json of the state directory.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    pub oci_version: String,
    pub id: String,
    /// Absolute.
    pub bundle: String,
    /// Absolute.
    pub rootfs: String,
    /// RFC 3339.
    pub created: String,
    /// The user who created it.
    pub owner: u32,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub annotations: Map,
    /// In the namespace of whoever created it; 0: not born yet.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat: a pid alone comes back to somebody else.
    pub start_time: u64,
    /// Absent where the container has none.
    pub cgroup: Option<Cgroup>,
    /// Whether it is cgroups of systemd.
    #[serde(skip_serializing_if = "is_false")]
    pub systemd: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub no_new_keyring: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// runtime-spec, runtime.md, "State"; paused is runc's addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Only hooks see it.
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// What `state` prints, and `list` of each: runc's fields in runc's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    /// 0 when stopped.
    pub pid: i32,
    pub status: Status,
    pub bundle: &'a str,
    pub rootfs: &'a str,
    pub created: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub annotations: &'a Map,
    /// A name in `list`, nothing in `state`.
    pub owner: &'a str,
}

impl State {
    pub fn shown<'a>(&'a self, status: Status, owner: &'a str) -> Shown<'a> {
        let pid = if status == Status::Stopped { 0 } else { self.pid };
        Shown {
            oci_version: &self.oci_version,
            id: &self.id,
            pid,
            status,
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &self.created,
            annotations: &self.annotations,
            owner,
        }
    }
}

/// What hooks read from their standard input and seccomp agents are sent: the specification's state, no more.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForOthers<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    pub status: Status,
    #[serde(skip_serializing_if = "is_zero")]
    pub pid: i32,
    pub bundle: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub annotations: &'a Map,
}

fn is_zero(pid: &i32) -> bool {
    *pid == 0
}

impl State {
    pub fn for_others(&self, status: Status) -> ForOthers<'_> {
        let pid = if status == Status::Stopped { 0 } else { self.pid };
        let State { oci_version, id, bundle, annotations, .. } = self;
        ForOthers { oci_version, id, status, pid, bundle, annotations }
    }
}
