//! `forno restart`: stops containers and starts them again.

use super::each::each;
use super::{Forno, Verb, start};
use crate::error::Result;
use crate::image::container::{end, signals};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Restart {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// Seconds to wait before killing; -1: for ever
    #[arg(short = 't', long, alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
    /// The signal that asks it to end
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
}

impl Verb for Restart {
    const NAME: &'static str = "restart";
    const ABOUT: &'static str = "Stop containers and start them again";

    fn run(self, forno: &Forno) -> Result<u8> {
        let signal = self.signal.as_deref().map(signals::parse).transpose()?;
        let store = forno.store()?;
        each(forno, &store, &self.containers, |container| {
            end::ask(container, &forno.runtime(), signal, self.time)?.wait()?;
            container.wait_for_supervisor()?;
            start::start(forno, &store, container)
        })
    }
}
