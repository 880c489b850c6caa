//! `delete`: what is left of a container goes.

use super::Global;
use super::hooks;
use super::kill::kill_all;
use super::record::Status;
use super::store::Container;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::process::{self, SIGKILL};
use std::os::fd::AsFd;

/// Milliseconds for a killed process to be gone.
const DEATH_WAIT: i32 = 10_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    /// Kill it if it still lives; nothing to delete is no error
    #[arg(short, long)]
    force: bool,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let container = match global.store.find(&args.id)? {
        None if args.force => return Ok(0),
        None => bail!("container does not exist: {}", args.id),
        Some(Err(error)) if args.force => {
            // Nothing tells what it was; its cgroup, if there is one, has its default place.
            global.log.warn(&error.to_string());
            remove_stray_cgroup(global, &args.id);
            return global.store.remove_damaged(&args.id).map(|()| 0);
        }
        Some(container) => container?,
    };
    if args.force {
        kill_all(&container)?;
    }
    container.lock()?;
    // It may have changed until the lock was ours.
    let Some(container_now) = global.store.find(&args.id)? else { return Ok(0) };
    let container_now = container_now?;
    match container_now.status()? {
        Status::Stopped => {}
        // Nothing of its own runs in it yet.
        Status::Created => kill_all(&container_now)?,
        _ if args.force => kill_all(&container_now)?,
        status => {
            bail!("cannot delete a container that is {}: {} (stop it first, or use --force)", status.word(), args.id)
        }
    }
    wait_for_end(&container_now)?;
    destroy(global, &container_now)?;
    Ok(0)
}

pub fn wait_for_end(container: &Container) -> Result<()> {
    let Some(pidfd) = container.process()? else { return Ok(()) };
    if !process::wait_until_exit(pidfd.as_fd(), DEATH_WAIT).context("wait for the container to end")? {
        bail!("container {} does not end: its first process hangs in the kernel", container.id());
    }
    Ok(())
}

/// After its processes have ended: cgroup, state, and what the hooks do about it.
pub fn destroy(global: &Global, container: &Container) -> Result<()> {
    let spec = container.spec();
    if let Some(cgroup) = &container.state.cgroup {
        // Without a pid namespace processes survive the first.
        cgroup.kill(SIGKILL)?;
        cgroup.remove()?;
    }
    container.remove()?;
    if let Some(spec_hooks) = &spec?.hooks {
        hooks::run_poststop(&spec_hooks.poststop, &container.state, &global.log)?;
    }
    Ok(())
}

/// What ran in the foreground, unless somebody did it while we watched, and perhaps gave the name to another container.
pub fn destroy_watched(global: &Global, container: &Container) -> Result<()> {
    container.lock()?;
    match global.store.find(container.id())?.transpose()? {
        Some(now) if now.state.pid == container.state.pid && now.state.start_time == container.state.start_time => {
            destroy(global, &now)
        }
        _ => Ok(()),
    }
}

fn remove_stray_cgroup(global: &Global, id: &str) {
    let rootless = crate::sys::identity::effective_uid() != 0;
    let removed = super::cgroup::Cgroup::locate(None, id, global.systemd_cgroup, rootless).and_then(|cgroup| {
        cgroup.kill(SIGKILL)?;
        cgroup.remove()
    });
    if let Err(error) = removed {
        global.log.debug(&error.to_string());
    }
}
