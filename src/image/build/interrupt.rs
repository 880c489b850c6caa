//! Ctrl-C, and other ways to be asked to stop. The signals stay pending, so that every thread sees them in its own time;
//! a step that fails stops the others in the same way.

use crate::error::{Context, Error, Result};
use crate::sys::poll::{Interest, poll};
use crate::sys::process::{self, SIGHUP, SIGINT, SIGTERM, Signals};
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

const SIGNALS: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

#[derive(Debug)]
pub struct Interrupt {
    signals: OwnedFd,
    /// Hung up when somebody has given up.
    ended: PipeReader,
    end: Mutex<Option<PipeWriter>>,
}

impl Interrupt {
    /// From now on these signals end nothing by themselves. To be called before any thread is made.
    pub fn catch() -> Result<Interrupt> {
        let signals = Signals::of(&SIGNALS);
        process::block(&signals).context("block signals")?;
        let (ended, end) = std::io::pipe().context("make a pipe")?;
        let signals = process::signalfd(&signals).context("make a signalfd")?;
        Ok(Interrupt { signals, ended, end: Mutex::new(Some(end)) })
    }

    /// Something has failed: nobody needs to go on.
    pub fn give_up(&self) {
        drop(self.end.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn pending(&self) -> bool {
        let readable = |fd| process::is_readable(fd).unwrap_or(false);
        readable(self.signals.as_fd()) || readable(self.ended.as_fd())
    }

    /// An error where somebody wants us to stop.
    pub fn check(&self) -> Result<()> {
        if self.pending() { Err(self.error()) } else { Ok(()) }
    }

    /// With the exit code that a shell would show.
    pub fn error(&self) -> Error {
        let signal = SIGNALS.into_iter().find(|signal| process::is_pending(*signal));
        let code = signal.and_then(|signal| u8::try_from(128 + signal).ok());
        Error::new("interrupted").exit(code.unwrap_or(1))
    }

    /// Waits until `fd` is ready, or somebody wants us to stop: whether `fd` is.
    pub fn wait(&self, fd: BorrowedFd) -> Result<bool> {
        loop {
            let ready = poll([fd, self.signals.as_fd(), self.ended.as_fd()].map(|fd| Some((fd, Interest::Read))));
            let [ready, signal, ended] = ready.context("poll")?;
            if ready || signal || ended {
                return Ok(ready);
            }
        }
    }
}
