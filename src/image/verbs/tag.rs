//! `forno tag`: another name for an image.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::reference::Reference;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Tag {
    /// The image: a name or an id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The new name; an image that has it loses it
    #[arg(value_name = "NAME[:TAG]")]
    name: Reference,
}

impl Verb for Tag {
    const NAME: &'static str = "tag";
    const ABOUT: &'static str = "Give an image another name";

    fn run(self, forno: &Forno) -> Result<u8> {
        if self.name.digest().is_some() {
            bail!("a new name cannot have a digest");
        }
        let store = forno.store()?;
        let lease = store.lease()?;
        let image = store.find(&self.image)?;
        store.hold_image(&lease, &image)?;
        store.enter(&lease, &image.descriptor, Some(&self.name))?;
        Ok(0)
    }
}
