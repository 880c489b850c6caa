//! `run`: create and start in one; in the foreground, also wait and clean up.

use super::Global;
use super::creation::{self, Created, Flags, Starter};
use super::delete::{destroy, destroy_watched};
use super::foreground::{self, Signals};
use super::start::poststart;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    creation: Flags,
    /// Return when the program runs
    #[arg(short, long)]
    detach: bool,
    /// Keep the container's state when its program has ended
    #[arg(long)]
    keep: bool,
    /// Leave the container's orphans to the host's init
    #[arg(long)]
    no_subreaper: bool,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    super::seal::protect()?;
    let starter = if args.detach { Starter::Detached } else { Starter::Foreground };
    let (mut draft, plan) = creation::draft(global, &args.creation, starter)?;
    let signals = if args.detach { None } else { Some(Signals::take(!args.no_subreaper)?) };
    let Created { container, mut child, terminal, mut notify } =
        creation::create(global, &args.creation, starter, &mut draft, &plan)?;
    let started = child.start().and_then(|()| poststart(global, &container));
    if let Err(error) = started {
        drop(child);
        if let Err(second) = destroy(global, &container) {
            global.log.warn(&second.to_string());
        }
        return Err(error);
    }
    child.keep();
    let Some(signals) = signals else {
        if let Some(Err(error)) = notify.as_mut().map(|notify| notify.wait(child.pid, &child.pidfd)) {
            global.log.warn(&error.to_string());
        }
        return Ok(0);
    };
    container.unlock()?;
    let code = foreground::attend(signals, child.pid, &child.pidfd, terminal, notify)?;
    if !args.keep {
        destroy_watched(global, &container)?;
    }
    Ok(code)
}
