//! `forno rm`: removes containers.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::container::{Container, end, remove};
use crate::image::store::Store;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Rm {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// Kill what runs; what is not there is no error
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
}

impl Verb for Rm {
    const NAME: &'static str = "rm";
    const ABOUT: &'static str = "Remove containers";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let mut code = 0;
        for name in &self.containers {
            let container = match store.container(name) {
                Err(_) if self.force => continue,
                found => found,
            };
            match container.and_then(|container| remove(forno, &store, &container, self.force, self.volumes)) {
                Ok(()) => forno.print(&format!("{name}\n"))?,
                Err(error) => {
                    forno.complain(&error);
                    code = 1;
                }
            }
        }
        Ok(code)
    }
}

/// Removes a container; with `force` also one that runs.
pub(super) fn remove(forno: &Forno, store: &Store, container: &Container, force: bool, volumes: bool) -> Result<()> {
    let _lock = match container.lock() {
        Err(_) if force && !container.exists() => return Ok(()),
        lock => lock?,
    };
    let config = container.config()?;
    let state = container.state()?;
    let runtime = forno.runtime();
    if state.status.needs_supervisor() {
        if !force {
            bail!("container {} is {}; stop it first, or remove it with --force", config.name, state.status.as_str());
        }
        end::kill(container, &runtime)?;
    }
    if !container.exists() {
        // It was to be removed at its end.
        return Ok(());
    }
    container.wait_for_supervisor()?;
    if container.exists() {
        remove::clean(store, container, &config, &runtime)?;
        remove::remove(store, container, &config, volumes)?;
    }
    Ok(())
}
