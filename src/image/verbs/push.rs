//! `forno push`: an image goes to a registry.

use super::remote::TransferArgs;
use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::reference::Reference;
use crate::image::registry::progress::Progress;
use crate::image::registry::{self, Compressor};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Push {
    /// The image: its name, or what else it is called here
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Its name in the registry, where that is another one
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<Reference>,
    /// Every tag that the repository has here
    #[arg(short, long, conflicts_with = "name")]
    all_tags: bool,
    /// How layers are compressed that are not yet
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Compressor::Gzip)]
    compression: Compressor,
    /// Write the digest in the registry to a file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<std::path::PathBuf>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    transfer: TransferArgs,
}

impl Verb for Push {
    const NAME: &'static str = "push";
    const ABOUT: &'static str = "Send an image to a registry";

    fn run(self, forno: &Forno) -> Result<u8> {
        let (store, options, progress) = (forno.store()?, self.transfer.options()?, Progress::new(self.quiet));
        let lease = store.lease()?;
        let names = if self.all_tags { self.tags(&store.images()?.0)? } else { vec![self.destination()?] };
        for name in &names {
            let source = if self.all_tags { name.familiar() } else { self.image.clone() };
            let image = store.find(&source)?;
            progress.say(&format!("The push refers to repository [{}/{}]", name.domain(), name.path()));
            let pushed = registry::push(&store, &lease, &image, name, self.compression, &options, &progress)?;
            if let Some(file) = &self.digestfile {
                use crate::error::Context;
                std::fs::write(file, pushed.digest.as_str()).with(|| format!("--digestfile {}", file.display()))?;
            }
            if !self.quiet {
                let tag = name.tag().unwrap_or_default();
                forno.print(&format!("{tag}: digest: {} size: {}\n", pushed.digest, pushed.size))?;
            }
        }
        Ok(0)
    }
}

impl Push {
    fn destination(&self) -> Result<Reference> {
        match (&self.name, self.image.parse()) {
            (Some(name), _) => Ok(name.clone()),
            (None, Ok(name)) => Ok(name),
            (None, Err(_)) => bail!("push {}: say under which name: forno push {} NAME", self.image, self.image),
        }
    }

    fn tags(&self, images: &[crate::image::store::Image]) -> Result<Vec<Reference>> {
        let asked: Reference = self.image.parse()?;
        let mut names: Vec<Reference> = images.iter().flat_map(|image| image.names.clone()).collect();
        names.retain(|name| name.familiar_name() == asked.familiar_name() && name.tag().is_some());
        names.sort();
        if names.is_empty() {
            bail!("An image does not exist locally with the tag: {}", asked.familiar_name());
        }
        Ok(names)
    }
}
