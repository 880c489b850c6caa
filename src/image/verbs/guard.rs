//! `forno guard`: what `build` starts; nobody types it.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::build::guard;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Guard {}

impl Verb for Guard {
    const NAME: &'static str = guard::VERB;
    const ABOUT: &'static str = "Remove a step's container when its build was killed (build does this)";
    const TOUCHES_STORE: bool = false;

    fn run(self, _: &Forno) -> Result<u8> {
        guard::main(std::io::stdin().lock());
        Ok(0)
    }
}
