//! The Dockerfile language: text to instructions, each with the lines it came from. Where docker's documentation and
//! BuildKit's frontend differ, the frontend's behaviour is followed, because that is what Dockerfiles were tried with.
//!
//! [`lex`] makes logical lines (directives, continuations, comments, heredocs), [`parse`] makes typed instructions of
//! them, [`expand`] replaces variables; what an instruction means is the business of [`crate::image::plan`].

pub mod duration;
pub mod expand;
pub mod flags;
pub mod healthcheck;
pub mod heredoc;
pub mod instruction;
pub mod lex;
pub mod lint;
pub mod mount;
pub mod parse;
pub mod suggest;
pub mod words;

pub use instruction::{Command, Instruction};

use crate::bail;
use crate::error::{Context, Error, Result};
use std::fmt;

/// Bounds on what a stranger's Dockerfile can make us hold; real ones are a few kilobytes and some dozens of
/// instructions.
pub const BYTES_MAX: usize = 4 << 20;
pub const INSTRUCTIONS_MAX: usize = 5000;

/// First and last line of an instruction, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub first: u32,
    pub last: u32,
}

impl Span {
    pub fn line(line: u32) -> Span {
        Span { first: line, last: line }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// A parsed Dockerfile.
#[derive(Debug, Clone)]
pub struct Dockerfile {
    /// What messages call it: `Dockerfile`.
    pub name: String,
    /// The escape character: `\`, or a backtick by directive.
    pub escape: char,
    /// `# syntax=`: the frontend that the author had in mind. It is not fetched.
    pub syntax: Option<(String, Span)>,
    /// `# check=`: see [`lint::Settings`].
    pub check: Option<(String, Span)>,
    pub instructions: Vec<Instruction>,
    /// Where an empty line stands inside a continued instruction.
    pub empty_continuations: Vec<Span>,
}

impl Dockerfile {
    /// `name` is what errors call the file. Bytes that are not UTF-8 become U+FFFD: old files have Latin-1 comments.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Dockerfile> {
        if bytes.len() > BYTES_MAX {
            bail!("{name}: {} bytes, more than the {BYTES_MAX} that a Dockerfile may have", bytes.len());
        }
        let lexed = lex::lex(&String::from_utf8_lossy(bytes)).map_err(|e| e.at(name))?;
        let Some(first) = lexed.lines.first() else {
            bail!("{name}: no instructions");
        };
        if lexed.lines.len() > INSTRUCTIONS_MAX {
            let more = format!("more than {INSTRUCTIONS_MAX} instructions");
            return Err(Located::new(first.span, Error::new(more)).at(name));
        }
        let mut instructions = Vec::with_capacity(lexed.lines.len());
        for line in lexed.lines {
            let span = line.span;
            instructions.push(parse::instruction(line, lexed.escape).with(|| at(name, span))?);
        }
        let (escape, empty_continuations) = (lexed.escape, lexed.empty_continuations);
        let (syntax, check) = (lexed.syntax, lexed.check);
        Ok(Dockerfile { name: name.to_owned(), escape, syntax, check, instructions, empty_continuations })
    }

    /// `Dockerfile:7`, the place of an error.
    pub fn at(&self, span: Span) -> String {
        at(&self.name, span)
    }
}

pub(crate) fn at(name: &str, span: Span) -> String {
    format!("{name}:{}", span.first)
}

/// An error at a line, before the file's name is known.
#[derive(Debug)]
pub struct Located {
    span: Span,
    error: Error,
}

impl Located {
    pub fn new(span: Span, error: impl Into<Error>) -> Located {
        Located { span, error: error.into() }
    }

    pub fn at(self, name: &str) -> Error {
        let place = at(name, self.span);
        self.error.context(place)
    }
}

#[cfg(test)]
mod tests;
