//! What became of a container.

use crate::error::{Context, Result};
use crate::image::time;
use crate::sys::process::{self, pid_t};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// docker's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Created,
    Running,
    Paused,
    /// Between an end and the next start.
    Restarting,
    Exited,
}

impl Status {
    /// Whether there must be a supervisor for it to be true.
    pub fn needs_supervisor(self) -> bool {
        matches!(self, Status::Running | Status::Paused | Status::Restarting)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
        }
    }
}

/// The exit code of a container whose end nobody saw.
const UNSEEN: i32 = 255;

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    pub status: Status,
    /// Of the container's first process; 0: there is none.
    pub pid: pid_t,
    /// When that process started, in the kernel's clock ticks (proc_pid_stat(5), field 22): tells it from a later one
    /// with the same number.
    pub start_time: u64,
    /// The boot that this was written in.
    pub boot: String,
    pub exit_code: i32,
    pub oom_killed: bool,
    /// Why it could not be started, or was lost.
    pub error: String,
    /// RFC 3339 with nanoseconds; empty: never.
    pub started_at: String,
    pub finished_at: String,
    pub restart_count: u32,
    /// The user stopped it: no restart policy starts it again.
    pub stopped_by_user: bool,
    pub health: Option<Health>,
    pub endpoint: Option<Endpoint>,
}

/// The state of the health check.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    pub failing_streak: u32,
    /// The last few, the newest at the end.
    pub log: Vec<Probe>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    pub start: String,
    pub end: String,
    pub exit_code: i32,
    pub output: String,
}

/// The container's place in a network, while it runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    pub network: String,
    pub address: String,
    pub prefix: u8,
    pub gateway: String,
    pub address6: String,
    pub prefix6: u8,
    pub gateway6: String,
    pub mac: String,
    pub ports: Vec<Published>,
}

/// A port of the host that leads to one of the container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    pub host_ip: String,
    pub host_port: u16,
    pub container_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl State {
    /// What a state that a supervisor wrote says when there is none any more.
    pub(super) fn without_supervisor(mut self) -> State {
        let alive = self.pid > 0
            && boot_id().is_ok_and(|boot| boot == self.boot)
            && start_time(self.pid).is_some_and(|start| start == self.start_time);
        if !alive {
            self.status = Status::Exited;
            self.pid = 0;
            self.exit_code = UNSEEN;
            self.error = "the supervisor is gone; nobody saw how the container ended".to_owned();
            self.endpoint = None;
            self.health = None;
        }
        self
    }

    /// Whether the container has a first process.
    pub fn is_alive(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused)
    }
}

/// When the process started; `None` where there is none, or only what is left of one (a zombie).
pub fn start_time(pid: pid_t) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then_some(())?;
    // Field 22; the state is field 3.
    fields.nth(18)?.parse().ok()
}

pub fn boot_id() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("read boot_id")?;
    Ok(id.trim().to_owned())
}

/// Now, as docker writes it: `2024-02-29T12:00:00.123456789Z`.
pub fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = time::rfc3339(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), now.subsec_nanos())
}

/// Whether the process is there, by a descriptor that stays its own.
pub fn open_process(pid: pid_t, started: u64) -> Option<std::os::fd::OwnedFd> {
    let pidfd = process::pidfd_open(pid).ok()?;
    (start_time(pid) == Some(started)).then_some(pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_state_without_a_supervisor_is_believed_only_of_the_very_process() {
        let pid = std::process::id() as pid_t;
        let state = State {
            status: Status::Running,
            pid,
            start_time: start_time(pid).unwrap(),
            boot: boot_id().unwrap(),
            ..State::default()
        };
        assert_eq!(state.clone().without_supervisor(), state);
        for other in [
            State { start_time: state.start_time + 1, ..state.clone() },
            State { boot: "another".to_owned(), ..state.clone() },
            State { pid: 0, ..state.clone() },
        ] {
            let told = other.without_supervisor();
            assert_eq!((told.status, told.exit_code, told.pid), (Status::Exited, 255, 0));
        }
    }

    #[test]
    fn now_has_nanoseconds() {
        let now = now();
        assert_eq!(now.len(), "2024-02-29T12:00:00.123456789Z".len());
        assert!(time::parse_rfc3339(&now).is_some());
    }
}
