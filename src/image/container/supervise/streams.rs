//! The container's standard input and output, from outside: pipes, or a terminal's master.

use crate::error::{Context, Result};
use crate::image::container::channel::DATA_MAX;
use crate::image::container::log::Stream;
use crate::sys::event::Wanted;
use crate::sys::fd::set_nonblocking;
use crate::sys::tty;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

/// As much input is kept for a container that does not read it.
const INPUT_MAX: usize = 256 << 10;

pub(super) struct Streams {
    input: Option<File>,
    pending: Vec<u8>,
    /// Closed when everything pending is written.
    input_ends: bool,
    output: [Option<File>; 2],
    is_terminal: bool,
}

impl Streams {
    /// Pipes, and their other ends for the container.
    pub(super) fn pipes(stdin: bool) -> Result<(Streams, [Stdio; 3])> {
        let pipe = || std::io::pipe().context("make a pipe");
        let ((out, out_end), (error, error_end)) = (pipe()?, pipe()?);
        let (input, input_end) = match stdin {
            true => {
                let (end, input) = pipe()?;
                (Some(File::from(OwnedFd::from(input))), Stdio::from(OwnedFd::from(end)))
            }
            false => (None, Stdio::null()),
        };
        let output = [Some(File::from(OwnedFd::from(out))), Some(File::from(OwnedFd::from(error)))];
        for file in output.iter().chain([&input]).flatten() {
            set_nonblocking(file).context("prepare a pipe")?;
        }
        let ends = [input_end, Stdio::from(OwnedFd::from(out_end)), Stdio::from(OwnedFd::from(error_end))];
        Ok((Streams { input, pending: Vec::new(), input_ends: false, output, is_terminal: false }, ends))
    }

    /// A terminal, of a size where that is known: rows and columns.
    pub(super) fn terminal(master: OwnedFd, size: Option<(u16, u16)>) -> Result<Streams> {
        set_nonblocking(&master).context("prepare the terminal")?;
        let input = master.try_clone().context("prepare the terminal")?;
        let output = [Some(File::from(master)), None];
        let input = Some(File::from(input));
        let streams = Streams { input, pending: Vec::new(), input_ends: false, output, is_terminal: true };
        if let Some((rows, columns)) = size {
            streams.resize(rows, columns);
        }
        Ok(streams)
    }

    pub(super) fn takes_input(&self) -> bool {
        self.pending.len() < INPUT_MAX
    }

    /// The input and both outputs, as what is wanted of them.
    pub(super) fn wanted(&self, read: bool) -> [Option<Wanted<'_>>; 3] {
        let [output, error] = &self.output;
        let input = self.input.as_ref().map(|file| (file, false, !self.pending.is_empty()));
        let outputs = [output, error].map(|file| file.as_ref().map(|file| (file, read, false)));
        [input, outputs[0], outputs[1]]
            .map(|wish| wish.map(|(file, read, write)| Wanted { fd: file.as_fd(), read, write }))
    }

    pub(super) fn push_input(&mut self, data: &[u8]) {
        if self.input.is_some() && !self.input_ends {
            self.pending.extend_from_slice(data);
            self.write_input();
        }
    }

    pub(super) fn end_input(&mut self) {
        // A terminal has no end; the user types one.
        if !self.is_terminal {
            self.input_ends = true;
            self.write_input();
        }
    }

    pub(super) fn write_input(&mut self) {
        let Some(input) = &mut self.input else {
            return;
        };
        while !self.pending.is_empty() {
            match input.write(&self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody reads it any more.
                Err(_) => {
                    self.pending.clear();
                    self.input_ends = true;
                }
            }
        }
        if self.input_ends && !self.is_terminal {
            self.input = None;
        }
    }

    /// What one output has now; nothing where there is nothing (any more).
    pub(super) fn read(&mut self, stream: Stream) -> Vec<u8> {
        let output = &mut self.output[stream as usize];
        let Some(file) = output else {
            return Vec::new();
        };
        let mut buffer = vec![0; DATA_MAX];
        loop {
            match file.read(&mut buffer) {
                // A terminal's other end gives EIO when the last one there has closed it.
                Ok(0) => *output = None,
                Ok(count) => {
                    buffer.truncate(count);
                    return buffer;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => *output = None,
            }
            return Vec::new();
        }
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) {
        if let (true, Some(terminal)) = (self.is_terminal, &self.input) {
            // A size that cannot be set is the one that it had.
            let _ = tty::set_size(terminal, rows, columns);
        }
    }
}
