//! Who is connected to the supervisor.

use crate::image::container::channel::{DATA_MAX, Event, Request};
use crate::sys::event::Wanted;
use crate::sys::fd::set_nonblocking;
use crate::sys::{self, Errno, socket};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

/// While somebody has this much still to read, the container's output is not read either: then the container waits, as
/// it would for a slow terminal.
const QUEUED_MAX: usize = 1 << 20;

pub(super) struct Client {
    socket: OwnedFd,
    /// Wants the container's output.
    output: bool,
    /// Has sent input.
    pub input: bool,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    gone: bool,
}

impl Client {
    fn new(socket: OwnedFd) -> sys::Result<Client> {
        set_nonblocking(&socket)?;
        Ok(Client { socket, output: false, input: false, queue: VecDeque::new(), queued: 0, gone: false })
    }

    fn send(&mut self, event: &Event) {
        let bytes = event.encode();
        self.queued += bytes.len();
        self.queue.push_back(bytes);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(bytes) = self.queue.front() {
            match socket::send(self.socket.as_fd(), bytes, &[]) {
                Ok(()) => {
                    self.queued -= bytes.len();
                    self.queue.pop_front();
                }
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    /// What the client has asked for since.
    fn receive(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut buffer = vec![0; DATA_MAX + 1];
        // Not without end: the container has output meanwhile.
        while requests.len() < 64 {
            match socket::receive(self.socket.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    self.gone = true;
                    break;
                }
                Ok((count, _)) => match Request::decode(buffer.get(..count).unwrap_or_default()) {
                    Some(Request::Hello { output }) => self.output = output,
                    Some(request) => {
                        self.input |= matches!(request, Request::Input(_));
                        requests.push(request);
                    }
                    None => {}
                },
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    self.gone = true;
                    break;
                }
            }
        }
        requests
    }
}

#[derive(Default)]
pub(super) struct Clients {
    list: Vec<Client>,
}

impl Clients {
    pub(super) fn add(&mut self, socket: OwnedFd) {
        // One that cannot be served is told by the end of the connection.
        self.list.extend(Client::new(socket).ok());
    }

    pub(super) fn wanted(&self, take_input: bool) -> impl Iterator<Item = Wanted<'_>> {
        self.list.iter().map(move |client| Wanted {
            fd: client.socket.as_fd(),
            read: take_input || !client.input,
            write: !client.queue.is_empty(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Serves client `at`: its requests.
    pub(super) fn serve(&mut self, at: usize, ready: sys::event::Ready) -> Vec<Request> {
        let Some(client) = self.list.get_mut(at) else {
            return Vec::new();
        };
        if ready.write {
            client.flush();
        }
        if ready.read { client.receive() } else { Vec::new() }
    }

    pub(super) fn answer(&mut self, at: usize, event: &Event) {
        if let Some(client) = self.list.get_mut(at) {
            client.send(event);
        }
    }

    pub(super) fn tell(&mut self, event: &Event) {
        for client in &mut self.list {
            client.send(event);
        }
    }

    /// Output, for those who want it.
    pub(super) fn show(&mut self, event: &Event) {
        for client in self.list.iter_mut().filter(|client| client.output) {
            client.send(event);
        }
    }

    pub(super) fn are_behind(&self) -> bool {
        self.list.iter().any(|client| client.queued > QUEUED_MAX)
    }

    pub(super) fn forget_gone(&mut self) {
        self.list.retain(|client| !client.gone);
    }

    /// Waits until everybody has read what there is for them, or has gone.
    pub(super) fn flush_all(&mut self) {
        loop {
            self.list.iter_mut().for_each(Client::flush);
            self.list.retain(|client| !client.gone && !client.queue.is_empty());
            if self.list.is_empty() {
                return;
            }
            let wanted: Vec<Wanted> =
                self.list.iter().map(|client| Wanted { fd: client.socket.as_fd(), read: false, write: true }).collect();
            if sys::event::poll(&wanted, None).is_err() {
                return;
            }
        }
    }
}
