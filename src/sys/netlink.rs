//! Netlink (netlink(7)): messages of attributes, and the sockets that carry them. What they mean is the caller's business.

use super::{Errno, Result};
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

pub const NLM_F_ACK: u16 = libc::NLM_F_ACK as u16;
pub const NLM_F_CREATE: u16 = libc::NLM_F_CREATE as u16;
pub const NLM_F_EXCL: u16 = libc::NLM_F_EXCL as u16;
pub const NLM_F_DUMP: u16 = libc::NLM_F_DUMP as u16;
pub const NLM_F_APPEND: u16 = libc::NLM_F_APPEND as u16;
const NLM_F_REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const NLA_F_NESTED: u16 = libc::NLA_F_NESTED as u16;
const NLA_TYPE_MASK: u16 = libc::NLA_TYPE_MASK as u16;
const HEADER_LEN: usize = 16;
const ATTRIBUTE_LEN: usize = 4;
/// The kernel's dumps come in pieces of 32 KiB at most.
const BUFFER: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// rtnetlink(7): links, addresses, routes.
    Route,
    /// Packet filters.
    Netfilter,
}

/// A message being written: header, a structure that its type has, attributes.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// `body` is the structure behind the header, whose length is a multiple of four.
    pub fn new(kind: u16, flags: u16, body: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(body);
        Message { bytes }
    }

    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Message {
        self.push(kind, value);
        self
    }

    /// A number in the machine's order.
    #[must_use]
    pub fn with_u32(self, kind: u16, value: u32) -> Message {
        self.with(kind, &value.to_ne_bytes())
    }

    /// A number in the network's order.
    #[must_use]
    pub fn with_be32(self, kind: u16, value: u32) -> Message {
        self.with(kind, &value.to_be_bytes())
    }

    /// With a zero at its end.
    #[must_use]
    pub fn with_str(self, kind: u16, text: &str) -> Message {
        self.with(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// An attribute of attributes.
    #[must_use]
    pub fn nest(self, kind: u16, inside: impl FnOnce(Message) -> Message) -> Message {
        self.nest_with_body(kind, &[], inside)
    }

    /// An attribute of attributes behind a structure.
    #[must_use]
    pub fn nest_with_body(mut self, kind: u16, body: &[u8], inside: impl FnOnce(Message) -> Message) -> Message {
        let start = self.bytes.len();
        self.push(kind | NLA_F_NESTED, body);
        self = inside(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(ATTRIBUTE_LEN + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn flags(&self) -> u16 {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]])
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub kind: u16,
    /// What is behind the header.
    pub payload: Vec<u8>,
}

impl Answer {
    /// The attributes behind a structure of `body` bytes.
    pub fn attributes(&self, body: usize) -> impl Iterator<Item = (u16, &[u8])> {
        attributes(self.payload.get(body..).unwrap_or_default())
    }
}

/// Attributes one by one, without the flags in their types.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]));
        let kind = u16::from_ne_bytes([*bytes.get(2)?, *bytes.get(3)?]);
        let value = bytes.get(ATTRIBUTE_LEN..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & NLA_TYPE_MASK, value))
    })
}

/// A socket of the network namespace that it was made in, wherever its process goes.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    pub fn open(protocol: Protocol) -> Result<Netlink> {
        let protocol = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let socket = nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        nix::sys::socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Netlink { socket })
    }

    /// Sends a request, and waits until the kernel has done it; what it answered.
    pub fn request(&self, message: Message) -> Result<Vec<Answer>> {
        self.batch(vec![message])
    }

    /// Sends several requests at once. The first that failed is the error.
    pub fn batch(&self, messages: Vec<Message>) -> Result<Vec<Answer>> {
        static SEQUENCE: AtomicU32 = AtomicU32::new(1);
        let mut bytes = Vec::new();
        let mut waiting = Vec::new();
        for message in messages {
            let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
            let flags = message.flags();
            if flags & (NLM_F_ACK | NLM_F_DUMP) != 0 {
                waiting.push(sequence);
            }
            bytes.extend(message.finish(sequence));
        }
        nix::sys::socket::send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let (mut answers, mut failed) = (Vec::new(), None);
        while !waiting.is_empty() {
            let mut buffer = vec![0; BUFFER];
            let count = match nix::sys::socket::recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                count => count?,
            };
            for (sequence, answer) in split(buffer.get(..count).unwrap_or_default()) {
                if !waiting.contains(&sequence) {
                    continue;
                }
                match answer.kind {
                    // A number below 0 is an error, 0 that it is done.
                    ERROR | DONE => {
                        waiting.retain(|other| *other != sequence);
                        let code = answer.payload.first_chunk::<4>().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                        if code < 0 && failed.is_none() {
                            failed = Some(Errno::from_raw(code.saturating_neg()));
                            // What comes behind it in a batch may not be answered any more.
                            waiting.clear();
                        }
                    }
                    _ => answers.push(answer),
                }
            }
        }
        failed.map_or(Ok(answers), Err)
    }
}

const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;

/// The messages in what was received, each with its sequence number.
fn split(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Answer)> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk::<4>()?)).ok()?;
        let header = bytes.get(..HEADER_LEN)?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        let payload = bytes.get(HEADER_LEN..length)?.to_vec();
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((sequence, Answer { kind, payload }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested() {
        let message = Message::new(16, 0, &[0; 4]).with(1, b"abc").nest(2, |inner| inner.with_be32(3, 7)).finish(9);
        assert_eq!(message.len(), 16 + 4 + 8 + 4 + 8);
        let (sequence, answer) = split(&message).next().unwrap();
        assert_eq!((sequence, answer.kind), (9, 16));
        let found: Vec<_> = answer.attributes(4).collect();
        assert_eq!(found[0], (1, &b"abc"[..]));
        assert_eq!(found[1].0, 2);
        assert_eq!(attributes(found[1].1).collect::<Vec<_>>(), [(3, &[0, 0, 0, 7][..])]);
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let whole = Message::new(16, 0, &[]).with(1, b"abcd").finish(1);
        for length in 0..whole.len() {
            assert_eq!(split(&whole[..length]).count(), 0);
        }
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
    }

    #[test]
    fn the_loopback_device_is_in_a_dump() {
        const RTM_GETLINK: u16 = 18;
        const IFLA_IFNAME: u16 = 3;
        let route = Netlink::open(Protocol::Route).unwrap();
        let links = route.request(Message::new(RTM_GETLINK, NLM_F_DUMP, &[0; 16])).unwrap();
        assert!(links.iter().any(|link| link.attributes(16).any(|entry| entry == (IFLA_IFNAME, &b"lo\0"[..]))));
    }
}
