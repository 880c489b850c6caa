//! `forno hold`: what a user's first call starts; nobody types it.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::rootless;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Hold {}

impl Verb for Hold {
    const NAME: &'static str = rootless::VERB;
    const ABOUT: &'static str = "Hold a user's namespaces (the first call of forno does this)";
    const TOUCHES_STORE: bool = false;

    fn run(self, _: &Forno) -> Result<u8> {
        rootless::hold()
    }
}
