//! Ending a running container from outside.

use super::channel::{self, Event, Request};
use super::config::Config;
use super::runtime::Runtime;
use super::state::{State, Status, open_process};
use super::{Container, launch, signals};
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::event::{self, Wanted};
use crate::sys::process;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Sends a signal. `stop`: no restart policy starts the container again.
pub fn signal(container: &Container, runtime: &Path, signal: i32, stop: bool) -> Result<()> {
    if let Some(channel) = launch::connect(container, false)? {
        return channel::ask(&channel, &Request::Signal { signal, stop });
    }
    let state = container.state()?;
    if !state.is_alive() {
        bail!("container {} is not running", container.short_id());
    }
    Runtime::new(runtime, container).kill(signal)
}

/// A container that was asked to end.
pub struct Ending {
    container: Container,
    runtime: std::path::PathBuf,
    way: Way,
    /// When it is killed.
    deadline: Option<Instant>,
}

enum Way {
    /// It had ended already.
    Over,
    Supervisor(OwnedFd),
    /// Without a supervisor, by the process itself.
    Process(OwnedFd),
}

/// Asks a container to end; `seconds` below 0: it has all the time in the world.
pub fn ask(container: &Container, runtime: &Path, signal: Option<i32>, seconds: Option<i64>) -> Result<Ending> {
    let (config, state) = (container.config()?, container.state()?);
    let seconds = seconds.unwrap_or(config.stop_timeout);
    let deadline = u64::try_from(seconds).ok().map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let signal = signal.unwrap_or(config.stop_signal);
    let way = begin(container, runtime, &config, &state, signal)?;
    Ok(Ending { container: container.clone(), runtime: runtime.to_owned(), way, deadline })
}

fn begin(container: &Container, runtime: &Path, config: &Config, state: &State, signal: i32) -> Result<Way> {
    if !state.status.needs_supervisor() {
        return Ok(Way::Over);
    }
    if let Some(channel) = launch::connect(container, false)? {
        if state.status == Status::Paused {
            // One that has been resumed meanwhile is as good.
            let _ = channel::ask(&channel, &Request::Resume);
        }
        match channel::ask(&channel, &Request::Signal { signal, stop: true }) {
            Ok(()) => return Ok(Way::Supervisor(channel)),
            Err(_) if !container.exists() || !container.state()?.status.needs_supervisor() => return Ok(Way::Over),
            Err(error) if launch::connect(container, false)?.is_some() => {
                return Err(error.context(format!("container {}", config.name)));
            }
            // It was about to die when it was found.
            Err(_) => {}
        }
    }
    match open_process(state.pid, state.start_time) {
        Some(process) => {
            Runtime::new(runtime, container).kill(signal)?;
            Ok(Way::Process(process))
        }
        None => Ok(Way::Over),
    }
}

impl Ending {
    /// Waits until it has ended, and nothing of its run is left.
    pub fn wait(self) -> Result<()> {
        match &self.way {
            Way::Over => Ok(()),
            Way::Supervisor(channel) => self.wait_for(channel, ended),
            Way::Process(process) => self.wait_for(process, |_| Ok(true)),
        }
    }

    fn wait_for(&self, what: &OwnedFd, over: impl Fn(&OwnedFd) -> Result<bool>) -> Result<()> {
        let mut deadline = self.deadline;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let wanted = [Wanted { fd: what.as_fd(), read: true, write: false }];
            let ready = event::poll(&wanted, left).context("wait for the container")?;
            if ready.first().is_some_and(|ready| ready.read) {
                if over(what)? {
                    return Ok(());
                }
            } else if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                deadline = None;
                self.kill(what)?;
            }
        }
    }

    fn kill(&self, what: &OwnedFd) -> Result<()> {
        match &self.way {
            Way::Supervisor(_) => channel::send(what.as_fd(), &Request::Signal { signal: signals::KILL, stop: true }),
            Way::Process(_) => Runtime::new(&self.runtime, &self.container).kill(signals::KILL),
            Way::Over => Ok(()),
        }
    }
}

/// Whether what has come says that the container has ended for good.
fn ended(channel: &OwnedFd) -> Result<bool> {
    Ok(matches!(channel::receive(channel.as_fd())?, None | Some(Event::Ended { last: true, .. })))
}

/// Kills the container, and waits until nothing of its run is left.
pub fn kill(container: &Container, runtime: &Path) -> Result<()> {
    ask(container, runtime, Some(signals::KILL), Some(-1))?.wait()
}

/// Waits until the container does not run; its exit code.
pub fn wait(container: &Container) -> Result<i32> {
    let connected = launch::connect(container, false)?;
    let state = container.state()?;
    if !state.is_alive() {
        return Ok(state.exit_code);
    }
    if let Some(channel) = connected {
        loop {
            match channel::receive(channel.as_fd())? {
                Some(Event::Ended { code, .. }) => return Ok(code.into()),
                Some(_) => {}
                // The supervisor was killed; the container may go on without it.
                None => break,
            }
        }
    }
    let state = container.state()?;
    if let (true, Some(pidfd)) = (state.is_alive(), open_process(state.pid, state.start_time)) {
        process::wait_until_exit(pidfd.as_fd(), -1).context("wait for the container")?;
    }
    Ok(container.state()?.exit_code)
}
