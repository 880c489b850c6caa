//! The patterns of `${name#pattern}` and its kin: `*`, `?`, and `\` before what is meant literally.

use crate::bail;
use crate::error::{Error, Result};
use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Many,
    One,
    Literal(char),
}

pub(super) fn parse(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Many,
            '?' => Token::One,
            '\\' => match chars.next() {
                // Escaped for the sake of `${...}`, not of the pattern.
                Some(c @ ('}' | '/' | '*' | '?' | '\\')) => Token::Literal(c),
                Some(c) => bail!("pattern {text:?}: \\{c} means nothing"),
                None => bail!("pattern {text:?}: ends with an escape character"),
            },
            c => Token::Literal(c),
        });
    }
    Ok(tokens)
}

pub(super) fn without_prefix<'v>(pattern: &[Token], value: &'v str, longest: bool) -> Result<&'v str> {
    let regex = compile(pattern, longest, true)?;
    Ok(regex.find(value).and_then(|found| value.get(found.end()..)).unwrap_or(value))
}

/// A suffix is the prefix of everything reversed: a search from the left cannot find the shortest match at the end.
pub(super) fn without_suffix(mut pattern: Vec<Token>, value: &str, longest: bool) -> Result<String> {
    pattern.reverse();
    let reversed: String = value.chars().rev().collect();
    Ok(without_prefix(&pattern, &reversed, longest)?.chars().rev().collect())
}

pub(super) fn replace(pattern: &[Token], value: &str, with: &str, all: bool, bytes_max: usize) -> Result<String> {
    let regex = compile(pattern, true, false)?;
    let mut out = String::new();
    let mut done = 0;
    for found in regex.find_iter(value).take(if all { usize::MAX } else { 1 }) {
        out.push_str(value.get(done..found.start()).unwrap_or_default());
        out.push_str(with);
        done = found.end();
        if out.len() > bytes_max {
            bail!("expands to more than {bytes_max} bytes");
        }
    }
    out.push_str(value.get(done..).unwrap_or_default());
    Ok(out)
}

fn compile(pattern: &[Token], longest: bool, anchored: bool) -> Result<Regex> {
    let mut text = if anchored { "^".to_owned() } else { String::new() };
    for token in pattern {
        match token {
            Token::Many if longest => text.push_str(".*"),
            Token::Many => text.push_str(".*?"),
            Token::One => text.push('.'),
            Token::Literal(c) => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Regex::new(&text).map_err(|_| Error::new("pattern is too long"))
}
