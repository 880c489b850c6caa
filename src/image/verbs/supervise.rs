//! `forno supervise`: what `run` and `start` start; nobody types it.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::{launch, supervise};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Supervise {
    /// The descriptor of the connection to who started us
    #[arg(long)]
    channel: i32,
    /// The container's id
    id: String,
}

impl Verb for Supervise {
    const NAME: &'static str = launch::VERB;
    const ABOUT: &'static str = "Supervise a container (run and start do this)";

    fn run(self, forno: &Forno) -> Result<u8> {
        supervise::main(&forno.store()?, &self.id, &forno.runtime(), self.channel)
    }
}
