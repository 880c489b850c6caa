//! A terminal: the master's side of a pty, driven by a test.

use super::until;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

pub struct Terminal {
    master: File,
    seen: String,
}

impl From<OwnedFd> for Terminal {
    fn from(master: OwnedFd) -> Self {
        Terminal { master: master.into(), seen: String::new() }
    }
}

impl Terminal {
    /// A terminal of the host and its other side, for a runtime in the foreground.
    pub fn open() -> (Terminal, OwnedFd) {
        let pair = nix::pty::openpty(None, None).unwrap();
        (pair.master.into(), pair.slave)
    }

    pub fn write(&mut self, text: &str) -> &mut Self {
        self.master.write_all(text.as_bytes()).unwrap();
        self
    }

    /// What has been read so far.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// Reads until `text` has been seen.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        until(&format!("{text:?} on the terminal"), || {
            if self.seen.contains(text) {
                return Some(());
            }
            let open = self.read_some();
            assert!(
                open || self.seen.contains(text),
                "the terminal closed without {text:?}; it showed {:?}",
                self.seen
            );
            self.seen.contains(text).then_some(())
        });
        self
    }

    /// Forgets what was seen.
    pub fn clear(&mut self) -> &mut Self {
        self.seen.clear();
        self
    }

    /// Reads until the other side has been closed.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> &str {
        until("the terminal closes", || (!self.read_some()).then_some(()));
        &self.seen
    }

    fn read_some(&mut self) -> bool {
        let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        let wait = PollTimeout::from(100_u16);
        if poll(&mut ready, wait).unwrap() == 0 {
            return true;
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
                true
            }
        }
    }

    /// Changes the size; the kernel tells the foreground process group with SIGWINCH.
    pub fn resize(&self, rows: u32, columns: u32) {
        self.stty(&["rows", &rows.to_string(), "cols", &columns.to_string()]);
    }

    pub fn stty(&self, args: &[&str]) -> String {
        let stdin = Stdio::from(self.master.try_clone().unwrap());
        let output = Command::new("stty").args(args).stdin(stdin).output().expect("run stty");
        assert!(output.status.success(), "stty {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
