//! Carries bytes between two connections, in both directions, until both have ended.

use crate::sys::event::{Ready, Wanted};
use crate::sys::{fd, inet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

/// More connections at once are not served by hand.
const PAIRS_MAX: usize = 128;
const BUFFER: usize = 16 << 10;

#[derive(Default)]
pub(super) struct Proxy {
    pairs: Vec<Pair>,
}

struct Pair {
    ends: [TcpStream; 2],
    /// On the way from the one and from the other.
    ways: [Way; 2],
}

#[derive(Default)]
struct Way {
    data: Vec<u8>,
    /// No more is read.
    ended: bool,
    /// That has been said to the other end.
    told: bool,
}

impl Proxy {
    pub(super) fn carry(&mut self, client: OwnedFd, to: SocketAddr) {
        if self.pairs.len() >= PAIRS_MAX || fd::set_nonblocking(&client).is_err() {
            return;
        }
        // A client whose other end is not there is told by the end of its connection.
        if let Ok(server) = inet::connect(to) {
            self.pairs
                .push(Pair { ends: [TcpStream::from(client), TcpStream::from(server)], ways: Default::default() });
        }
    }

    /// Two for each pair.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Wanted<'_>> {
        self.pairs.iter().flat_map(|pair| {
            [0, 1].map(|at: usize| Wanted {
                fd: pair.ends[at].as_fd(),
                read: !pair.ways[at].ended && pair.ways[at].data.is_empty(),
                write: !pair.ways[1 - at].data.is_empty(),
            })
        })
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len() * 2
    }

    pub(super) fn serve(&mut self, ready: &[Ready]) {
        for (pair, ready) in self.pairs.iter_mut().zip(ready.chunks_exact(2)) {
            for (at, ready) in ready.iter().enumerate() {
                if ready.read && pair.ways[at].data.is_empty() && !pair.ways[at].ended {
                    pair.read(at);
                }
            }
            for at in [0, 1] {
                pair.write(at);
            }
        }
        self.pairs.retain(|pair| !pair.ways.iter().all(|way| way.told));
    }
}

impl Pair {
    fn read(&mut self, at: usize) {
        let mut buffer = vec![0; BUFFER];
        match self.ends[at].read(&mut buffer) {
            Ok(0) => self.ways[at].ended = true,
            Ok(count) => {
                buffer.truncate(count);
                self.ways[at].data = buffer;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.give_up(),
        }
    }

    /// Writes what came from `at` to the other end.
    fn write(&mut self, at: usize) {
        while !self.ways[at].data.is_empty() {
            match self.ends[1 - at].write(&self.ways[at].data) {
                Ok(count) => drop(self.ways[at].data.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.give_up(),
            }
        }
        if self.ways[at].ended && !self.ways[at].told {
            self.ways[at].told = true;
            // One that is gone knows.
            let _ = self.ends[1 - at].shutdown(Shutdown::Write);
        }
    }

    fn give_up(&mut self) {
        for way in &mut self.ways {
            *way = Way { data: Vec::new(), ended: true, told: true };
        }
    }
}
