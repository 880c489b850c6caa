//! Text to nodes.

use super::{Base, Command, Node, Pipe, Term, functions};
use crate::bail;
use crate::error::{Context, Result};
use serde_json::Value;

/// Parentheses and blocks in each other; a template is written by hand.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Vec<Node>> {
    let pieces = pieces(text)?;
    let mut at = pieces.iter();
    let (nodes, end) = block(&mut at, 0)?;
    match end {
        None => Ok(nodes),
        Some(end) => bail!("{{{{{}}}}} without a beginning", end.word()),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Action(&'a str),
}

/// What ends a block, or its first half.
enum End<'a> {
    End,
    /// With what stands behind it: `if ...`, or nothing.
    Else(&'a str),
}

impl End<'_> {
    fn word(&self) -> &'static str {
        match self {
            End::End => "end",
            End::Else(_) => "else",
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (trim, behind) = match behind.strip_prefix("- ") {
            Some(behind) => (true, behind),
            None => (false, behind),
        };
        pieces.push(Piece::Text(if trim { before.trim_end() } else { before }));
        let Some((action, behind)) = end_of_action(behind) else {
            bail!("{{{{ without }}}}");
        };
        let (action, trim) = match action.strip_suffix(" -") {
            Some(action) => (action, true),
            None => (action, false),
        };
        let comment = action.trim().strip_prefix("/*").is_some_and(|text| text.ends_with("*/"));
        if !comment {
            pieces.push(Piece::Action(action.trim()));
        }
        rest = if trim { behind.trim_start() } else { behind };
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// The action, and what is behind its `}}`; quotation marks may have such braces in them.
fn end_of_action(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut quote: Option<u8> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (quote, *byte) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(mark), byte) if mark == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'`') => quote = Some(*byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some((text.get(..at)?, text.get(at + 2..)?)),
            _ => {}
        }
        at += 1;
    }
    None
}

fn block<'a>(pieces: &mut std::slice::Iter<Piece<'a>>, depth: usize) -> Result<(Vec<Node>, Option<End<'a>>)> {
    if depth > DEPTH_MAX {
        bail!("more than {DEPTH_MAX} blocks in each other");
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text("") => continue,
            Piece::Text(text) => {
                nodes.push(Node::Text((*text).to_owned()));
                continue;
            }
            Piece::Action(action) => *action,
        };
        let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
        match word {
            "end" => return Ok((nodes, Some(End::End))),
            "else" => return Ok((nodes, Some(End::Else(rest.trim())))),
            "if" | "with" | "range" => nodes.push(branch(word, rest, pieces, depth)?),
            _ => nodes.push(Node::Print(pipe(action)?)),
        }
    }
    Ok((nodes, None))
}

fn branch(word: &str, rest: &str, pieces: &mut std::slice::Iter<Piece>, depth: usize) -> Result<Node> {
    let value = pipe(rest)?;
    let (then, end) = block(pieces, depth + 1)?;
    let otherwise = match end {
        Some(End::End) => Vec::new(),
        Some(End::Else("")) => match block(pieces, depth + 1)? {
            (otherwise, Some(End::End)) => otherwise,
            _ => bail!("{{{{{word}}}}} without {{{{end}}}}"),
        },
        // `else if` shares the `end`.
        Some(End::Else(more)) => match more.split_once(char::is_whitespace) {
            Some((word @ ("if" | "with"), rest)) => vec![branch(word, rest, pieces, depth + 1)?],
            _ => bail!("{{{{else {more}}}}}: want if or with"),
        },
        None => bail!("{{{{{word}}}}} without {{{{end}}}}"),
    };
    Ok(match word {
        "if" => Node::If { condition: value, then, otherwise },
        "with" => Node::With { value, then, otherwise },
        _ => Node::Range { over: value, each: then, otherwise },
    })
}

fn pipe(text: &str) -> Result<Pipe> {
    let mut words = Words { rest: text };
    let pipe = words.pipe(0).with(|| format!("{{{{{text}}}}}"))?;
    match words.rest.trim_start() {
        "" => Ok(pipe),
        rest => bail!("{{{{{text}}}}}: {rest:?} is too much"),
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Up to its end, or to a closing parenthesis, which is left.
    fn pipe(&mut self, depth: usize) -> Result<Pipe> {
        if depth > DEPTH_MAX {
            bail!("more than {DEPTH_MAX} parentheses in each other");
        }
        let mut pipe = Pipe::new();
        loop {
            pipe.push(self.command(depth)?);
            if !self.take_if(|next| next == '|') {
                break;
            }
        }
        if pipe.iter().skip(1).any(|command| matches!(command, Command::Value(_))) {
            bail!("only a function can stand behind |");
        }
        Ok(pipe)
    }

    fn command(&mut self, depth: usize) -> Result<Command> {
        self.rest = self.rest.trim_start();
        let function = match self.rest.chars().next() {
            Some(first) if first.is_alphabetic() => match self.word() {
                "true" => return Ok(Command::Value(literal(true))),
                "false" => return Ok(Command::Value(literal(false))),
                name => functions::find(name)?,
            },
            None => bail!("empty"),
            _ => {
                let Some(term) = self.term(depth)? else {
                    bail!("empty");
                };
                if self.term(depth)?.is_some() {
                    bail!("two values without a function");
                }
                return Ok(Command::Value(term));
            }
        };
        let mut terms = Vec::new();
        while let Some(term) = self.term(depth)? {
            terms.push(term);
        }
        Ok(Command::Call(function, terms))
    }

    fn term(&mut self, depth: usize) -> Result<Option<Term>> {
        self.rest = self.rest.trim_start();
        let of = match self.rest.chars().next() {
            None | Some('|' | ')') => return Ok(None),
            Some('.') => Base::Dot,
            Some('$') => {
                self.skip(1);
                if self.rest.chars().next().is_some_and(char::is_alphanumeric) {
                    bail!("variables are not supported");
                }
                Base::Whole
            }
            Some('(') => {
                self.skip(1);
                let pipe = self.pipe(depth + 1)?;
                if !self.take_if(|next| next == ')') {
                    bail!("( without )");
                }
                Base::Pipe(pipe)
            }
            Some('"' | '`') => Base::Literal(Value::String(self.string()?)),
            Some(next) if next.is_ascii_digit() || next == '-' => {
                let word = self.word();
                match word.parse::<i64>() {
                    Ok(number) => Base::Literal(number.into()),
                    Err(_) => bail!("{word}: not a number"),
                }
            }
            Some(next) if next.is_alphabetic() => match self.word() {
                "true" => Base::Literal(true.into()),
                "false" => Base::Literal(false.into()),
                name => Base::Pipe(vec![Command::Call(functions::find(name)?, Vec::new())]),
            },
            Some(next) => bail!("{next:?} is not understood"),
        };
        let mut fields = Vec::new();
        while self.rest.starts_with('.') {
            self.skip(1);
            match self.word() {
                "" => break,
                field => fields.push(field.to_owned()),
            }
        }
        Ok(Some(Term { of, fields }))
    }

    fn string(&mut self) -> Result<String> {
        if let Some(raw) = self.rest.strip_prefix('`') {
            let Some((text, rest)) = raw.split_once('`') else {
                bail!("` without its end");
            };
            self.rest = rest;
            return Ok(text.to_owned());
        }
        // Go's escapes and JSON's are the same where it matters.
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, next)| {
            let ends = *next == '"' && !escaped;
            escaped = *next == '\\' && !escaped;
            ends
        });
        let Some((text, rest)) = end.and_then(|(at, _)| self.rest.split_at_checked(at + 1)) else {
            bail!("\" without its end");
        };
        self.rest = rest;
        serde_json::from_str(text).with(|| format!("string {text}"))
    }

    fn word(&mut self) -> &'a str {
        let in_word = |next: char| next.is_alphanumeric() || next == '_' || next == '-';
        let length = self.rest.find(|next| !in_word(next)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        word
    }

    fn take_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        self.rest = self.rest.trim_start();
        let taken = self.rest.chars().next().is_some_and(wanted);
        if taken {
            self.skip(1);
        }
        taken
    }

    /// Over characters of one byte.
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

fn literal(value: impl Into<Value>) -> Term {
    Term { of: Base::Literal(value.into()), fields: Vec::new() }
}
