//! The seccomp agent of linux.seccomp.listenerPath gets the descriptor by which it decides.

use crate::error::{Context, Error, Result};
use crate::runtime::record::{State, Status};
use crate::runtime::seccomp::Filter;
use crate::runtime::seccomp::listener::ContainerProcessState;
use crate::sys::socket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

pub(super) fn send(filter: &Filter, listener: &OwnedFd, pid: i32, state: &State, status: Status) -> Result<()> {
    let Some(wanted) = &filter.listener else { return Err(Error::new("linux.seccomp: a listener nobody asked for")) };
    let shown = state.for_others(status);
    let message = ContainerProcessState::new(&state.oci_version, pid, &wanted.metadata, shown);
    let text = serde_json::to_vec(&message)?;
    let agent = socket::connect_stream(Path::new(&wanted.path));
    let sent = agent.and_then(|agent| socket::send(agent.as_fd(), &text, &[listener.as_raw_fd()]));
    sent.with(|| format!("linux.seccomp.listenerPath: send the listener to {}", wanted.path))
}
