//! `forno commit`: a container's changes become an image.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::config::{History, ImageConfig};
use crate::image::reference::Reference;
use crate::image::time;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Commit {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<Reference>,
    /// Who made it
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Say so in the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

impl Verb for Commit {
    const NAME: &'static str = "commit";
    const ABOUT: &'static str = "Make an image of a container's changes";

    fn run(self, forno: &Forno) -> Result<u8> {
        if self.name.as_ref().is_some_and(|name| name.digest().is_some()) {
            bail!("a new image's name cannot have a digest");
        }
        let store = forno.store()?;
        let lease = store.lease()?;
        let config = store.container(&self.container)?.config()?;
        let base = store.find(&config.image_id)?;
        store.hold_image(&lease, &base)?;
        let snapshot = store.snapshot(&config.snapshot)?;
        let epoch = time::source_date_epoch()?;
        let layer = store.pack(&lease, &snapshot.upper(), snapshot.layers(), epoch)?;
        let mut made: ImageConfig = base.config.clone();
        made.created = Some(time::rfc3339(epoch.unwrap_or_else(time::now)));
        made.author = self.author.clone().or(made.author);
        let known = &mut made.config;
        known.cmd = Some(config.command.clone());
        known.entrypoint = Some(config.entrypoint.clone()).filter(|words| !words.is_empty());
        known.env.clone_from(&config.env);
        known.working_dir.clone_from(&config.cwd);
        known.user.clone_from(&config.user);
        known.labels.clone_from(&config.labels);
        let mut layers = base.manifest.layers.clone();
        made.history.push(History {
            created: made.created.clone(),
            created_by: Some(config.args().join(" ")),
            author: self.author,
            comment: self.message,
            empty_layer: layer.is_none(),
            ..History::default()
        });
        if let Some(layer) = layer {
            made.rootfs.diff_ids.push(layer.diff_id);
            layers.push(layer.descriptor);
        }
        let image = store.put_image(&lease, &made, layers, self.name.as_ref())?;
        forno.print(&format!("{}\n", image.id()))?;
        Ok(0)
    }
}
