//! poll(2).

use super::fd::check;
use super::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Read,
    Write,
}

/// Waits until one of the descriptors is ready or hung up: which ones are. None: nothing is asked.
pub fn poll<const N: usize>(fds: [Option<(BorrowedFd, Interest)>; N]) -> Result<[bool; N]> {
    let mut polls = fds.map(|entry| {
        let events = match entry {
            Some((_, Interest::Write)) => libc::POLLOUT,
            _ => libc::POLLIN,
        };
        libc::pollfd { fd: entry.map_or(-1, |(fd, _)| fd.as_raw_fd()), events, revents: 0 }
    });
    // SAFETY: polls is an array of N pollfds.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, -1) }.into()) {
        Ok(()) => Ok(polls.map(|poll| poll.revents != 0)),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(error) => Err(error),
    }
}

/// Waits until `fd` can be read or is hung up: whether it is, in `timeout` milliseconds.
pub fn wait_readable(fd: BorrowedFd, timeout: i32) -> Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: poll is one pollfd.
        match check(unsafe { libc::poll(&raw mut poll, 1, timeout) }.into()) {
            // The time starts anew: a caller who lets signals in has patience.
            Err(Errno::EINTR) => {}
            other => return other.map(|()| poll.revents != 0),
        }
    }
}
