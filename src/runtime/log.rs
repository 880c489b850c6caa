//! What `--log`, `--log-format` and `--debug` are for: lines for engines, which read the last one with level error.

use super::clock;
use crate::error::{Context, Result};
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
        if self.file.is_some() {
            self.write("error", message);
        }
        // With nowhere to write to, the exit code says it.
        let _ = writeln!(std::io::stderr(), "bolo: {message}");
    }

    pub fn warn(&self, message: &str) {
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
