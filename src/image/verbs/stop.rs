//! `forno stop`: ends containers in their own time, and then in ours.

use super::each::each;
use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::{end, signals};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required_unless_present = "all")]
    containers: Vec<String>,
    /// All that run
    #[arg(short, long)]
    all: bool,
    /// Seconds to wait before killing; -1: for ever
    #[arg(short = 't', long, alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
    /// The signal that asks it to end
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
}

impl Verb for Stop {
    const NAME: &'static str = "stop";
    const ABOUT: &'static str = "Stop containers";

    fn run(self, forno: &Forno) -> Result<u8> {
        let signal = self.signal.as_deref().map(signals::parse).transpose()?;
        let store = forno.store()?;
        let runtime = forno.runtime();
        let mut names = self.containers;
        if self.all {
            let running =
                store.list_containers()?.0.into_iter().filter(|listed| listed.state.status.needs_supervisor());
            names.extend(running.map(|listed| listed.config.id));
        }
        // All are asked at once, so that the slowest one is what takes the time.
        let asked: Vec<_> = names
            .iter()
            .map(|name| {
                let container = store.container(name).ok()?;
                end::ask(&container, &runtime, signal, self.time).ok()
            })
            .collect();
        let mut asked = asked.into_iter();
        each(forno, &store, &names, |container| match asked.next().flatten() {
            Some(ending) => ending.wait(),
            None => end::ask(container, &runtime, signal, self.time)?.wait(),
        })
    }
}
