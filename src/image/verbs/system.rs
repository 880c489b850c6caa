//! `forno system`: docker's group of what concerns everything at once.

use super::{Forno, Verb};
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct System {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what takes how much room
    Df(super::df::Df),
    /// Show what happens to containers, volumes and networks
    Events(super::events::Events),
    /// Show what is here, and what it runs on
    Info(super::info::Info),
    /// Remove what nothing uses
    Prune(super::prune::Prune),
}

impl Verb for System {
    const NAME: &'static str = "system";
    const ABOUT: &'static str = "Show what takes room, and make some";

    fn run(self, forno: &Forno) -> Result<u8> {
        match self.action {
            Action::Df(df) => df.run(forno),
            Action::Events(events) => events.run(forno),
            Action::Info(info) => info.run(forno),
            Action::Prune(prune) => prune.run(forno),
        }
    }
}
