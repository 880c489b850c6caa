//! `resume`: what `pause` stopped goes on.

use super::Global;
use crate::bail;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let container = global.store.load(&args.id)?;
    container.lock()?;
    // A container that was only created can be paused too, and then `state` still says created.
    match &container.state.cgroup {
        Some(cgroup) if container.process()?.is_some() && cgroup.is_frozen()? => cgroup.thaw().map(|()| 0),
        _ => bail!("container not paused: {}", args.id),
    }
}
