//! Waiting for a program in the foreground: signals go on to it, its terminal is ours.

use super::notify::Relay;
use crate::error::{Context, Result};
use crate::sys::poll::{Interest, poll};
use crate::sys::process::{self, SIGCHLD, SIGURG, SIGWINCH, pid_t};
use crate::sys::{Errno, fd, tty};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
/// Every signal, to be read instead of suffered.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Before the child is made, so that none gets lost. `subreaper`: orphans of the container become our children.
    pub fn take(subreaper: bool) -> Result<Signals> {
        process::block_all_signals().context("block signals")?;
        if subreaper {
            process::set_child_subreaper().context("become a subreaper")?;
        }
        process::signalfd(&process::Signals::all()).context("make a signalfd").map(Signals)
    }
}

/// Rows and columns of our own terminal. The container's has them before its program can ask.
pub fn terminal_size() -> Option<(u16, u16)> {
    tty::size(std::io::stdin()).or_else(|_| tty::size(std::io::stdout())).ok()
}

/// Until the process ends: its exit code, 128 + the signal where one ended it.
pub fn attend(
    signals: Signals,
    pid: pid_t,
    pidfd: &OwnedFd,
    terminal: Option<OwnedFd>,
    mut notify: Option<Relay>,
) -> Result<u8> {
    let mut terminal = terminal.map(Terminal::new).transpose()?;
    loop {
        let relay = terminal.as_ref().map_or([None; 3], Terminal::interests);
        let said = notify.as_ref().and_then(Relay::waiting);
        let [signal, exit, said, input, output, room] = poll([
            Some((signals.0.as_fd(), Interest::Read)),
            Some((pidfd.as_fd(), Interest::Read)),
            said.map(|said| (said, Interest::Read)),
            relay[0],
            relay[1],
            relay[2],
        ])
        .context("wait for the container")?;
        if signal {
            while let Some(signal) = process::read_signal(&signals.0) {
                forward(signal, pid, pidfd, terminal.as_ref());
            }
        }
        if said && let Some(notify) = &mut notify {
            // It is we whom the manager watches: we end as the program does. A manager that is gone is no reason to end.
            let _ = notify.pass_on(std::process::id() as pid_t);
        }
        if let Some(terminal) = &mut terminal {
            terminal.relay(input, output, room);
        }
        if exit {
            let exit = process::wait(pid).context("wait for the container")?;
            if let Some(terminal) = &mut terminal {
                terminal.drain();
            }
            return Ok(exit.shell_code());
        }
    }
}

fn forward(signal: i32, pid: pid_t, pidfd: &OwnedFd, terminal: Option<&Terminal>) {
    match signal {
        SIGCHLD => process::reap_all_but(pid),
        SIGWINCH => {
            if let Some(terminal) = terminal {
                terminal.take_size();
            }
        }
        // Go's own in runc, and nothing that a user means.
        SIGURG => {}
        // Gone: then we hear of it in a moment.
        signal => drop(process::pidfd_send_signal(pidfd, signal)),
    }
}

/// The container's terminal between ours and its master.
#[derive(Debug)]
struct Terminal {
    master: OwnedFd,
    /// What was typed and the container has not read yet.
    typed: Vec<u8>,
    input_open: bool,
    output_open: bool,
    _raw: Option<tty::Raw>,
}

const CHUNK: usize = 4096;

impl Terminal {
    fn new(master: OwnedFd) -> Result<Terminal> {
        tty::clear_onlcr(&master).context("set up the terminal")?;
        fd::set_nonblocking(&master).context("set up the terminal")?;
        let raw = tty::make_raw(std::io::stdin()).ok();
        let terminal = Terminal { master, typed: Vec::new(), input_open: true, output_open: true, _raw: raw };
        terminal.take_size();
        Ok(terminal)
    }

    /// Ours is the size of the container's.
    fn take_size(&self) {
        // Without a terminal of our own there is no size to take.
        if let Some((rows, columns)) = terminal_size() {
            let _ = tty::set_size(&self.master, rows, columns);
        }
    }

    /// Our input, the container's output, room for its input.
    fn interests(&self) -> [Option<(BorrowedFd<'_>, Interest)>; 3] {
        let stdin = fd::borrow(0).ok().filter(|_| self.input_open && self.typed.is_empty());
        let master = self.master.as_fd();
        [
            stdin.map(|stdin| (stdin, Interest::Read)),
            self.output_open.then_some((master, Interest::Read)),
            (!self.typed.is_empty()).then_some((master, Interest::Write)),
        ]
    }

    fn relay(&mut self, input: bool, output: bool, room: bool) {
        if input {
            let mut buffer = [0; CHUNK];
            match nix::unistd::read(std::io::stdin(), &mut buffer) {
                Ok(count) if count > 0 => self.typed.extend_from_slice(&buffer[..count]),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                _ => self.input_open = false,
            }
        }
        if room || input {
            match nix::unistd::write(&self.master, &self.typed) {
                Ok(count) => drop(self.typed.drain(..count)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => self.typed.clear(),
            }
        }
        if output {
            self.output();
        }
    }

    /// Whether there was something.
    fn output(&mut self) -> bool {
        let mut buffer = [0; CHUNK];
        match nix::unistd::read(&self.master, &mut buffer) {
            Ok(count) if count > 0 => {
                // Whoever closed our output does not want it.
                let _ = fd::write_all(std::io::stdout(), &buffer[..count]);
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            // EIO: nobody has the other end open (pty(7)). It may be opened again; while the container lives we look at
            // the process, not at this.
            _ => {
                self.output_open = false;
                false
            }
        }
    }

    fn drain(&mut self) {
        while self.output() {}
    }
}
