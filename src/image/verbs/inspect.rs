//! `forno inspect`: all that is known of something, as JSON.

use super::{Forno, Verb};
use crate::error::{Context, Error, Result};
use crate::image::container;
use crate::image::listing;
use crate::image::reference::Reference;
use crate::image::store::{Image, Store};
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Containers or images: names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// A Go template such as '{{.Id}}' or '{{json .Config}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Verb for Inspect {
    const NAME: &'static str = "inspect";
    const ABOUT: &'static str = "Show all that is known of containers and images";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let (mut objects, mut failed) = (Vec::new(), None);
        for name in &self.names {
            if let Ok(container) = store.container(name) {
                objects.push(container::inspect::describe(&store, &container.listed()?));
                continue;
            }
            match store.find(name) {
                Ok(image) => objects.push(describe(&store, &image)),
                Err(error) if error.to_string().starts_with("No such image") => {
                    failed = Some(Error::new(format!("No such object: {name}")));
                }
                Err(error) => failed = Some(error),
            }
        }
        let text = match &self.format {
            Some(template) => listing::render(template, &objects)?,
            None => serde_json::to_string_pretty(&objects).context("write JSON")? + "\n",
        };
        // What is there is shown, whatever else is not.
        forno.print(&text)?;
        failed.map_or(Ok(0), Err)
    }
}

/// An image in docker's words.
fn describe(store: &Store, image: &Image) -> Value {
    let tagged: Vec<String> = image.names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect();
    let mut digests: Vec<String> =
        image.names.iter().map(|name| name.at(image.descriptor.digest.clone()).familiar()).collect();
    digests.sort();
    digests.dedup();
    let config = &image.config;
    json!({
        "Id": image.id(),
        "RepoTags": tagged,
        "RepoDigests": digests,
        "Comment": config.history.last().and_then(|step| step.comment.as_deref()).unwrap_or_default(),
        "Created": config.created,
        "Author": config.author.as_deref().unwrap_or_default(),
        "Config": config.config,
        "Architecture": config.architecture,
        "Variant": config.variant.as_deref().unwrap_or_default(),
        "Os": config.os,
        "Size": super::images::size(store, image),
        "RootFS": {"Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids},
        "Manifest": image.descriptor,
    })
}
