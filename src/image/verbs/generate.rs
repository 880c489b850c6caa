//! `forno generate systemd`: units that start containers when the machine starts.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use clap::{Args, Subcommand};
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Generate {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a systemd unit that starts a container at boot; without one, all whose restart policy wants it
    Systemd {
        /// Call the container by its name, not by its id
        #[arg(short, long)]
        name: bool,
        /// Write the unit to a file here, instead of to standard output
        #[arg(short, long)]
        files: bool,
        /// A name or an id
        #[arg(value_name = "CONTAINER")]
        container: Option<String>,
    },
}

impl Verb for Generate {
    const NAME: &'static str = "generate";
    const ABOUT: &'static str = "Write systemd units";

    fn run(self, forno: &Forno) -> Result<u8> {
        let Action::Systemd { name, files, container } = self.action;
        let store = forno.store()?;
        let program = std::env::current_exe().context("find this program")?;
        let call = [program.display().to_string(), "--root".to_owned(), store.path().display().to_string()];
        let runtime = std::path::absolute(forno.runtime()).context("find the runtime")?;
        let mut call = call.map(|word| quoted(&word)).join(" ");
        if runtime.exists() {
            let _ = write!(call, " --runtime {}", quoted(&runtime.display().to_string()));
        }
        let (unit, text) = match container {
            Some(text) => {
                let found = store.container(&text)?;
                let config = found.config()?;
                if config.auto_remove {
                    bail!("container {text} is removed when it ends: there is nothing to start at boot");
                }
                let called = if name { config.name.clone() } else { config.id.clone() };
                let grace = u64::try_from(config.stop_timeout).unwrap_or(86_400).saturating_add(20);
                (format!("container-{called}.service"), of_one(&call, &called, grace, store.path()))
            }
            None => ("forno-restart.service".to_owned(), of_all(&call, store.path())),
        };
        if files {
            std::fs::write(&unit, text).with(|| format!("write {unit}"))?;
            forno.print(&format!("{}\n", std::path::absolute(&unit).context("path")?.display()))?;
        } else {
            forno.print(&format!("# {unit}\n{text}"))?;
        }
        Ok(0)
    }
}

/// As systemd.service(5) reads a word of a command line.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-:+@".contains(&byte);
    match word.bytes().all(plain) {
        true => word.to_owned(),
        false => {
            format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
        }
    }
}

fn head(what: &str, store: &std::path::Path) -> String {
    format!(
        "[Unit]\nDescription={what}\nWants=network-online.target\nAfter=network-online.target\nRequiresMountsFor={}\n\n",
        quoted(&store.display().to_string())
    )
}

const INSTALL: &str = "\n[Install]\nWantedBy=multi-user.target\n";

/// The supervisor is the service's main process. It starts the container again itself; systemd does when it was killed.
fn of_one(call: &str, name: &str, grace: u64, store: &std::path::Path) -> String {
    let mut text = head(&format!("Container {name}"), store);
    let _ = write!(
        text,
        "[Service]\nType=forking\nRestart=on-failure\nTimeoutStopSec={grace}\nExecStartPre=-{call} stop {name}\n\
         ExecStart={call} start {name}\nExecStop={call} stop {name}\nKillMode=process\n"
    );
    text + INSTALL
}

fn of_all(call: &str, store: &std::path::Path) -> String {
    let mut text = head("Containers that are started at boot", store);
    let _ = write!(
        text,
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={call} start --boot\nExecStop={call} stop --all\n\
         KillMode=process\nTimeoutStopSec=120\n"
    );
    text + INSTALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_systemd() {
        assert_eq!(quoted("/usr/bin/forno"), "/usr/bin/forno");
        assert_eq!(quoted("/a b/100%"), "\"/a b/100%%\"");
    }
}
