//! `forno top`: the processes of a container, as the host's ps(1) tells them.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container::processes;
use clap::Args;
use std::process::Command;

#[derive(Debug, Args)]
pub(super) struct Top {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Options of ps
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Verb for Top {
    const NAME: &'static str = "top";
    const ABOUT: &'static str = "Show the processes of a container";

    fn run(self, forno: &Forno) -> Result<u8> {
        let container = forno.store()?.container(&self.container)?;
        let state = container.state()?;
        if !state.is_alive() {
            bail!("container {} is not running", self.container);
        }
        let pids: Vec<String> = processes::of(state.pid, container.id())?.iter().map(ToString::to_string).collect();
        let options = if self.options.is_empty() { vec!["-f".to_owned()] } else { self.options };
        let output = Command::new("ps").args(&options).arg("-p").arg(pids.join(",")).output().context("run ps")?;
        if !output.status.success() {
            bail!("ps: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        forno.print(&String::from_utf8_lossy(&output.stdout))?;
        Ok(0)
    }
}
