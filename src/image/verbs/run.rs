//! `forno run`: makes a container of an image and starts it.

use super::create::{self, image_for};
use super::options::ContainerArgs;
use super::{Forno, Verb};
use crate::error::{Error, Result};
use crate::image::container::attach::{self, Options, Outcome};
use crate::image::container::{launch, remove};
use clap::Args;

#[derive(Debug, Args)]
// docker's -h is the host name here.
#[command(disable_help_flag = true)]
pub(super) struct Run {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Run in the background, and print the container's id
    #[arg(short, long)]
    detach: bool,
    /// The keys that leave the container running: letters or ctrl-LETTER
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
    /// Give the container the signals that we get
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true,
          action = clap::ArgAction::Set)]
    sig_proxy: bool,
    #[command(flatten)]
    container: ContainerArgs,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const ABOUT: &'static str = "Make and start a container of an image";

    fn run(self, forno: &Forno) -> Result<u8> {
        self.start(forno).map_err(|error| match error.exit_code() {
            1 => error.exit(125),
            _ => error,
        })
    }
}

impl Run {
    fn start(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let mut wanted = self.container.options(&store)?;
        let streams: Vec<&str> = self.container.attach.iter().map(String::as_str).collect();
        let asks = |name: &str| streams.is_empty() || streams.iter().any(|stream| stream.eq_ignore_ascii_case(name));
        if self.detach && !streams.is_empty() {
            return Err(Error::new("Conflicting options: -a and -d").exit(125));
        }
        let options = Options {
            stdin: !self.detach && self.container.interactive && asks("stdin"),
            terminal: self.container.tty,
            signals: self.sig_proxy && !self.container.tty,
            detach_keys: attach::parse_keys(&self.detach_keys)?,
        };
        if options.stdin && options.terminal {
            attach::require_terminal()?;
        }
        wanted.config.stdin = self.container.interactive;
        let image = image_for(forno, &store, &self.container)?;
        let container = create::make(&store, &image, wanted, self.container.cidfile.as_deref())?;
        let size = if self.container.tty { attach::terminal_size() } else { None };
        let runtime = forno.runtime();
        let outcome = launch::launch(&store, &container, &runtime, !self.detach, size).and_then(|channel| {
            if self.detach {
                launch::wait_until_started(&channel)?;
                return Ok(Outcome::Detached);
            }
            attach::attach(&channel, &options, false)
        });
        match outcome {
            Ok(Outcome::Ended(code)) => Ok(code),
            Ok(Outcome::Detached) => {
                if self.detach {
                    forno.print(&format!("{}\n", container.id()))?;
                }
                Ok(0)
            }
            Err(error) => {
                // One that never ran; its supervisor has removed it, if there was one.
                if let (true, Ok(config)) = (self.container.rm, container.config()) {
                    remove::remove(&store, &container, &config, true)?;
                }
                Err(error)
            }
        }
    }
}
