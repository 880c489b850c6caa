//! `start`: a created container's program runs; or why it does not.

use super::Global;
use super::hooks;
use super::init::Message;
use super::init::fault::words_of;
use super::plan::{self, Facts};
use super::record::Status;
use super::store::{Container, START_SOCKET};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::socket;
use std::os::fd::AsFd;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let container = global.store.load(&args.id)?;
    container.lock()?;
    match container.status()? {
        Status::Created => {}
        Status::Stopped => bail!("cannot start a container that has stopped: {}", args.id),
        status => bail!("cannot start an already {} container: {}", status.word(), args.id),
    }
    let waiting = socket::connect_at(container.directory(), START_SOCKET);
    let waiting = waiting.with(|| format!("reach container {} to start it", args.id))?;
    let answer = Message::receive(waiting.as_fd()).context("listen to the container's first process")?;
    container.remove_start_socket()?;
    match answer {
        // Exec closed the other end.
        None => poststart(global, &container).map(|()| 0),
        Some((message, _)) => Err(why(&container, message)),
    }
}

/// The numbers mean what they mean in the plan that the process walks; the same config.json gives the same plan.
fn why(container: &Container, message: Message) -> Error {
    let state = &container.state;
    let facts = Facts {
        bundle: &state.bundle,
        id: &state.id,
        rootless: crate::sys::identity::effective_uid() != 0,
        no_new_keyring: state.no_new_keyring,
        cgroup: state.cgroup.as_ref(),
        ..Facts::default()
    };
    match container.spec().and_then(|spec| plan::container(&spec, &facts)) {
        Ok(plan) => words_of(&plan, message.step as usize, message.part, message.detail, message.errno),
        Err(error) => error,
    }
}

/// A hook that fails is a container that its engine does not want.
pub fn poststart(global: &Global, container: &Container) -> Result<()> {
    let Some(spec_hooks) = &container.spec()?.hooks else { return Ok(()) };
    let ran = hooks::run_all("poststart", &spec_hooks.poststart, &container.state, Status::Running, &global.log);
    if ran.is_err() {
        super::kill::kill_all(container)?;
    }
    ran
}
