//! `forno history`: how an image came to be, step by step.

use super::images::ago;
use super::{Forno, Verb};
use crate::error::Result;
use crate::image::listing::{FormatArgs, Listing};
use crate::image::store::{Image, Store};
use crate::image::{time, units};
use clap::Args;
use serde_json::{Value, json};

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    headers: &[("ID", "IMAGE"), ("CreatedSince", "CREATED"), ("CreatedAt", "CREATED AT"), ("CreatedBy", "CREATED BY")],
};
/// Characters of a command that are shown.
const COMMAND_MAX: usize = 45;

#[derive(Debug, Args)]
pub(super) struct History {
    /// The image: a name or an id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Show commands and ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    format: FormatArgs,
}

impl Verb for History {
    const NAME: &'static str = "history";
    const ABOUT: &'static str = "Show the steps that made an image";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let rows = self.rows(&store, &store.find(&self.image)?);
        if self.quiet {
            forno.print(
                &rows.iter().filter_map(|row| row["ID"].as_str()).map(|id| format!("{id}\n")).collect::<String>(),
            )?;
        } else {
            forno.print(&LISTING.show(&self.format, &rows)?)?;
        }
        Ok(0)
    }
}

impl History {
    /// The newest step first; only it has an id, because only images have.
    fn rows(&self, store: &Store, image: &Image) -> Vec<Value> {
        let chain_ids = image.config.chain_ids();
        let mut layers = image.manifest.layers.iter().zip(&chain_ids);
        let mut rows = Vec::new();
        for step in &image.config.history {
            let layer = if step.empty_layer { None } else { layers.next() };
            let bytes = layer.map_or(0, |(layer, chain_id)| store.layer_bytes(chain_id).unwrap_or(layer.size));
            let created = step.created.as_deref().and_then(time::parse_rfc3339);
            let command = step.created_by.as_deref().unwrap_or_default();
            rows.push(json!({
                "ID": "<missing>",
                "CreatedAt": created.map_or_else(String::new, time::rfc3339),
                "CreatedSince": created.map_or_else(|| "N/A".to_owned(), ago),
                "CreatedBy": if self.no_trunc { command.to_owned() } else { shortened(command) },
                "Size": units::size(bytes),
                "Comment": step.comment.as_deref().unwrap_or_default(),
            }));
        }
        rows.reverse();
        if let Some(first) = rows.first_mut() {
            first["ID"] = if self.no_trunc { image.id().as_str() } else { image.id().short() }.into();
        }
        rows
    }
}

/// One line of at most so many characters.
fn shortened(command: &str) -> String {
    let line = command.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= COMMAND_MAX {
        return line;
    }
    line.chars().take(COMMAND_MAX - 1).chain(['…']).collect()
}
