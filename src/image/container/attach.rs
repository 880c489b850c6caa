//! The user's terminal, or whatever the standard streams are, and the container's: until the container ends, or the user
//! leaves it running.

use super::channel::{self, DATA_MAX, Event, Request};
use super::signals;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::event::{self, Wanted};
use crate::sys::process::{self, Signals};
use crate::sys::{Errno, fd, socket, tty};
use std::collections::VecDeque;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

pub struct Options {
    pub stdin: bool,
    pub terminal: bool,
    /// Signals to us go to the container.
    pub signals: bool,
    /// Typed in a row, they leave the container running.
    pub detach_keys: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ended(u8),
    Detached,
}

/// Ctrl-P Ctrl-Q
pub const DETACH_KEYS: [u8; 2] = [16, 17];

/// `ctrl-p,ctrl-q` or `a,b`.
pub fn parse_keys(text: &str) -> Result<Vec<u8>> {
    let key = |word: &str| -> Option<u8> {
        match word.strip_prefix("ctrl-").map(str::as_bytes) {
            Some([letter @ b'a'..=b'z']) => Some(letter - b'a' + 1),
            Some([letter @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => Some(letter - b'@'),
            Some(_) => None,
            None => match word.as_bytes() {
                [letter] => Some(*letter),
                _ => None,
            },
        }
    };
    match text.split(',').map(key).collect::<Option<Vec<u8>>>() {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => bail!("detach keys {text:?}: want letters or ctrl-LETTER, with commas between them"),
    }
}

/// docker refuses what would only look like a terminal.
pub fn require_terminal() -> Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("the input device is not a TTY");
    }
    Ok(())
}

/// The size of the terminal that standard output or input is.
pub fn terminal_size() -> Option<(u16, u16)> {
    tty::size(std::io::stdout()).or_else(|_| tty::size(std::io::stdin())).ok()
}

/// Carries everything to and fro. `started`: the container is known to run.
pub fn attach(channel: &OwnedFd, options: &Options, mut started: bool) -> Result<Outcome> {
    fd::set_nonblocking(channel).context("prepare the connection")?;
    let signals_at = options.signals || options.terminal;
    let signal_fd = if signals_at {
        process::set_signal_mask(&Signals::all()).context("block signals")?;
        Some(process::signalfd(&Signals::all()).context("make a signalfd")?)
    } else {
        None
    };
    let _raw = match options.terminal && options.stdin && std::io::stdin().is_terminal() {
        true => Some(tty::make_raw(std::io::stdin()).context("set up the terminal")?),
        false => None,
    };
    let mut user = User::new(options);
    loop {
        let input = std::io::stdin();
        let nothing = Wanted { fd: channel.as_fd(), read: false, write: false };
        let wanted = [
            Wanted { fd: channel.as_fd(), read: true, write: !user.pending.is_empty() },
            Wanted { fd: input.as_fd(), read: user.wants_input() && started, write: false },
            signal_fd.as_ref().map_or(nothing, |fd| Wanted { fd: fd.as_fd(), read: true, write: false }),
        ];
        let ready = event::poll(&wanted, None).context("wait for events")?;
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or_default();
        if is_ready(2).read {
            user.take_signals(signal_fd.as_ref(), options);
        }
        if is_ready(1).read && user.read_input()? {
            return Ok(Outcome::Detached);
        }
        user.send(channel)?;
        if is_ready(0).read {
            match channel_events(channel, &mut started)? {
                Some(Outcome::Ended(code)) => return Ok(Outcome::Ended(code)),
                Some(Outcome::Detached) | None => {}
            }
        }
    }
}

/// Shows what has come; how the container ended, when it did.
fn channel_events(channel: &OwnedFd, started: &mut bool) -> Result<Option<Outcome>> {
    loop {
        match channel::receive(channel.as_fd()) {
            Ok(Some(Event::Output(data))) => show(std::io::stdout().lock(), &data),
            Ok(Some(Event::ErrorOutput(data))) => show(std::io::stderr().lock(), &data),
            Ok(Some(Event::Started)) => *started = true,
            Ok(Some(Event::Failed { code, why })) => return Err(Error::new(why).exit(code)),
            Ok(Some(Event::Ended { code, .. })) => return Ok(Some(Outcome::Ended(code))),
            Ok(Some(Event::Done(_))) => {}
            Ok(None) => return Err(Error::new("the supervisor is gone; see forno ps -a").exit(125)),
            Err(error) if error.errno() == Some(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// A reader that has seen enough is no error, and does not stop the container.
fn show(mut out: impl Write, data: &[u8]) {
    let _ = out.write_all(data).and_then(|()| out.flush());
}

/// What comes from the user.
struct User<'a> {
    open: bool,
    keys: &'a [u8],
    /// How many of the keys that detach have been typed.
    typed: usize,
    pending: VecDeque<Request>,
}

impl<'a> User<'a> {
    fn new(options: &'a Options) -> User<'a> {
        let keys: &[u8] = if options.terminal { &options.detach_keys } else { &[] };
        User { open: options.stdin, keys, typed: 0, pending: VecDeque::new() }
    }

    fn wants_input(&self) -> bool {
        self.open && self.pending.is_empty()
    }

    /// Whether the user wants to leave.
    fn read_input(&mut self) -> Result<bool> {
        let mut buffer = vec![0; DATA_MAX];
        match std::io::stdin().lock().read(&mut buffer) {
            Ok(0) => {
                self.open = false;
                self.pending.push_back(Request::InputEnd);
                Ok(false)
            }
            Ok(count) => {
                let mut data = Vec::with_capacity(count + self.keys.len());
                for byte in buffer.get(..count).unwrap_or_default() {
                    if self.typed_key(*byte, &mut data) {
                        return Ok(true);
                    }
                }
                if !data.is_empty() {
                    self.pending.push_back(Request::Input(data));
                }
                Ok(false)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(false),
            // In the background of its shell, say.
            Err(_) => {
                self.open = false;
                Ok(false)
            }
        }
    }

    fn typed_key(&mut self, byte: u8, data: &mut Vec<u8>) -> bool {
        if self.keys.get(self.typed) == Some(&byte) {
            self.typed += 1;
            return self.typed == self.keys.len();
        }
        data.extend_from_slice(self.keys.get(..self.typed).unwrap_or_default());
        self.typed = 0;
        if self.keys.first() == Some(&byte) {
            self.typed = 1;
            return self.keys.len() == 1;
        }
        data.push(byte);
        false
    }

    fn take_signals(&mut self, from: Option<&OwnedFd>, options: &Options) {
        while let Some(signal) = from.and_then(process::read_signal) {
            match signal {
                signals::WINCH => {
                    if let (true, Some((rows, columns))) = (options.terminal, terminal_size()) {
                        self.pending.push_back(Request::Resize { rows, columns });
                    }
                }
                // These are about us and our children.
                signals::CHLD | signals::CONT | signals::PIPE | signals::URG => {}
                signal if options.signals => {
                    self.pending.push_back(Request::Signal { signal, stop: false });
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, channel: &OwnedFd) -> Result<()> {
        while let Some(request) = self.pending.front() {
            match socket::send(channel.as_fd(), &request.encode(), &[]) {
                Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => drop(self.pending.pop_front()),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno).context("write to the supervisor"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(parse_keys("ctrl-p,ctrl-q").unwrap(), DETACH_KEYS);
        assert_eq!(parse_keys("a,ctrl-[").unwrap(), [b'a', 27]);
        for text in ["", "ctrl-", "ctrl-pp", "ab", "a,,b"] {
            assert!(parse_keys(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_only_begins_like_the_keys_goes_through() {
        let options = Options { stdin: true, terminal: true, signals: false, detach_keys: DETACH_KEYS.to_vec() };
        let mut user = User::new(&options);
        let mut data = Vec::new();
        for byte in [b'a', 16, b'b', 16, 16] {
            assert!(!user.typed_key(byte, &mut data));
        }
        assert_eq!(data, [b'a', 16, b'b', 16]);
        assert!(user.typed_key(17, &mut data));
    }
}
