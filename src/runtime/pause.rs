//! `pause`: every process of the container stops, wherever it is.

use super::Global;
use super::record::Status;
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
    match container.status()? {
        Status::Running | Status::Created => {}
        status => bail!("cannot pause a container that is {}: {}", status.word(), args.id),
    }
    match &container.state.cgroup {
        Some(cgroup) => cgroup.freeze().map(|()| 0),
        None => bail!("cannot pause a container without a cgroup: {}", args.id),
    }
}
