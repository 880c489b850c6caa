//! Ctrl-C, and other ways to be asked to stop. The signals stay pending, so that every thread sees them in its own time.

use crate::error::{Context, Error, Result};
use crate::sys::poll::{Interest, poll};
use crate::sys::process::{self, SIGHUP, SIGINT, SIGTERM, Signals};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub struct Interrupt {
    signals: OwnedFd,
}

impl Interrupt {
    /// From now on these signals end nothing by themselves. To be called before any thread is made.
    pub fn catch() -> Result<Interrupt> {
        let signals = Signals::of(&[SIGHUP, SIGINT, SIGTERM]);
        process::block(&signals).context("block signals")?;
        Ok(Interrupt { signals: process::signalfd(&signals).context("make a signalfd")? })
    }

    fn pending(&self) -> bool {
        process::is_readable(self.signals.as_fd()).unwrap_or(false)
    }

    /// An error where somebody wants us to stop.
    pub fn check(&self) -> Result<()> {
        if self.pending() { Err(self.error()) } else { Ok(()) }
    }

    /// With the exit code that a shell would show.
    pub fn error(&self) -> Error {
        Error::new("interrupted").exit(130)
    }

    /// Waits until `fd` is ready, or somebody wants us to stop: whether `fd` is.
    pub fn wait(&self, fd: BorrowedFd) -> Result<bool> {
        loop {
            let ready = poll([Some((fd, Interest::Read)), Some((self.signals.as_fd(), Interest::Read))]);
            let [ready, signal] = ready.context("poll")?;
            if ready || signal {
                return Ok(ready);
            }
        }
    }
}
