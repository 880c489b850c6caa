//! What a supervisor and those who are connected to it say to each other: datagrams in order (SOCK_SEQPACKET), each a
//! letter and what belongs to it.

use crate::bail;
use crate::error::{Context, Result};
use crate::sys::{Errno, socket};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of a container's output or input in one datagram.
pub const DATA_MAX: usize = 16 << 10;

/// To the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The first one: whether the output is wanted.
    Hello {
        output: bool,
    },
    Input(Vec<u8>),
    /// There is no more input from here.
    InputEnd,
    Resize {
        rows: u16,
        columns: u16,
    },
    /// Sends a signal to the first process. `stop`: no restart policy starts the container again.
    Signal {
        signal: i32,
        stop: bool,
    },
    Pause,
    Resume,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Started,
    /// It could not be started: the exit code for forno, and why.
    Failed {
        code: u8,
        why: String,
    },
    Output(Vec<u8>),
    ErrorOutput(Vec<u8>),
    /// The container has ended; `last`: it is not started again.
    Ended {
        code: u8,
        last: bool,
    },
    /// What was asked for is done, or why not.
    Done(Option<String>),
}

impl Request {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Request::Hello { output } => vec![b'h', u8::from(*output)],
            Request::Input(data) => letter_and(b'i', data),
            Request::InputEnd => vec![b'e'],
            Request::Resize { rows, columns } => {
                letter_and(b'w', &[rows.to_be_bytes(), columns.to_be_bytes()].concat())
            }
            Request::Signal { signal, stop } => vec![b'k', u8::try_from(*signal).unwrap_or(0), u8::from(*stop)],
            Request::Pause => vec![b'p'],
            Request::Resume => vec![b'r'],
        }
    }

    /// `None`: from a newer forno.
    pub fn decode(bytes: &[u8]) -> Option<Request> {
        let (letter, rest) = bytes.split_first()?;
        Some(match (letter, rest) {
            (b'h', [output]) => Request::Hello { output: *output != 0 },
            (b'i', data) => Request::Input(data.to_vec()),
            (b'e', []) => Request::InputEnd,
            (b'w', &[a, b, c, d]) => {
                Request::Resize { rows: u16::from_be_bytes([a, b]), columns: u16::from_be_bytes([c, d]) }
            }
            (b'k', &[signal, stop]) => Request::Signal { signal: signal.into(), stop: stop != 0 },
            (b'p', []) => Request::Pause,
            (b'r', []) => Request::Resume,
            _ => return None,
        })
    }
}

impl Event {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Event::Started => vec![b's'],
            Event::Failed { code, why } => letter_and(b'f', &letter_and(*code, why.as_bytes())),
            Event::Output(data) => letter_and(b'o', data),
            Event::ErrorOutput(data) => letter_and(b'E', data),
            Event::Ended { code, last } => vec![b'x', *code, u8::from(*last)],
            Event::Done(why) => letter_and(b'd', why.as_deref().unwrap_or_default().as_bytes()),
        }
    }

    pub fn decode(bytes: &[u8]) -> Option<Event> {
        let (letter, rest) = bytes.split_first()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(match (letter, rest) {
            (b's', []) => Event::Started,
            (b'f', [code, why @ ..]) => Event::Failed { code: *code, why: text(why) },
            (b'o', data) => Event::Output(data.to_vec()),
            (b'E', data) => Event::ErrorOutput(data.to_vec()),
            (b'x', [code, last]) => Event::Ended { code: *code, last: *last != 0 },
            (b'd', why) => Event::Done((!why.is_empty()).then(|| text(why))),
            _ => return None,
        })
    }
}

fn letter_and(letter: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rest.len() + 1);
    bytes.push(letter);
    bytes.extend_from_slice(rest);
    bytes
}

pub fn send(to: BorrowedFd, request: &Request) -> Result<()> {
    match socket::send(to, &request.encode(), &[]) {
        // Who ended meanwhile needs nothing any more; its last words are still to be read.
        Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        result => result.context("write to the supervisor"),
    }
}

/// The next event; `None` when the supervisor is gone. Waits for it where the descriptor does.
pub fn receive(from: BorrowedFd) -> Result<Option<Event>> {
    let mut buffer = vec![0; DATA_MAX + 1];
    loop {
        match socket::receive(from, &mut buffer) {
            Ok((0, _)) | Err(Errno::ECONNRESET) => return Ok(None),
            Ok((count, _)) => {
                if let Some(event) = Event::decode(buffer.get(..count).unwrap_or_default()) {
                    return Ok(Some(event));
                }
            }
            Err(errno) => return Err(errno).context("read from the supervisor"),
        }
    }
}

/// Asks for something and waits until it is done. Other events may come before.
pub fn ask(supervisor: &impl AsFd, request: &Request) -> Result<()> {
    send(supervisor.as_fd(), request)?;
    loop {
        match receive(supervisor.as_fd())? {
            Some(Event::Done(None)) => return Ok(()),
            Some(Event::Done(Some(why))) => bail!("{why}"),
            Some(_) => {}
            None => bail!("the container has ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_received() {
        for request in [
            Request::Hello { output: true },
            Request::Input(b"x\0y".to_vec()),
            Request::InputEnd,
            Request::Resize { rows: 24, columns: 300 },
            Request::Signal { signal: 15, stop: true },
            Request::Pause,
            Request::Resume,
        ] {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
        for event in [
            Event::Started,
            Event::Failed { code: 127, why: "no such file".to_owned() },
            Event::Output(Vec::new()),
            Event::ErrorOutput(b"e".to_vec()),
            Event::Ended { code: 137, last: false },
            Event::Done(None),
            Event::Done(Some("no".to_owned())),
        ] {
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
        assert_eq!(Request::decode(b""), None);
        assert_eq!(Request::decode(b"w\0"), None);
        assert_eq!(Event::decode(b"?"), None);
    }
}
