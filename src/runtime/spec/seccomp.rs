//! `linux.seccomp` (runtime-spec, config-linux.md, "Seccomp"). Words stay strings: `runtime::seccomp` knows which of
//! them mean something, and can say where a wrong one stands.

use super::{is_default, null_as_default};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    #[serde(deserialize_with = "null_as_default")]
    pub default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub architectures: Vec<String>,
    /// Absent and empty differ: absent means what is usual, empty means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub listener_path: String,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub listener_metadata: String,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub syscalls: Vec<Syscall>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Syscall {
    #[serde(deserialize_with = "null_as_default")]
    pub names: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub args: Vec<Arg>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arg {
    pub index: Option<u32>,
    pub value: Option<u64>,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub value_two: u64,
    #[serde(deserialize_with = "null_as_default")]
    pub op: String,
}
