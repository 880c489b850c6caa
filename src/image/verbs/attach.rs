//! `forno attach`: the standard streams of a running container.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::container::attach::{self, Options, Outcome};
use crate::image::container::channel::{self, Request};
use crate::image::container::launch;
use crate::image::container::state::Status;
use clap::Args;
use std::os::fd::AsFd;

#[derive(Debug, Args)]
pub(super) struct Attach {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Do not attach standard input
    #[arg(long)]
    no_stdin: bool,
    /// Give the container the signals that we get
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true,
          action = clap::ArgAction::Set)]
    sig_proxy: bool,
    /// The keys that leave the container running
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
}

impl Verb for Attach {
    const NAME: &'static str = "attach";
    const ABOUT: &'static str = "Attach to a running container";

    fn run(self, forno: &Forno) -> Result<u8> {
        let container = forno.store()?.container(&self.container)?;
        let config = container.config()?;
        match container.state()?.status {
            Status::Running => {}
            Status::Paused => bail!("container {} is paused; forno unpause lets it go on", self.container),
            _ => bail!("container {} is not running; forno start -a starts it", self.container),
        }
        let Some(supervisor) = launch::connect(&container, true)? else {
            bail!("container {} has lost its supervisor, and with it its streams", self.container);
        };
        let options = Options {
            stdin: config.stdin && !self.no_stdin,
            terminal: config.terminal,
            signals: self.sig_proxy && !config.terminal,
            detach_keys: attach::parse_keys(&self.detach_keys)?,
        };
        if let (true, Some((rows, columns))) = (config.terminal, attach::terminal_size()) {
            // Twice, of different sizes: what draws on the terminal then draws all of it.
            for columns in [columns.saturating_add(1), columns] {
                channel::send(supervisor.as_fd(), &Request::Resize { rows, columns })?;
            }
        }
        match attach::attach(&supervisor, &options, true)? {
            Outcome::Ended(code) => Ok(code),
            Outcome::Detached => Ok(0),
        }
    }
}
