//! Text to logical lines: parser directives, comments, continuations, heredoc bodies.

use super::heredoc::{self, Heredoc};
use super::words;
use super::{Located, Span};
use crate::error::Error;

/// BuildKit reads with a buffer of 64 KiB; a longer line has never worked anywhere.
pub const LINE_BYTES_MAX: usize = 65_535;

/// One instruction as text.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// As written: `RUN`, `run`.
    pub keyword: String,
    /// The words that begin with `--`, directly behind the keyword, without quotes.
    pub flags: Vec<String>,
    /// What follows the flags, trimmed.
    pub rest: String,
    /// The whole instruction, continuations joined, without heredoc bodies.
    pub text: String,
    /// In the order of their appearance in `text`.
    pub heredocs: Vec<Heredoc>,
    /// The comments directly above it, without `#`.
    pub comments: Vec<String>,
    pub span: Span,
}

#[derive(Debug)]
pub struct Lexed {
    pub escape: char,
    pub syntax: Option<(String, Span)>,
    pub check: Option<(String, Span)>,
    pub lines: Vec<Line>,
    pub empty_continuations: Vec<Span>,
}

pub fn lex(text: &str) -> Result<Lexed, Located> {
    let mut lexer = Lexer {
        physical: Physical { rest: text.strip_prefix('\u{feff}').unwrap_or(text), number: 0 },
        directives: true,
        escape_given: false,
        comments: Vec::new(),
        out: Lexed { escape: '\\', syntax: None, check: None, lines: Vec::new(), empty_continuations: Vec::new() },
    };
    while let Some(line) = lexer.physical.next()? {
        lexer.line(line)?;
    }
    Ok(lexer.out)
}

struct Lexer<'a> {
    physical: Physical<'a>,
    /// Still in the zone at the top where a comment can be a directive.
    directives: bool,
    escape_given: bool,
    comments: Vec<String>,
    out: Lexed,
}

/// The lines of the file, with their ends, because heredoc bodies keep them.
struct Physical<'a> {
    rest: &'a str,
    number: u32,
}

impl<'a> Physical<'a> {
    fn next(&mut self) -> Result<Option<&'a str>, Located> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let end = self.rest.find('\n').map_or(self.rest.len(), |newline| newline + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        if line.len() > LINE_BYTES_MAX {
            let error = Error::new(format!("line is longer than {LINE_BYTES_MAX} bytes"));
            return Err(Located::new(Span::line(self.number), error));
        }
        Ok(Some(line))
    }
}

impl Lexer<'_> {
    /// Handles one physical line and, where an instruction begins there, all that belong to it.
    fn line(&mut self, raw: &str) -> Result<(), Located> {
        let first = self.physical.number;
        let start = trim_newline(raw).trim_start();
        if let Some(comment) = start.strip_prefix('#') {
            if !self.directive(comment)? {
                self.comment(comment.trim());
            }
            return Ok(());
        }
        self.directives = false;
        let mut text = String::new();
        let mut open = self.append(&mut text, start);
        if !open && text.is_empty() {
            return Ok(());
        }
        let mut empty = None;
        while open && let Some(raw) = self.physical.next()? {
            let next = trim_newline(raw);
            if next.trim_start().starts_with('#') {
                continue;
            }
            if next.trim_start().is_empty() {
                empty = Some(self.physical.number);
                continue;
            }
            open = self.append(&mut text, next);
        }
        if let Some(number) = empty {
            self.out.empty_continuations.push(Span::line(number));
        }
        self.instruction(text, first)
    }

    /// Adds a physical line without its continuation character; says whether there was one.
    fn append(&self, text: &mut String, line: &str) -> bool {
        let escape = self.out.escape;
        let body = line.trim_end_matches([' ', '\t']).strip_suffix(escape);
        // An escaped escape character at the end of a line continues nothing.
        match body.filter(|body| !body.ends_with(escape)) {
            Some(body) => text.push_str(body),
            None => text.push_str(line),
        }
        body.is_some_and(|body| !body.ends_with(escape))
    }

    fn comment(&mut self, comment: &str) {
        if comment.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(comment.to_owned());
        }
    }

    /// Whether the comment was a parser directive. The first one that is not ends their zone.
    fn directive(&mut self, comment: &str) -> Result<bool, Located> {
        let span = Span::line(self.physical.number);
        let parsed = if self.directives { split_directive(comment) } else { None };
        let Some((key, value)) = parsed else {
            self.directives = false;
            return Ok(false);
        };
        let fail = |message: String| Err(Located::new(span, Error::new(message)));
        match key.as_str() {
            "syntax" if self.out.syntax.is_none() => self.out.syntax = Some((value.to_owned(), span)),
            "check" if self.out.check.is_none() => self.out.check = Some((value.to_owned(), span)),
            "escape" if !self.escape_given => {
                self.escape_given = true;
                self.out.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => return fail(format!("escape directive {other:?}: want a backslash or a backtick")),
                };
            }
            "syntax" | "check" | "escape" => return fail(format!("{key} directive: given twice")),
            _ => {
                self.directives = false;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn instruction(&mut self, text: String, first: u32) -> Result<(), Located> {
        let escape = self.out.escape;
        let (keyword, flags, rest) = words::split_instruction(&text, escape);
        let mut heredocs = Vec::new();
        if heredoc::allowed(keyword, rest, escape) && text.contains("<<") {
            heredocs = heredoc::in_line(&text).map_err(|e| Located::new(Span::line(first), e))?;
            for heredoc in &mut heredocs {
                self.heredoc_body(heredoc, first)?;
            }
        }
        let span = Span { first, last: self.physical.number };
        let comments = std::mem::take(&mut self.comments);
        self.out.lines.push(Line {
            keyword: keyword.to_owned(),
            flags,
            rest: rest.to_owned(),
            text,
            heredocs,
            comments,
            span,
        });
        Ok(())
    }

    fn heredoc_body(&mut self, heredoc: &mut Heredoc, first: u32) -> Result<(), Located> {
        while let Some(raw) = self.physical.next()? {
            let mut end = trim_newline(raw);
            if heredoc.strip_tabs {
                end = end.trim_start_matches('\t');
            }
            if end == heredoc.name {
                return Ok(());
            }
            heredoc.body.push_str(raw);
        }
        let error = Error::new(format!("heredoc is not closed: no line {:?} follows", heredoc.name));
        Err(Located::new(Span::line(first), error))
    }
}

/// `key = value`, the key in lower case.
pub(super) fn split_directive(comment: &str) -> Option<(String, &str)> {
    let (key, value) = comment.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.chars().all(|c| c.is_ascii_alphanumeric());
    (word && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value))
}

fn trim_newline(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}
