//! The small grammars inside a line: keyword and flags, words with their quotes, `name=value`, JSON arrays.

use crate::bail;
use crate::error::{Error, Result};
use serde_json::Value;

/// What separates keyword from arguments, and words where quotes mean nothing.
const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// Keyword, flags and the rest, which begins at the first word that is no flag (or behind a lone `--`).
pub fn split_instruction(text: &str, escape: char) -> (&str, Vec<String>, &str) {
    let text = text.trim();
    let Some(end) = text.find(BLANKS) else {
        return (text, Vec::new(), "");
    };
    let (keyword, arguments) = text.split_at(end);
    let (flags, rest) = split_flags(arguments.trim_start_matches(BLANKS), escape);
    (keyword, flags, rest.trim())
}

/// Flags lose their quotes and escapes here, as a shell would take them away.
fn split_flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (word, behind) = take_unquoted(rest, escape);
        rest = behind.trim_start();
        if word == "--" {
            break;
        }
        flags.push(word);
    }
    (flags, rest)
}

/// The first word of `text`, which begins with one, without quotes and escapes; and what is behind it.
fn take_unquoted(text: &str, escape: char) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, &text[at..]),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            _ => word.push(c),
        }
    }
    (word, "")
}

/// Words separated by white space; quotes keep white space together and stay in the word, escapes too.
pub fn split_quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            // An escape character that ends the text is dropped.
            if let Some(escaped) = chars.next() {
                word.extend([c, escaped]);
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Words separated by blanks, where quotes mean nothing.
pub fn split_blanks(text: &str) -> Vec<String> {
    text.split(BLANKS).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// One `name=value` of ENV or LABEL, before expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub value: String,
    /// Written in the old form, `ENV name value`.
    pub old_form: bool,
}

/// The arguments of ENV and LABEL. Where the first word has no `=`, everything behind it is one value.
pub fn pairs(text: &str, escape: char) -> Result<Vec<Pair>> {
    let words = split_quoted(text, escape);
    let Some(first) = words.first() else {
        bail!("requires at least one argument");
    };
    let mut pairs = Vec::new();
    if !first.contains('=') {
        let Some((name, value)) = text.split_once(BLANKS) else {
            bail!("{first}: has no value; want name=value");
        };
        let value = value.trim_start_matches(BLANKS).to_owned();
        pairs.push(Pair { name: name.to_owned(), value, old_form: true });
        return Ok(pairs);
    }
    for word in &words {
        match word.split_once('=') {
            Some(("", _)) => bail!("{word}: has no name; want name=value"),
            Some((name, value)) => {
                pairs.push(Pair { name: name.to_owned(), value: value.to_owned(), old_form: false });
            }
            None => bail!("{word}: no '=' in it; want name=value, with quotes around a value that has spaces"),
        }
    }
    Ok(pairs)
}

/// A JSON array of strings (the exec form). `None` where the text is no JSON array: then it is the shell form, however
/// much it looks like a mistake. An array that has something else than strings in it is an error.
pub fn json_strings(text: &str) -> Result<Option<Vec<String>>> {
    if !text.trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<Value>>(text) else {
        return Ok(None);
    };
    let string = |value| match value {
        Value::String(text) => Ok(text),
        other => Err(Error::new(format!("JSON array: {other} is not a string; only strings may be in it"))),
    };
    values.into_iter().map(string).collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests;
