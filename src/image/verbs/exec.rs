//! `forno exec`: another process in a running container.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container::exec::{self, Exec as Process, Prepared};
use crate::image::container::runtime::Runtime;
use crate::image::container::state::Status;
use crate::image::container::{Container, attach, console, signals};
use crate::sys::event::{self, Wanted};
use crate::sys::process::{self, Exit, Signals, pid_t};
use crate::sys::{session, tty};
use clap::Args;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;

#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set a variable; NAME alone takes the value from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,
    /// The user, and group: names or numbers
    #[arg(short, long, value_name = "USER[:GROUP]", default_value = "")]
    user: String,
    /// The working directory
    #[arg(short, long, value_name = "DIR", default_value = "")]
    workdir: String,
    /// With every capability
    #[arg(long)]
    privileged: bool,
    /// The container, and what to run in it
    #[arg(value_name = "CONTAINER COMMAND [ARG...]", required = true, num_args = 2.., trailing_var_arg = true)]
    container_and_command: Vec<String>,
}

impl Verb for Exec {
    const NAME: &'static str = "exec";
    const ABOUT: &'static str = "Run a command in a running container";

    fn run(self, forno: &Forno) -> Result<u8> {
        let Some((name, args)) = self.container_and_command.split_first() else {
            bail!("no container");
        };
        if self.tty && self.interactive {
            attach::require_terminal()?;
        }
        let store = forno.store()?;
        let container = store.container(name)?;
        let config = container.config()?;
        match container.state()?.status {
            Status::Running => {}
            Status::Paused => bail!("container {name} is paused; forno unpause lets it go on"),
            _ => bail!("container {name} is not running"),
        }
        let process = Process {
            args: args.to_vec(),
            env: self.environment()?,
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            terminal: self.tty,
            privileged: self.privileged,
        };
        let runtime = Runtime::new(&forno.runtime(), &container);
        let prepared = exec::prepare(&runtime, &container, &process, &config)?;
        if self.tty && !self.detach {
            return self.with_terminal(&runtime, &container, prepared);
        }
        self.plain(&runtime, &container, prepared)
    }
}

impl Exec {
    fn environment(&self) -> Result<Vec<String>> {
        let mut env = Vec::new();
        for file in &self.env_file {
            env.extend(super::options::values::lines_of(file).with(|| format!("--env-file {}", file.display()))?);
        }
        env.extend(self.env.iter().cloned());
        let filled = env.into_iter().filter_map(|entry| match entry.contains('=') {
            true => Some(entry),
            false => std::env::var(&entry).ok().map(|value| format!("{entry}={value}")),
        });
        Ok(filled.collect())
    }

    /// With our own standard streams.
    fn plain(&self, runtime: &Runtime, container: &Container, mut prepared: Prepared) -> Result<u8> {
        let command = &mut prepared.command;
        if self.detach {
            command.arg("--detach").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        } else if !self.interactive {
            command.stdin(Stdio::null());
        }
        prepared.finish(container);
        let status = prepared.command.status().map_err(|error| runtime.not_run(error))?;
        use std::os::unix::process::ExitStatusExt;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        match runtime.error_in(&prepared.said(), "exec") {
            Some(error) if code != 0 => Err(error),
            _ => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        }
    }

    /// The process is a child of ours, so that its exit code is known, and we carry between the two terminals.
    fn with_terminal(&self, runtime: &Runtime, container: &Container, mut prepared: Prepared) -> Result<u8> {
        process::set_child_subreaper().context("become subreaper")?;
        process::set_signal_mask(&Signals::all()).context("block signals")?;
        let signal_fd = process::signalfd(&Signals::all()).context("make a signalfd")?;
        let socket = console::Console::listen(container.directory())?;
        let pid_file = container.directory().join(format!("exec-pid.{}", std::process::id()));
        prepared.command.args(["--detach", "--console-socket", &socket.path()]).arg("--pid-file").arg(&pid_file);
        prepared.finish(container);
        prepared.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = prepared.command.status().map_err(|error| runtime.not_run(error))?;
        let pid = std::fs::read_to_string(&pid_file);
        let _ = std::fs::remove_file(&pid_file);
        if !status.success() {
            return Err(runtime
                .error_in(&prepared.said(), "exec")
                .unwrap_or_else(|| crate::error::Error::new(format!("the runtime's exec: {status}")).exit(126)));
        }
        let pid: pid_t = pid.context("read the process's pid")?.trim().parse().unwrap_or(0);
        let terminal = File::from(socket.receive_master()?);
        let exit = self.relay(&terminal, &signal_fd, pid)?;
        Ok(exit.shell_code())
    }

    fn relay(&self, terminal: &File, signal_fd: &std::os::fd::OwnedFd, pid: pid_t) -> Result<Exit> {
        let resize = || {
            if let Some((rows, columns)) = attach::terminal_size() {
                // A size that cannot be set is the one that it had.
                let _ = tty::set_size(terminal, rows, columns);
            }
        };
        resize();
        let _raw = match self.interactive {
            true => Some(tty::make_raw(std::io::stdin()).context("set up the terminal")?),
            false => None,
        };
        let (mut open, mut input_open) = (true, self.interactive);
        let mut ended = None;
        loop {
            let stdin = std::io::stdin();
            let wanted = [
                Wanted { fd: signal_fd.as_fd(), read: ended.is_none(), write: false },
                Wanted { fd: terminal.as_fd(), read: open, write: false },
                Wanted { fd: stdin.as_fd(), read: input_open, write: false },
            ];
            let ready = event::poll(&wanted, None).context("wait for events")?;
            let is_ready = |at: usize| ready.get(at).is_some_and(|ready| ready.read);
            if is_ready(1) {
                open = carry(terminal, &mut std::io::stdout().lock());
            }
            if is_ready(2) {
                input_open = carry(&mut stdin.lock(), &mut &*terminal);
            }
            if is_ready(0) {
                while let Some(signal) = process::read_signal(signal_fd) {
                    if signal == signals::WINCH {
                        resize();
                    }
                }
                while let Some((reaped, exit)) = session::reap_any() {
                    if reaped == pid {
                        ended = Some(exit);
                    }
                }
            }
            if let (Some(exit), false) = (ended, open) {
                return Ok(exit);
            }
        }
    }
}

/// Carries what there is; `false`: there will be no more.
fn carry(mut from: impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default()).and_then(|()| to.flush()).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::Interrupted,
    }
}
