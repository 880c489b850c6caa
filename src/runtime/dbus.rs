//! A D-Bus client as small as talking to systemd needs: one connection, one call at a time, no thread, no introspection
//! (dbus.freedesktop.org/doc/dbus-specification.html). See docs/decisions/040-dbus.md.

mod message;
mod text;
mod value;

use crate::bail;
use crate::error::{Context, Result};
use crate::sys::{fd, poll, socket};
use message::{Kind, Message};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};
pub use text::parse as parse_text;
pub use value::Value;

/// What the bus, or whoever answers there, gets for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// No answer that we ask for is longer.
const MESSAGE_MAX: usize = 4 << 20;

/// Whom a message goes to, and what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Method<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
}

/// An error that the other side answered with.
#[derive(Debug)]
pub struct Refusal {
    /// `org.freedesktop.systemd1.UnitExists`
    pub name: String,
    pub message: String,
}

#[derive(Debug)]
pub struct Bus {
    socket: OwnedFd,
    serial: u32,
    /// Bytes of a message that is not whole yet.
    input: Vec<u8>,
    /// Signals that came while we waited for something else.
    signals: Vec<Message>,
    /// There is no bus between us and the other side.
    direct: bool,
}

impl Bus {
    /// `addresses`: `unix:path=/run/dbus/system_bus_socket;unix:abstract=x`, the first that answers.
    pub fn connect(addresses: &str) -> Result<Bus> {
        let mut bus = Bus::open(addresses)?;
        let dbus = |member| Method {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
        };
        bus.call(dbus("Hello"), &[])?.map_err(|refusal| refusal.error("greet the bus"))?;
        Ok(bus)
    }

    /// A socket behind which there is the one who answers, not a bus.
    pub fn connect_direct(address: &str) -> Result<Bus> {
        Ok(Bus { direct: true, ..Bus::open(address)? })
    }

    fn open(addresses: &str) -> Result<Bus> {
        let mut result = None;
        for address in addresses.split(';').filter(|address| !address.is_empty()) {
            match connect(address) {
                Ok(socket) => {
                    let mut bus = Bus { socket, serial: 0, input: Vec::new(), signals: Vec::new(), direct: false };
                    bus.authenticate().with(|| format!("authenticate at {address}"))?;
                    return Ok(bus);
                }
                Err(error) => result = Some(error),
            }
        }
        match result {
            Some(error) => Err(error),
            None => bail!("D-Bus address {addresses:?}: empty"),
        }
    }

    /// EXTERNAL without a name: we are whom the kernel says the socket's other end is. To name our user would fail in a
    /// user namespace, where our number is another than the bus sees.
    fn authenticate(&mut self) -> Result<()> {
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        let deadline = Instant::now() + PATIENCE;
        for expected in ["DATA", "OK"] {
            let line = loop {
                if let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
                    let line = String::from_utf8_lossy(self.input.get(..end).unwrap_or_default()).into_owned();
                    self.input.drain(..end + 2);
                    break line;
                }
                self.receive(deadline)?;
            };
            if line.split(' ').next() != Some(expected) {
                bail!("the bus does not know us: {line}");
            }
        }
        Ok(())
    }

    /// One call, and the answer to it.
    pub fn call(&mut self, method: Method, arguments: &[Value]) -> Result<std::result::Result<Vec<Value>, Refusal>> {
        let serial = self.post(method, arguments, true)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.next(deadline).with(|| format!("wait for the answer to {}", method.member))?;
            match message.kind {
                Kind::Signal => self.signals.push(message),
                Kind::Return if message.reply_to == serial => return Ok(Ok(message.body)),
                Kind::Error if message.reply_to == serial => {
                    let text = match message.body.into_iter().next() {
                        Some(Value::String(text)) => text,
                        _ => String::new(),
                    };
                    return Ok(Err(Refusal { name: message.error, message: text }));
                }
                _ => {}
            }
        }
    }

    /// Asks the bus for signals, without waiting for its answer: it keeps the order of what we send.
    pub fn subscribe(&mut self, interface: &str, member: &str) -> Result<()> {
        if self.direct {
            return Ok(());
        }
        let method = Method {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "AddMatch",
        };
        let rule = format!("type='signal',interface='{interface}',member='{member}'");
        self.post(method, &[Value::String(rule)], false).map(drop)
    }

    /// Waits for a signal that `wanted` recognises by its arguments, and gives these. None: it did not come in time.
    pub fn wait_signal(
        &mut self,
        member: &str,
        patience: Duration,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Result<Option<Vec<Value>>> {
        let deadline = Instant::now() + patience;
        let fits = |message: &Message| message.member == member && wanted(&message.body);
        if let Some(index) = self.signals.iter().position(fits) {
            return Ok(Some(self.signals.swap_remove(index).body));
        }
        while Instant::now() < deadline {
            let message = self.next(deadline).with(|| format!("wait for {member}"))?;
            if message.kind == Kind::Signal && fits(&message) {
                return Ok(Some(message.body));
            }
        }
        Ok(None)
    }

    fn post(&mut self, method: Method, arguments: &[Value], answer: bool) -> Result<u32> {
        self.serial = self.serial.wrapping_add(1).max(1);
        let bytes = message::call(method, arguments, self.serial, answer, self.direct);
        self.send(&bytes).with(|| format!("send {}", method.member))?;
        Ok(self.serial)
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        Ok(fd::write_all(&self.socket, bytes)?)
    }

    fn next(&mut self, deadline: Instant) -> Result<Message> {
        loop {
            match message::length(&self.input)? {
                Some(length) if length > MESSAGE_MAX => bail!("the bus sends a message of {length} bytes"),
                Some(length) if self.input.len() >= length => {
                    let bytes: Vec<u8> = self.input.drain(..length).collect();
                    return message::read(&bytes);
                }
                _ => self.receive(deadline)?,
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        if !poll::wait_readable(self.socket.as_fd(), i32::try_from(left).unwrap_or(i32::MAX))? {
            bail!("no answer within {} s", PATIENCE.as_secs());
        }
        let mut buffer = [0; 4096];
        match socket::receive(self.socket.as_fd(), &mut buffer)? {
            (0, _) => bail!("the bus has closed the connection"),
            (count, _) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
        Ok(())
    }
}

impl Refusal {
    pub fn error(self, doing: impl Into<String>) -> crate::error::Error {
        let words = if self.message.is_empty() { self.name } else { self.message };
        crate::error::Error::new(words).context(doing)
    }
}

fn connect(address: &str) -> Result<OwnedFd> {
    let (transport, keys) = address.split_once(':').unwrap_or((address, ""));
    for key in keys.split(',').filter(|_| transport == "unix") {
        match key.split_once('=') {
            Some(("path", path)) => {
                let path = unescape(path);
                return socket::connect_stream(Path::new(&path)).with(|| format!("connect to {path}"));
            }
            Some(("abstract", name)) => {
                let name = unescape(name);
                return socket::connect_abstract(name.as_bytes()).with(|| format!("connect to @{name}"));
            }
            _ => {}
        }
    }
    bail!("D-Bus address {address:?}: neither unix:path= nor unix:abstract=")
}

/// Addresses have bytes as `%2f`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let escaped = match more {
            [high, low, ..] if *first == b'%' => {
                std::str::from_utf8(&[*high, *low]).ok().and_then(|two| u8::from_str_radix(two, 16).ok())
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { more.get(2..).unwrap_or_default() } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
