//! What `--log`, `--log-format` and `--debug` are for: lines for engines, which read the last one with level error.

use super::clock;
use crate::error::{Context, Result};
use std::borrow::Cow;
use std::fs::File;
use std::io::Write;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Default)]
pub struct Log {
    /// None: standard error.
    file: Option<File>,
    format: Format,
    debug: bool,
}

/// Bytes of a message, from its start and from its end, where it is longer than both: a path may be of 4096.
const START: usize = 6000;
const END: usize = 1000;

/// A message is one line whatever it repeats of config.json: engines read the last one, and people a terminal.
fn one_line(message: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() || BIDI.iter().any(|range| range.contains(&c));
    let cut = message.len() > START + END;
    if !cut && !message.contains(is_bad) {
        return Cow::Borrowed(message);
    }
    let mut line = String::with_capacity(START + END);
    let mut add = |text: &str| {
        for c in text.chars() {
            if is_bad(c) { line.extend(c.escape_default()) } else { line.push(c) }
        }
    };
    if cut {
        let boundary = |at: &usize| message.is_char_boundary(*at);
        let start = (0..=START).rev().find(boundary).unwrap_or_default();
        let end = (message.len() - END..=message.len()).find(boundary).unwrap_or_default();
        add(&message[..start]);
        add(" [...] ");
        add(&message[end..]);
    } else {
        add(message);
    }
    Cow::Owned(line)
}

/// Characters that make a terminal show others in another order (CVE-2021-42574).
const BIDI: [std::ops::RangeInclusive<char>; 3] =
    ['\u{200e}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

#[derive(serde::Serialize)]
struct Line<'a> {
    level: &'a str,
    msg: &'a str,
    time: String,
}

impl Log {
    pub fn open(path: Option<&str>, format: Format, debug: bool) -> Result<Log> {
        let file = match path {
            None | Some("") => None,
            Some(path) => {
                let file = File::options().append(true).create(true).open(path);
                Some(file.with(|| format!("--log: open {path}"))?)
            }
        };
        Ok(Log { file, format, debug })
    }

    /// The end of the program: in the log, and on standard error for whoever sits there.
    pub fn error(&self, message: &str) {
        let message = &one_line(message);
        if self.file.is_some() {
            self.write("error", message);
        }
        // With nowhere to write to, the exit code says it.
        let _ = writeln!(std::io::stderr(), "bolo: {message}");
    }

    pub fn warn(&self, message: &str) {
        let message = &one_line(message);
        if self.file.is_some() {
            self.write("warning", message);
        } else {
            let _ = writeln!(std::io::stderr(), "bolo: warning: {message}");
        }
    }

    pub fn debug(&self, message: &str) {
        if !self.debug {
            return;
        }
        let message = &one_line(message);
        if self.file.is_some() {
            self.write("debug", message);
        } else {
            let _ = writeln!(std::io::stderr(), "bolo: {message}");
        }
    }

    fn write(&self, level: &str, msg: &str) {
        let Some(mut file) = self.file.as_ref() else { return };
        let time = clock::now_in_seconds();
        let line = match self.format {
            Format::Json => serde_json::to_string(&Line { level, msg, time }).unwrap_or_default(),
            Format::Text => format!("time={time:?} level={level} msg={msg:?}"),
        };
        // One write: lines of several programs do not mix.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_a_bounded_length() {
        assert!(matches!(one_line("mounts[3].type: \"ö\" is no filesystem"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\nb\u{0}c\u{202e}d"), "a\\nb\\u{0}c\\u{202e}d");
        let long = format!("start{}end", "ö".repeat(20_000));
        let line = one_line(&long);
        assert!(line.starts_with("startö") && line.ends_with("öend") && line.contains(" [...] ") && line.len() < 7100);
    }
}
