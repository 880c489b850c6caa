//! `forno import`: a root file system becomes an image of one layer.

use super::limits::LimitArgs;
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{History, ImageConfig};
use crate::image::reference::Reference;
use crate::image::store::{Ingested, Lease, Store};
use crate::image::time;
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// A root file system: a tar archive, plain or compressed with gzip or zstd, a directory, or - for standard input
    #[arg(value_name = "ARCHIVE|DIR|-")]
    source: PathBuf,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<Reference>,
    /// Say so in the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    limits: LimitArgs,
}

impl Verb for Import {
    const NAME: &'static str = "import";
    const ABOUT: &'static str = "Make an image of a root file system";

    fn run(self, forno: &Forno) -> Result<u8> {
        if self.name.as_ref().is_some_and(|name| name.digest().is_some()) {
            bail!("a new image's name cannot have a digest");
        }
        let store = forno.store()?;
        let lease = store.lease()?;
        let epoch = time::source_date_epoch()?;
        let layer = self.layer(&store, &lease, epoch).with(|| format!("import {}", self.source.display()))?;
        for warning in &layer.applied.warnings {
            forno.warn(warning);
        }
        let created = Some(time::rfc3339(epoch.unwrap_or_else(time::now)));
        let source = if self.source == Path::new("-") { "-".into() } else { self.source.to_string_lossy() };
        let comment = self.message.unwrap_or_else(|| format!("Imported from {source}"));
        let mut config = ImageConfig { created: created.clone(), ..ImageConfig::new() };
        config.rootfs.diff_ids.push(layer.diff_id);
        config.history.push(History { created, comment: Some(comment), ..History::default() });
        let image = store.put_image(&lease, &config, vec![layer.descriptor], self.name.as_ref())?;
        forno.print(&format!("{}\n", image.id()))?;
        Ok(0)
    }
}

impl Import {
    fn layer(&self, store: &Store, lease: &Lease, epoch: Option<i64>) -> Result<Ingested> {
        let limits = self.limits.into();
        if self.source == Path::new("-") {
            return store.ingest(lease, std::io::stdin(), &[], None, limits);
        }
        if self.source.is_dir() {
            if std::fs::read_dir(&self.source).context("read")?.next().is_none() {
                bail!("nothing in it");
            }
            return match store.pack(lease, &self.source, &[], epoch)? {
                Some(layer) => Ok(layer),
                None => bail!("nothing in it"),
            };
        }
        let file = File::open(&self.source).context("open")?;
        store.ingest(lease, file, &[], None, limits)
    }
}
