//! A container's first process where its program does not want to be it (`forno run --init`): starts the program, passes
//! signals on to it, and reaps what is left behind by others. Both programs can be it; bolo is the small and static one.

use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::event::{self, Wanted};
use crate::sys::process::{self, Signals};
use crate::sys::{session, tty};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The verb for it.
pub const VERB: &str = "init";

/// Is the first process: runs the program until it has ended; its exit code.
pub fn main(args: &[OsString]) -> Result<u8> {
    let Some((program, rest)) = args.split_first() else {
        bail!("init: no program");
    };
    process::set_signal_mask(&Signals::all()).context("block signals")?;
    let signal_fd = process::signalfd(&Signals::all()).context("make a signalfd")?;
    let child = process::unblocked(Command::new(program).args(rest).process_group(0)).spawn().map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        Error::from(error).context(format!("exec {}", program.display())).exit(code)
    })?;
    let pid = process::pid_t::try_from(child.id()).unwrap_or(0);
    // Without a terminal there is nothing to give.
    let _ = tty::set_foreground(std::io::stdin(), pid);
    loop {
        event::poll(&[Wanted { fd: signal_fd.as_fd(), read: true, write: false }], None).context("wait for signals")?;
        while let Some(signal) = process::read_signal(&signal_fd) {
            match signal {
                process::SIGCHLD => {}
                // One that has just ended needs none.
                signal => drop(process::kill(pid, signal)),
            }
        }
        while let Some((reaped, exit)) = session::reap_any() {
            if reaped == pid {
                return Ok(exit.shell_code());
            }
        }
    }
}
