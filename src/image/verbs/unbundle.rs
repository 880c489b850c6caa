//! `forno unbundle`: removes what `forno bundle` made.

use super::bundle::{RECORD, Record, remove};
use super::{Forno, Verb};
use crate::error::{Context, Result};
use crate::image::store::Store;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Unbundle {
    /// Bundles that forno made
    #[arg(value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
}

impl Verb for Unbundle {
    const NAME: &'static str = "unbundle";
    const ABOUT: &'static str = "Unmount and remove bundles";

    fn run(self, _: &Forno) -> Result<u8> {
        for directory in &self.directories {
            unbundle(directory).with(|| format!("unbundle {}", directory.display()))?;
        }
        Ok(0)
    }
}

fn unbundle(directory: &Path) -> Result<()> {
    let directory = directory.canonicalize()?;
    let bytes =
        std::fs::read(directory.join(RECORD)).with(|| format!("read {RECORD}, which says that forno made it"))?;
    let record: Record = serde_json::from_slice(&bytes).with(|| format!("parse {RECORD}"))?;
    remove(&Store::open(&record.store)?, &directory)
}
