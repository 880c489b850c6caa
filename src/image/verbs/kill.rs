//! `forno kill`: sends a signal to containers.

use super::each::each;
use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::{end, signals};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Kill {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// The signal: a name or a number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
}

impl Verb for Kill {
    const NAME: &'static str = "kill";
    const ABOUT: &'static str = "Send containers a signal";

    fn run(self, forno: &Forno) -> Result<u8> {
        let signal = signals::parse(&self.signal)?;
        let store = forno.store()?;
        each(forno, &store, &self.containers, |container| {
            // As docker: once this has returned, it does not run.
            if signal == signals::KILL && container.state()?.is_alive() {
                return end::kill(container, &forno.runtime());
            }
            let stop = signal == signals::KILL || signal == container.config()?.stop_signal;
            end::signal(container, &forno.runtime(), signal, stop)
        })
    }
}
