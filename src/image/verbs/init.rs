//! `forno init`: what `--init` puts into a container as its first process; nobody types it.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::init;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// What to run
    #[arg(value_name = "COMMAND [ARG...]", required = true, num_args = 1.., trailing_var_arg = true,
          allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Verb for Init {
    const NAME: &'static str = init::VERB;
    const ABOUT: &'static str = "Be the first process of a container";

    fn run(self, _forno: &Forno) -> Result<u8> {
        init::main(&self.command)
    }
}
