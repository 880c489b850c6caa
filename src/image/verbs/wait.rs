//! `forno wait`: waits until containers have ended, and prints their exit codes.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::end;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Wait {
    const NAME: &'static str = "wait";
    const ABOUT: &'static str = "Wait until containers have ended, and print their exit codes";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let mut code = 0;
        for name in &self.containers {
            match store.container(name).and_then(|container| end::wait(&container)) {
                Ok(exit) => forno.print(&format!("{exit}\n"))?,
                Err(error) => {
                    forno.complain(&error);
                    code = 1;
                }
            }
        }
        Ok(code)
    }
}
