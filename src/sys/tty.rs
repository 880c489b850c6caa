//! Terminals (ioctl_tty(2), pts(4)).

use super::Result;
use super::fd::{check, owned};
use nix::sys::termios::{self, LocalFlags, OutputFlags, SetArg, Termios};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Unlocks the pair behind a master and opens its other end, without any name (CVE-2025-52565). KERNEL(4.13)
pub fn open_peer(master: impl AsFd) -> Result<OwnedFd> {
    let (master, unlock) = (master.as_fd().as_raw_fd(), 0 as libc::c_int);
    // SAFETY: the request reads one int.
    check(unsafe { libc::ioctl(master, libc::TIOCSPTLCK as _, &raw const unlock) }.into())?;
    // SAFETY: the argument is the flags of open(2).
    owned(
        unsafe { libc::ioctl(master, libc::TIOCGPTPEER as _, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) }.into(),
    )
}

/// The number N of /dev/pts/N.
pub fn number(master: impl AsFd) -> Result<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the request writes one unsigned int.
    check(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTN as _, &raw mut number) }.into())?;
    Ok(number)
}

/// Makes the terminal the controlling one of the session that we lead.
pub fn set_controlling(terminal: impl AsFd) -> Result<()> {
    // SAFETY: the argument is a number: 0, do not steal it.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY as _, 0) }.into())
}

/// Lets the process group read from our controlling terminal. SIGTTOU must be blocked.
pub fn set_foreground(terminal: impl AsFd, group: libc::pid_t) -> Result<()> {
    // SAFETY: the call takes no pointers.
    check(unsafe { libc::tcsetpgrp(terminal.as_fd().as_raw_fd(), group) }.into())
}

/// Rows and columns.
pub fn set_size(terminal: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads a winsize.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) }.into())
}

/// Rows and columns.
pub fn size(terminal: impl AsFd) -> Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes a winsize.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ as _, &raw mut size) }.into())?;
    Ok((size.ws_row, size.ws_col))
}

/// A terminal that passes every key through, until this is dropped.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

/// Passes every key through: what is typed is the business of the terminal in the container.
pub fn make_raw(terminal: impl AsFd) -> Result<Raw> {
    let terminal = nix::unistd::dup(terminal)?;
    let before = termios::tcgetattr(&terminal)?;
    let mut raw = before.clone();
    termios::cfmakeraw(&mut raw);
    termios::tcsetattr(&terminal, SetArg::TCSANOW, &raw)?;
    Ok(Raw { terminal, before })
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nobody is left to tell; the user types `reset`.
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

/// Does not show what is typed, until dropped.
pub fn hide_input(terminal: impl AsFd) -> Result<Raw> {
    let terminal = nix::unistd::dup(terminal)?;
    let before = termios::tcgetattr(&terminal)?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden)?;
    Ok(Raw { terminal, before })
}

/// A line feed that leaves the terminal is a line feed alone: whoever shows it adds the carriage return.
pub fn clear_onlcr(terminal: impl AsFd) -> Result<()> {
    let mut attributes = termios::tcgetattr(&terminal)?;
    attributes.output_flags.remove(OutputFlags::ONLCR);
    termios::tcsetattr(&terminal, SetArg::TCSANOW, &attributes)
}
