//! One life of a container: what is made for it at its start, and undone at its end.

use super::Supervisor;
use super::health::Check;
use super::streams::Streams;
use crate::error::{Context, Result};
use crate::image::container::console::Console;
use crate::image::container::state::{Endpoint, Health, State};
use crate::image::container::{copy_up, files, processes, spec, view};
use crate::image::network::{self, Attached};
use crate::sys::event::{Ready, Wanted};
use crate::sys::process::{self, Exit, pid_t};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(super) struct Run {
    pub pid: pid_t,
    pub pidfd: OwnedFd,
    pub streams: Streams,
    check: Option<Check>,
    network: Attached,
    /// The file that counts how often the kernel killed for want of memory.
    oom: Option<PathBuf>,
}

impl Run {
    pub(super) fn start(supervisor: &mut Supervisor) -> Result<Run> {
        let made = Self::make(supervisor);
        if made.is_err() {
            // The failure is what the user wants to know; what this cannot undo the next clean-up does.
            let _ = supervisor.runtime.delete();
        }
        made
    }

    fn make(supervisor: &mut Supervisor) -> Result<Run> {
        let (store, container, config) = (supervisor.store, &supervisor.container, &supervisor.config);
        let mut snapshot = store.snapshot(&config.snapshot)?;
        if !spec::shares_mounts(config) {
            // Mounts of a namespace of ours are gone when we are, however that comes.
            view::own_mounts()?;
        }
        snapshot.mount(store, &container.rootfs(), config.auto_remove)?;
        drop(snapshot);
        let mut network = network::prepare(store, config, &mut |endpoint| {
            supervisor.state.endpoint = endpoint.cloned();
            container.set_state(&supervisor.state)
        })?;
        files::write(container, config, network.endpoint(), network.name_server().as_deref())?;
        copy_up::fill_volumes(store, container, config)?;
        spec::write(store, container, config, network.namespace())?;
        let (pid, streams) = match config.terminal {
            true => {
                let console = Console::listen(container.directory())?;
                let null = || std::process::Stdio::null();
                let pid = supervisor.runtime.create(Some(&console.path()), [null(), null(), null()])?;
                (pid, Streams::terminal(console.receive_master()?, supervisor.size)?)
            }
            false => {
                let (streams, ends) = Streams::pipes(config.stdin)?;
                (supervisor.runtime.create(None, ends)?, streams)
            }
        };
        let pidfd = process::pidfd_open(pid).context("open the container's first process")?;
        network.attach(pid)?;
        supervisor.runtime.start()?;
        let check = Check::new(config.healthcheck.as_ref());
        Ok(Run { pid, pidfd, streams, check, network, oom: oom_file(pid, &config.id) })
    }

    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.network.endpoint().cloned()
    }

    pub(super) fn health(&self) -> Option<Health> {
        self.check.as_ref().map(|_| Health { status: "starting".to_owned(), ..Health::default() })
    }

    pub(super) fn extend_wanted<'a>(&'a self, wanted: &mut Vec<Wanted<'a>>) {
        self.network.extend_wanted(wanted);
    }

    pub(super) fn serve(&mut self, ready: &[Ready]) {
        self.network.serve(ready);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.check.as_ref().map(|check| check.deadline().saturating_duration_since(Instant::now()))
    }

    /// What time brings: the next health check.
    pub(super) fn tend(&mut self, supervisor: &mut Supervisor) {
        if let Some(check) = &mut self.check {
            check.tend(&supervisor.runtime, &supervisor.container);
        }
    }

    /// A child that is not the container's first process has ended.
    pub(super) fn reaped(&mut self, supervisor: &mut Supervisor, pid: pid_t, exit: Exit) {
        let Some(check) = &mut self.check else {
            return;
        };
        let health = |state: &State| state.health.as_ref().map(|health| health.status.clone()).unwrap_or_default();
        let before = health(&supervisor.state);
        if check.reaped(pid, exit, &supervisor.container, &mut supervisor.state) {
            supervisor.save();
            let now = health(&supervisor.state);
            if now != before {
                supervisor.happened(&format!("health_status: {now}"), &[]);
            }
        }
    }

    pub(super) fn was_out_of_memory(&self) -> bool {
        self.oom.iter().any(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok());
            count.is_some_and(|count| count > 0)
        })
    }

    pub(super) fn end(mut self, supervisor: &mut Supervisor) {
        if let Some(check) = &mut self.check {
            check.stop();
        }
        self.network.detach();
        if let Err(error) = supervisor.runtime.delete() {
            supervisor.state.error = error.to_string();
        }
    }
}

fn oom_file(pid: pid_t, id: &str) -> Option<PathBuf> {
    processes::file(&processes::cgroups(pid, id).ok()?, "memory", "memory.oom_control", "memory.events")
}
