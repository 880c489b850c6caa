//! `state`: what a container is doing, as JSON.

use super::Global;
use super::output::print;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let container = global.store.load(&args.id)?;
    let shown = container.state.shown(container.status()?, "");
    print(&serde_json::to_string_pretty(&shown)?)
}
