//! `forno start`: starts containers that do not run.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Error, Result};
use crate::image::container::attach::{self, Options, Outcome};
use crate::image::container::config::RestartPolicy;
use crate::image::container::state::Status;
use crate::image::container::{Container, Listed, launch};
use crate::image::store::Store;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Start {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required_unless_present = "boot")]
    containers: Vec<String>,
    /// All that their restart policy wants after a start of the machine
    #[arg(long)]
    boot: bool,
    /// Attach to standard output and standard error
    #[arg(short, long)]
    attach: bool,
    /// Attach to standard input too
    #[arg(short, long)]
    interactive: bool,
    /// The keys that leave the container running
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
}

impl Verb for Start {
    const NAME: &'static str = "start";
    const ABOUT: &'static str = "Start stopped containers";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        if self.boot {
            let names: Vec<String> = store
                .list_containers()?
                .0
                .iter()
                .filter(|listed| is_wanted(listed))
                .map(|one| one.config.id.clone())
                .collect();
            return super::each::each(forno, &store, &names, |container| start(forno, &store, container));
        }
        if !self.attach && !self.interactive {
            return super::each::each(forno, &store, &self.containers, |container| start(forno, &store, container));
        }
        let [name] = self.containers.as_slice() else {
            return Err(Error::new("only one container can be attached to"));
        };
        let container = store.container(name)?;
        let config = container.config()?;
        let options = Options {
            stdin: self.interactive && config.stdin,
            terminal: config.terminal,
            signals: !config.terminal,
            detach_keys: attach::parse_keys(&self.detach_keys)?,
        };
        let lock = container.lock()?;
        if container.state()?.is_alive() {
            bail!("container {name} runs already; forno attach {name} attaches to it");
        }
        let size = if config.terminal { attach::terminal_size() } else { None };
        let channel = launch::launch(&store, &container, &forno.runtime(), true, size)?;
        drop(lock);
        match attach::attach(&channel, &options, false)? {
            Outcome::Ended(code) => Ok(code),
            Outcome::Detached => Ok(0),
        }
    }
}

/// Whether a container is to run when the machine does. docker's daemon decides so at its start.
fn is_wanted(listed: &Listed) -> bool {
    match listed.config.restart.policy {
        RestartPolicy::Always => listed.state.status != Status::Created,
        RestartPolicy::UnlessStopped => listed.state.status != Status::Created && !listed.state.stopped_by_user,
        RestartPolicy::OnFailure | RestartPolicy::No => false,
    }
}

/// Starts a container; one that runs stays as it is.
pub(super) fn start(forno: &Forno, store: &Store, container: &Container) -> Result<()> {
    let _lock = container.lock()?;
    let status = container.state()?.status;
    if status == Status::Paused {
        bail!("container {} is paused; forno unpause lets it go on", container.short_id());
    }
    if status.needs_supervisor() {
        return Ok(());
    }
    let channel = launch::launch(store, container, &forno.runtime(), false, None)?;
    launch::wait_until_started(&channel)
}
