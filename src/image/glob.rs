//! Go's file name patterns (`path/filepath.Match`): `*` and `?` stop at `/`, `[a-z]` and `[^a-z]` are classes, `\` takes
//! the meaning from what follows. The patterns of ignore files are the same with `**` added.

use crate::bail;
use crate::error::{Error, Result};
use regex::Regex;

#[derive(Debug, Clone)]
pub struct Glob {
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// No special character: the pattern is the name.
    Literal(String),
    /// `dir/**`: everything whose name begins so.
    Prefix(String),
    /// `**/name`: everything whose name ends so, or is it without the slash.
    Suffix(String),
    Regex(Regex),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(char),
    Escaped(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `**`, and whether a slash was behind it.
    Deep {
        slash: bool,
    },
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// As in COPY's sources: `**` is `*` twice.
    pub fn new(pattern: &str) -> Result<Glob> {
        Glob::compile(pattern, false)
    }

    /// As in ignore files and `--exclude`.
    pub fn with_deep(pattern: &str) -> Result<Glob> {
        Glob::compile(pattern, true)
    }

    fn compile(pattern: &str, deep: bool) -> Result<Glob> {
        let tokens = parse(pattern, deep).map_err(|error| error.context(format!("pattern {pattern:?}")))?;
        let shape = match simple(&tokens) {
            Some(shape) => shape,
            None => {
                let regex = Regex::new(&regex_text(&tokens));
                Shape::Regex(regex.map_err(|_| Error::new(format!("pattern {pattern:?}: too long")))?)
            }
        };
        Ok(Glob { shape })
    }

    /// Whether the whole of a slash-separated path matches.
    pub fn matches(&self, path: &str) -> bool {
        match &self.shape {
            Shape::Literal(name) => path == name,
            Shape::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Shape::Suffix(suffix) => path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path),
            Shape::Regex(regex) => regex.is_match(path),
        }
    }

    /// The name, where the pattern can match only one.
    pub fn literal(&self) -> Option<&str> {
        match &self.shape {
            Shape::Literal(name) => Some(name),
            _ => None,
        }
    }
}

/// Whether a source of COPY is a pattern and not a name.
pub fn has_wildcard(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    false
}

fn parse(pattern: &str, deep: bool) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if deep && chars.next_if_eq(&'*').is_some() => Token::Deep { slash: chars.next_if_eq(&'/').is_some() },
            '*' => Token::Many,
            '?' => Token::One,
            '[' => class(&mut chars)?,
            '\\' => match chars.next() {
                Some(c) => Token::Escaped(c),
                None => bail!("ends with a backslash"),
            },
            c => Token::Literal(c),
        });
    }
    Ok(tokens)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars>) -> Result<Token> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars>) -> Result<char> {
    let found = match chars.next() {
        Some('-' | ']') => None,
        Some('\\') => chars.next(),
        c => c,
    };
    found.ok_or_else(|| Error::new("a [class] is not closed, or empty"))
}

/// The shapes that need no regular expression. `**name` (without slash) means "ends with name", which differs from
/// what `**` means in the middle of a pattern; the ignore files of the world rely on it.
fn simple(tokens: &[Token]) -> Option<Shape> {
    let text = |tokens: &[Token]| -> Option<String> {
        let literal = |token: &Token| match token {
            Token::Literal(c) => Some(*c),
            _ => None,
        };
        tokens.iter().map(literal).collect()
    };
    match tokens {
        [Token::Deep { slash: false }, rest @ ..] => text(rest).map(Shape::Suffix),
        [Token::Deep { slash: true }, rest @ ..] => text(rest).map(|name| Shape::Suffix(format!("/{name}"))),
        [rest @ .., Token::Deep { .. }] => text(rest).map(Shape::Prefix),
        all => text(all).map(Shape::Literal),
    }
}

fn regex_text(tokens: &[Token]) -> String {
    let mut text = "(?s)^".to_owned();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Literal(c) | Token::Escaped(c) => push_escaped(&mut text, *c),
            Token::One => text.push_str("[^/]"),
            Token::Many => text.push_str("[^/]*"),
            Token::Deep { .. } if at + 1 == tokens.len() => text.push_str(".*"),
            Token::Deep { .. } => text.push_str("(?:.*/)?"),
            Token::Class { negated, ranges } => push_class(&mut text, *negated, ranges),
        }
    }
    text.push('$');
    text
}

fn push_escaped(text: &mut String, c: char) {
    text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

fn push_class(text: &mut String, negated: bool, ranges: &[(char, char)]) {
    // A range that runs backwards contains nothing.
    let ranges: Vec<&(char, char)> = ranges.iter().filter(|(low, high)| low <= high).collect();
    if ranges.is_empty() {
        text.push_str(if negated { "." } else { "[^\\x{0}-\\x{10FFFF}]" });
        return;
    }
    text.push_str(if negated { "[^" } else { "[" });
    for (low, high) in ranges {
        let (low, high) = (u32::from(*low), u32::from(*high));
        text.push_str(&format!("\\x{{{low:X}}}-\\x{{{high:X}}}"));
    }
    text.push(']');
}

#[cfg(test)]
mod tests;
