//! `forno create`: makes a container of an image, to be started later.

use super::options::ContainerArgs;
use super::remote;
use super::{Forno, Verb};
use crate::error::{Context, Result};
use crate::image::container::Container;
use crate::image::container::create::{self, Options};
use crate::image::plan::platform;
use crate::image::store::{Image, Store};
use clap::Args;
use std::path::Path;

#[derive(Debug, Args)]
// docker's -h is the host name here.
#[command(disable_help_flag = true)]
pub(super) struct Create {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    container: ContainerArgs,
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const ABOUT: &'static str = "Make a container of an image";

    fn run(self, forno: &Forno) -> Result<u8> {
        let make = || -> Result<Container> {
            let store = forno.store()?;
            let options = self.container.options(&store)?;
            let image = image_for(forno, &store, &self.container)?;
            make(&store, &image, options, self.container.cidfile.as_deref())
        };
        let container = make().map_err(|error| error.exit(125))?;
        forno.print(&format!("{}\n", container.id()))?;
        Ok(0)
    }
}

/// The image that was asked for, from its registry where that is wanted.
pub(super) fn image_for(_forno: &Forno, store: &Store, asked: &ContainerArgs) -> Result<Image> {
    let platform = asked.platform.as_deref().map(platform::parse).transpose()?;
    let lease = store.lease()?;
    remote::obtain(store, &lease, asked.image(), asked.pull, platform.as_ref(), asked.quiet)
        .map_err(|error| error.exit(125))
}

/// Makes the container, and the file with its id where one is wanted.
pub(super) fn make(store: &Store, image: &Image, options: Options, cidfile: Option<&Path>) -> Result<Container> {
    let file = cidfile.map(|path| {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
        file.with(|| format!("--cidfile {}", path.display()))
    });
    let file = file.transpose()?;
    let made = create::create(store, image, options);
    match (&made, file, cidfile) {
        (Ok(container), Some(mut file), Some(path)) => {
            use std::io::Write;
            file.write_all(container.id().as_bytes()).with(|| format!("--cidfile {}", path.display()))?;
        }
        // An empty file would look like a container without an id.
        (Err(_), Some(_), Some(path)) => drop(std::fs::remove_file(path)),
        _ => {}
    }
    made
}
