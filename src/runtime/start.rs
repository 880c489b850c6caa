//! `start`: a created container's program runs; or why it does not.

use super::Global;
use super::delete::{destroy, wait_for_end};
use super::hooks;
use super::init::Message;
use super::init::fault::words_of;
use super::notify::{self, Relay};
use super::plan::step::Op;
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
    if container.spec()?.process.is_none() {
        bail!("process: missing from the config.json of container {}; there is nothing to run", args.id);
    }
    let manager = notify::of_our_manager();
    let notify = manager.map(|manager| Relay::listen(&container, manager)).transpose()?;
    let waiting = socket::connect_at(container.directory(), START_SOCKET);
    let waiting = waiting.with(|| format!("reach container {} to start it", args.id))?;
    let answer = Message::receive(waiting.as_fd()).context("listen to the container's first process")?;
    container.remove_start_socket()?;
    match answer {
        // Exec closed the other end.
        None => match poststart(global, &container) {
            Ok(()) => {
                wait_until_ready(global, &container, notify);
                Ok(0)
            }
            Err(error) => Err(destroyed(global, &container, error)),
        },
        Some((message, _)) => {
            let (error, of_hook) = why(&container, message);
            Err(if of_hook { destroyed(global, &container, error) } else { error })
        }
    }
}

/// The manager of our service hears when the program says that it is ready.
fn wait_until_ready(global: &Global, container: &Container, notify: Option<Relay>) {
    let Some(mut notify) = notify else { return };
    let waited = match container.process() {
        Ok(Some(pidfd)) => notify.wait(container.state.pid, &pidfd),
        other => other.map(drop),
    };
    if let Err(error) = waited {
        global.log.warn(&error.to_string());
    }
}

/// runtime.md, Lifecycle: a hook that fails stops the container, and it is destroyed at once. `error` stays the cause.
fn destroyed(global: &Global, container: &Container, error: Error) -> Error {
    let gone = super::kill::kill_all(container).and_then(|()| wait_for_end(container));
    if let Err(second) = gone.and_then(|()| destroy(global, container)) {
        global.log.warn(&second.to_string());
    }
    error
}

/// The numbers mean what they mean in the plan that the process walks; the same config.json gives the same plan. And
/// whether it is a hook that failed.
fn why(container: &Container, message: Message) -> (Error, bool) {
    let state = &container.state;
    let facts = Facts {
        bundle: &state.bundle,
        id: &state.id,
        rootless: crate::sys::identity::effective_uid() != 0,
        no_new_keyring: state.no_new_keyring,
        cgroup: state.cgroup.as_ref(),
        notify: container.has_notify_directory().then_some(notify::DIRECTORY),
        ..Facts::default()
    };
    let spec = container.spec().map(|mut spec| {
        super::labels::drop_foreign(&mut spec);
        spec
    });
    match spec.and_then(|spec| plan::container(&spec, &facts)) {
        Ok(plan) => {
            let step = message.step as usize;
            let of_hook = plan.steps.get(step).is_some_and(|step| matches!(step.op, Op::Hooks { .. }));
            (words_of(&plan, step, message.part, message.detail, message.errno), of_hook)
        }
        Err(error) => (error, false),
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
