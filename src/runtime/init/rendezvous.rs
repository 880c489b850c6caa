//! Await, Ask and Tell: the steps at which the child and those outside meet. Four numbers cross, never a text.

use super::Child;
use super::fault::{At, Fault, Part};
use crate::sys::socket;
use crate::sys::{Errno, Result, fd, process};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// One message, in either direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Message {
    pub step: i32,
    /// From the child: the part that failed; -1: nothing did, the step is reached.
    pub part: i32,
    pub detail: i32,
    pub errno: i32,
}

pub const REACHED: i32 = -1;

impl Message {
    const SIZE: usize = 16;

    pub fn reached(step: usize) -> Message {
        Message { step: step as i32, part: REACHED, ..Message::default() }
    }

    fn bytes(self) -> [u8; Message::SIZE] {
        let mut bytes = [0; Message::SIZE];
        for (place, number) in bytes.chunks_exact_mut(4).zip([self.step, self.part, self.detail, self.errno]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; Message::SIZE]) -> Message {
        let number = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Message { step: number(0), part: number(4), detail: number(8), errno: number(12) }
    }

    /// By write(2), which every seccomp filter with an agent has to allow.
    pub(super) fn write(self, socket: BorrowedFd) -> Result<()> {
        fd::write_once(socket, &self.bytes())
    }

    /// By read(2), likewise. None: the other end is closed.
    pub(super) fn read(socket: BorrowedFd) -> Result<Option<Message>> {
        let mut bytes = [0; Message::SIZE];
        let count = nix::unistd::read(socket, &mut bytes)?;
        Ok((count == Message::SIZE).then(|| Message::from_bytes(&bytes)))
    }

    pub fn send(self, socket: BorrowedFd, fds: &[BorrowedFd]) -> Result<()> {
        let bytes = self.bytes();
        let raw: Vec<_> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        socket::send(socket, &bytes, &raw)
    }

    /// None: the other end is closed.
    pub fn receive(socket: BorrowedFd) -> Result<Option<(Message, Option<OwnedFd>)>> {
        let mut bytes = [0; Message::SIZE];
        let (count, fd) = match socket::receive(socket, &mut bytes) {
            Err(Errno::ECONNRESET) => return Ok(None),
            received => received?,
        };
        if count == 0 {
            return Ok(None);
        }
        Ok(Some((Message::from_bytes(&bytes), fd)))
    }
}

impl Child {
    /// The answer carries our pid as the host sees it. No answer: the parent died, and with it the container.
    fn answer(&mut self) -> std::result::Result<i32, Fault> {
        match Message::receive(self.sync.as_fd()).at(Part::Alone)? {
            Some((message, _)) => Ok(message.detail),
            None => Err(Fault::new(Part::Alone, 0)),
        }
    }

    pub(super) fn await_go(&mut self) -> std::result::Result<(), Fault> {
        self.pid = self.answer()?;
        Ok(())
    }

    pub(super) fn tell(&mut self, index: usize) -> std::result::Result<(), Fault> {
        Message::reached(index).send(self.sync.as_fd(), &[]).at(Part::Alone)
    }

    pub(super) fn ask(&mut self, index: usize) -> std::result::Result<(), Fault> {
        self.tell(index)?;
        self.answer().map(drop)
    }

    /// `run` says it on the same line; otherwise `start` knocks at the socket in the state directory.
    pub(super) fn await_start(&mut self) -> std::result::Result<(), Fault> {
        let Some(listener) = self.start.take() else { return self.answer().map(drop) };
        let starter = socket::accept(listener.as_fd()).at(Part::Alone)?;
        self.starter = Some(starter);
        Ok(())
    }

    /// To whoever waits for us now.
    pub(super) fn report(&self, step: usize, fault: Fault) {
        let message = Message { step: step as i32, part: fault.part as i32, detail: fault.detail, errno: fault.errno };
        let listener = self.starter.as_ref().unwrap_or(&self.sync);
        // Nobody there: nobody wants to know.
        let _ = message.send(listener.as_fd(), &[]);
    }

    pub(super) fn clone_again(&mut self, index: usize, flags: u64) -> std::result::Result<(), Fault> {
        match process::clone3(flags | process::CLONE_PARENT as u64, None).at(Part::Clone)? {
            process::Clone::Child => {
                self.pid = self.answer()?;
                Ok(())
            }
            process::Clone::Parent { pid, .. } => {
                // The parent waits for the other from now on.
                let message = Message { step: index as i32, part: REACHED, detail: pid, errno: 0 };
                let sent = message.send(self.sync.as_fd(), &[]);
                process::exit_now(i32::from(sent.is_err()))
            }
        }
    }
}
