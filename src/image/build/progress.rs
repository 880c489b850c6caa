//! What the user sees while a build goes on.

mod raw;
mod screen;

use crate::error::Error;
use screen::Screen;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much of a failed step's output is shown again.
const TAIL_LINES: usize = 20;
const TITLE_CHARS: usize = 160;
/// Longer lines are cut, so that a program that writes no newline needs no memory.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Of a picture that moves.
const FRAME: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Lines, each with its step's number.
    Plain,
    /// What is done, and below it what is going on.
    Tty,
    /// Nothing, until something fails.
    Quiet,
    /// A JSON object a line, with the names that BuildKit has for them.
    RawJson,
}

impl Mode {
    /// What suits standard error.
    pub fn auto() -> Mode {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb { Mode::Tty } else { Mode::Plain }
    }
}

#[derive(Debug)]
pub struct Progress {
    mode: Mode,
    began: Instant,
    state: Mutex<State>,
    /// The state has changed in a way that the picture shows.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Steps that the plan has.
    expected: usize,
    done: usize,
    cached: usize,
    number: usize,
    running: Vec<Running>,
    screen: Screen,
    /// Somebody draws.
    drawing: bool,
    over: bool,
}

impl State {
    /// Text that stays, in the picture's mode.
    fn say(&mut self, text: &str) {
        if self.drawing { self.screen.above(text) } else { print(text) }
    }
}

/// A step that is going on.
#[derive(Debug)]
struct Running {
    number: usize,
    /// `builder 2/5`
    place: String,
    title: String,
    began: Instant,
    tail: VecDeque<String>,
}

impl Progress {
    pub fn new(mode: Mode) -> Progress {
        Progress { mode, began: Instant::now(), state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many steps there will be.
    pub fn expect(&self, count: usize) {
        self.state().expected = count;
    }

    /// Draws the picture, where there is one, as long as `work` goes on.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.mode != Mode::Tty {
            return work();
        }
        std::thread::scope(|scope| {
            self.state().drawing = true;
            scope.spawn(|| self.draw());
            // Also where the work panics the picture ends.
            let end = End(self);
            let result = work();
            drop(end);
            result
        })
    }

    fn draw(&self) {
        let mut state = self.state();
        let mut frame = 0;
        while !state.over {
            let State { screen, running, expected, done, cached, .. } = &mut *state;
            screen.draw(
                running,
                &screen::Totals { expected: *expected, done: *done, cached: *cached, began: self.began, frame },
            );
            frame += 1;
            let waited = self.changed.wait_timeout(state, FRAME);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.screen.clear();
        state.drawing = false;
    }

    /// A step begins: `title`, which is the `place` of its stage.
    pub fn begin(&self, place: &str, title: &str) -> Step<'_> {
        let mut state = self.state();
        state.number += 1;
        let number = state.number;
        let (place, title) = (place.to_owned(), shortened(title));
        match self.mode {
            Mode::Plain => print(&format!("#{number} [{place}] {title}\n")),
            Mode::RawJson => print(&raw::vertex(number, &place, &title, raw::Phase::Started)),
            Mode::Tty | Mode::Quiet => {}
        }
        state.running.push(Running { number, place, title, began: Instant::now(), tail: VecDeque::new() });
        Step { progress: self, number, began: Instant::now(), line: Mutex::default() }
    }

    /// Something that belongs to no step.
    pub fn note(&self, text: &str) {
        match self.mode {
            Mode::Plain => print(&format!("{text}\n")),
            Mode::Tty => self.state().say(&format!("{text}\n")),
            Mode::RawJson => print(&raw::note(text)),
            Mode::Quiet => {}
        }
    }
}

struct End<'a>(&'a Progress);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.changed.notify_all();
    }
}

fn print(text: &str) {
    // A reader that is gone does not stop the build.
    let _ = io::stderr().lock().write_all(text.as_bytes());
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
    number: usize,
    began: Instant,
    /// A line of output whose end has not come yet.
    line: Mutex<Vec<u8>>,
}

/// How a step ended.
enum Outcome<'a> {
    Cached,
    Done,
    Failed(&'a Error),
}

impl Step<'_> {
    /// What the step's program has written.
    pub fn output(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.ends_with(b"\n") {
                self.line(&std::mem::take(&mut *line));
            }
        }
    }

    fn line(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        // A line that was written over several times is what it was in the end.
        let text = text.trim_end_matches(['\n', '\r']).rsplit('\r').next().unwrap_or_default().to_owned();
        let number = self.number;
        match self.progress.mode {
            Mode::Plain => print(&format!("#{number} {:.3} {text}\n", self.began.elapsed().as_secs_f64())),
            Mode::RawJson => print(&raw::log(number, line)),
            Mode::Tty | Mode::Quiet => {}
        }
        let mut state = self.progress.state();
        if let Some(running) = state.running.iter_mut().find(|running| running.number == number) {
            if running.tail.len() == TAIL_LINES {
                running.tail.pop_front();
            }
            running.tail.push_back(text);
        }
    }

    pub fn warn(&self, text: &str) {
        let number = self.number;
        match self.progress.mode {
            Mode::Plain => print(&format!("#{number} WARNING: {text}\n")),
            Mode::Tty => self.progress.note(&format!("   warning: {text}")),
            Mode::RawJson => print(&raw::log(number, format!("WARNING: {text}\n").as_bytes())),
            Mode::Quiet => {}
        }
    }

    pub fn cached(self) {
        self.end(&Outcome::Cached);
    }

    pub fn done(self) {
        self.end(&Outcome::Done);
    }

    /// Says why it failed. Where the output was not shown, the end of it is now.
    pub fn failed(self, error: &Error) {
        self.end(&Outcome::Failed(error));
    }

    fn end(&self, outcome: &Outcome) {
        let rest = std::mem::take(&mut *self.line.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            self.line(&rest);
        }
        let mut state = self.progress.state();
        let Some(at) = state.running.iter().position(|running| running.number == self.number) else {
            return;
        };
        let running = state.running.remove(at);
        state.done += 1;
        state.cached += usize::from(matches!(outcome, Outcome::Cached));
        let number = self.number;
        match self.progress.mode {
            Mode::Plain => print(&match outcome {
                Outcome::Cached => format!("#{number} CACHED\n"),
                Outcome::Done => format!("#{number} DONE {:.1}s\n", self.began.elapsed().as_secs_f64()),
                Outcome::Failed(error) => format!("#{number} ERROR: {error}\n"),
            }),
            Mode::Tty => {
                let text = screen::ended(&running, outcome);
                state.say(&text);
            }
            Mode::RawJson => {
                let phase = match outcome {
                    Outcome::Cached => raw::Phase::Cached,
                    Outcome::Done => raw::Phase::Done,
                    Outcome::Failed(error) => raw::Phase::Failed(error.to_string()),
                };
                print(&raw::vertex(number, &running.place, &running.title, phase));
            }
            Mode::Quiet => {
                if let Outcome::Failed(_) = outcome {
                    print(&running.tail.iter().map(|line| format!("{line}\n")).collect::<String>());
                }
            }
        }
        drop(state);
        self.progress.changed.notify_all();
    }
}
