//! What the user sees while a build goes on.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How much of a failed step's output is shown again.
const TAIL_LINES: usize = 20;
const TITLE_CHARS: usize = 160;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Lines, each with its step's number.
    Plain,
    /// Nothing, until something fails.
    Quiet,
}

#[derive(Debug)]
pub struct Progress {
    mode: Mode,
    /// Of the next step.
    number: AtomicU32,
    /// Whole lines only.
    out: Mutex<io::Stderr>,
}

impl Progress {
    pub fn new(mode: Mode) -> Progress {
        Progress { mode, number: AtomicU32::new(1), out: Mutex::new(io::stderr()) }
    }

    /// A step begins.
    pub fn begin(&self, title: &str) -> Step<'_> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let step = Step { progress: self, number, began: Instant::now(), output: Mutex::new(Output::default()) };
        step.say(&shortened(title));
        step
    }

    fn print(&self, text: &str) {
        if self.mode == Mode::Plain {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            // A reader that is gone does not stop the build.
            let _ = out.write_all(text.as_bytes());
        }
    }

    /// Something that belongs to no step.
    pub fn note(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }
}

/// The first characters of a title.
pub fn shortened(title: &str) -> String {
    let title = title.lines().next().unwrap_or_default();
    match title.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}...", title.get(..end).unwrap_or_default()),
        None => title.to_owned(),
    }
}

#[derive(Debug)]
pub struct Step<'a> {
    progress: &'a Progress,
    number: u32,
    began: Instant,
    output: Mutex<Output>,
}

#[derive(Debug, Default)]
struct Output {
    /// A line whose end has not come yet.
    line: Vec<u8>,
    tail: VecDeque<String>,
}

/// Longer ones are cut, so that a program that writes no newline needs no memory.
const LINE_BYTES_MAX: usize = 64 << 10;

impl Step<'_> {
    fn say(&self, text: &str) {
        self.progress.print(&format!("#{} {text}\n", self.number));
    }

    /// What the step's program has written.
    pub fn output(&self, bytes: &[u8]) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(output.line.len());
            output.line.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.ends_with(b"\n") {
                self.line(&mut output);
            }
        }
    }

    fn line(&self, output: &mut Output) {
        let line = std::mem::take(&mut output.line);
        let text = String::from_utf8_lossy(&line);
        // A line that was written over several times is what it was in the end.
        let text = text.trim_end_matches(['\n', '\r']).rsplit('\r').next().unwrap_or_default().to_owned();
        self.say(&format!("{:.3} {text}", self.began.elapsed().as_secs_f64()));
        if output.tail.len() == TAIL_LINES {
            output.tail.pop_front();
        }
        output.tail.push_back(text);
    }

    fn flush(&self) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if !output.line.is_empty() {
            self.line(&mut output);
        }
    }

    pub fn warn(&self, text: &str) {
        self.say(&format!("WARNING: {text}"));
    }

    pub fn cached(self) {
        self.say("CACHED");
    }

    pub fn done(self) {
        self.flush();
        self.say(&format!("DONE {:.1}s", self.began.elapsed().as_secs_f64()));
    }

    /// Says why it failed. Where the output was not shown, the end of it is now.
    pub fn failed(self, error: &crate::error::Error) {
        self.flush();
        self.say(&format!("ERROR: {error}"));
        if self.progress.mode == Mode::Quiet {
            let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            let mut err = io::stderr().lock();
            for line in &output.tail {
                let _ = writeln!(err, "{line}");
            }
        }
    }
}
