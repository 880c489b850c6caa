//! `forno rmi`: takes names from images, and removes images that have none left.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Error, Result};
use crate::image::reference::Reference;
use crate::image::store::{Image, Store};
use clap::Args;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Rmi {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Remove an image with all its names; what is not there is no error
    #[arg(short, long)]
    force: bool,
}

impl Verb for Rmi {
    const NAME: &'static str = "rmi";
    const ABOUT: &'static str = "Remove images";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let mut said = String::new();
        let mut failed: Option<Error> = None;
        for text in &self.images {
            // The others go all the same.
            if let Err(error) = self.remove(&store, text, &mut said)
                && let Some(before) = failed.replace(error)
            {
                forno.warn(&before.to_string());
            }
        }
        store.sweep()?;
        forno.print(&said)?;
        failed.map_or(Ok(0), Err)
    }
}

impl Rmi {
    fn remove(&self, store: &Store, text: &str, said: &mut String) -> Result<()> {
        let image = match store.find(text) {
            Ok(image) => image,
            Err(_) if self.force => return Ok(()),
            Err(error) => return Err(error),
        };
        let named = called_by(&image, text);
        if named.is_none() || image.names.len() < 2 {
            self.check_unused(store, &image, text)?;
        }
        if let Some(name) = named {
            let stays = store.remove_name(&name)?;
            let _ = writeln!(said, "Untagged: {}", name.familiar());
            if !stays {
                let _ = writeln!(said, "Deleted: {}", image.id());
            }
            return Ok(());
        }
        let names = store.names_of(&image.descriptor.digest)?;
        if names.len() > 1 && !self.force {
            let names: Vec<String> = names.iter().map(Reference::familiar).collect();
            bail!("image {text} has several names ({}); remove them one by one, or all with --force", names.join(", "));
        }
        store.remove_manifest(&image.descriptor.digest)?;
        for name in names {
            let _ = writeln!(said, "Untagged: {}", name.familiar());
        }
        let _ = writeln!(said, "Deleted: {}", image.id());
        Ok(())
    }
}

impl Rmi {
    /// An image that a container is made of stays, as docker has it: with force one that runs keeps it still.
    fn check_unused(&self, store: &Store, image: &Image, text: &str) -> Result<()> {
        for listed in store.list_containers()?.0 {
            if listed.config.image_id != image.id().as_str() || (self.force && !listed.is_running()) {
                continue;
            }
            let (kind, must) = match (listed.is_running(), self.force) {
                (true, true) => ("running", "cannot be forced"),
                (true, false) => ("running", "must be forced"),
                (false, _) => ("stopped", "must be forced"),
            };
            let id = listed.container.short_id();
            bail!("conflict: unable to remove image {text} ({must}) - container {id} is using it ({kind})");
        }
        Ok(())
    }
}

/// The name that `text` is, where the image has it.
fn called_by(image: &Image, text: &str) -> Option<Reference> {
    let name: Reference = text.parse().ok()?;
    image.names.iter().find(|known| **known == name).cloned()
}
