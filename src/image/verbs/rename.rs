//! `forno rename`: another name for a container.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::events;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Rename {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The new name
    #[arg(value_name = "NAME")]
    name: String,
}

impl Verb for Rename {
    const NAME: &'static str = "rename";
    const ABOUT: &'static str = "Give a container another name";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let container = store.container(&self.container)?;
        let _lock = container.lock()?;
        let mut config = container.config()?;
        let naming = store.naming()?;
        naming.choose(Some(&self.name))?;
        naming.give(&self.name, &config.id)?;
        let old = std::mem::replace(&mut config.name, self.name);
        container.set_config(&store, &config)?;
        naming.take_from(&old, &config.id)?;
        events::of_container(&store, &config, "rename", &[("oldName", format!("/{old}"))]);
        Ok(0)
    }
}
