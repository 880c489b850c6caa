//! `forno image`: docker's group of what can be done with images.

use super::{Forno, Verb};
use crate::error::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct Image {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how an image was made
    History(super::history::History),
    /// Make an image of a root file system
    Import(super::import::Import),
    /// Show all that is known of images
    Inspect(super::inspect::Inspect),
    /// Read images from an archive or a directory
    Load(super::save::Load),
    /// List images
    #[command(alias = "list")]
    Ls(super::images::Images),
    /// Remove images without a name
    Prune(super::prune::PruneImages),
    /// Get an image from a registry
    Pull(super::remote::Pull),
    /// Send an image to a registry
    Push(super::push::Push),
    /// Remove images
    #[command(alias = "remove")]
    Rm(super::rmi::Rmi),
    /// Write images to an archive or a directory
    Save(super::save::Save),
    /// Give an image another name
    Tag(super::tag::Tag),
}

impl Verb for Image {
    const NAME: &'static str = "image";
    const ABOUT: &'static str = "What can be done with images";

    fn run(self, forno: &Forno) -> Result<u8> {
        match self.action {
            Action::History(verb) => verb.run(forno),
            Action::Import(verb) => verb.run(forno),
            Action::Inspect(verb) => verb.run(forno),
            Action::Load(verb) => verb.run(forno),
            Action::Ls(verb) => verb.run(forno),
            Action::Pull(verb) => verb.run(forno),
            Action::Push(verb) => verb.run(forno),
            Action::Rm(verb) => verb.run(forno),
            Action::Save(verb) => verb.run(forno),
            Action::Tag(verb) => verb.run(forno),
            Action::Prune(prune) => prune.run(forno),
        }
    }
}
