//! `create`: a container that waits for `start`.

use super::Global;
use super::creation::{self, Flags, Starter};
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    creation: Flags,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    super::seal::protect()?;
    let (mut draft, plan) = creation::draft(global, &args.creation, Starter::Later)?;
    creation::create(global, &args.creation, Starter::Later, &mut draft, &plan)?;
    Ok(0)
}
