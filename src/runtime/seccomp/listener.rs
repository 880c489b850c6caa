//! What a seccomp agent is told with the listener (runtime-spec, config-linux.md, "The Container Process State"): one
//! JSON text on a connection to `listenerPath`, the descriptors beside it by SCM_RIGHTS.

use serde::{Deserialize, Serialize};

/// The name that stands in `fds` for the descriptor of the listener.
pub const SECCOMP_FD_NAME: &str = "seccompFd";

/// `S` is the state of the container, as `state` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerProcessState<S> {
    pub oci_version: String,
    /// One name for each descriptor sent, in their order.
    pub fds: Vec<String>,
    /// The process that has the filter, as the runtime sees it. For `exec` not the container's first.
    pub pid: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    pub state: S,
}

impl<S> ContainerProcessState<S> {
    /// For the listener alone.
    pub fn new(oci_version: &str, pid: i32, metadata: &str, state: S) -> Self {
        let fds = vec![SECCOMP_FD_NAME.to_owned()];
        ContainerProcessState { oci_version: oci_version.to_owned(), fds, pid, metadata: metadata.to_owned(), state }
    }
}
