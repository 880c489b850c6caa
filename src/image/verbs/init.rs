//! `forno init`: what `--init` puts into a container as its first process; nobody types it.

use super::{Forno, Verb};
use crate::error::Result;
use crate::reaper;
use clap::Args;
use std::ffi::OsString;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// What to run
    #[arg(value_name = "COMMAND [ARG...]", required = true, num_args = 1.., trailing_var_arg = true,
          allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Verb for Init {
    const NAME: &'static str = reaper::VERB;
    const ABOUT: &'static str = "Be the first process of a container";
    const TOUCHES_STORE: bool = false;

    fn run(self, _forno: &Forno) -> Result<u8> {
        reaper::main(&self.command)
    }
}
