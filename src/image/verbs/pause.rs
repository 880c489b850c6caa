//! `forno pause` and `forno unpause`.

use super::each::each;
use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::container::channel::{self, Request};
use crate::image::container::launch;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Pause {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Unpause {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Pause {
    const NAME: &'static str = "pause";
    const ABOUT: &'static str = "Freeze the processes of containers";

    fn run(self, forno: &Forno) -> Result<u8> {
        ask(forno, &self.containers, &Request::Pause)
    }
}

impl Verb for Unpause {
    const NAME: &'static str = "unpause";
    const ABOUT: &'static str = "Let the processes of containers go on";

    fn run(self, forno: &Forno) -> Result<u8> {
        ask(forno, &self.containers, &Request::Resume)
    }
}

fn ask(forno: &Forno, containers: &[String], request: &Request) -> Result<u8> {
    each(forno, &forno.store()?, containers, |container| match launch::connect(container, false)? {
        Some(supervisor) => channel::ask(&supervisor, request),
        None => bail!("container {} is not running", container.short_id()),
    })
}
