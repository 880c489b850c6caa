//! Quotes and variables in a word: what a POSIX shell does, as far as Dockerfiles know it.
//!
//! Unquoted, an escape character takes the meaning from what follows; within double quotes it does so only before `"`,
//! `$` and itself; within single quotes nothing has a meaning. `$name`, `${name}` and `${name<op>word}` are replaced:
//! `-` `+` `?` each with or without `:`, `#` `##` `%` `%%` `/` `//`. What was replaced is not looked at again, except
//! that unquoted white space in it separates words.

mod pattern;

use crate::bail;
use crate::error::{Context, Error, Result};
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// `${a:-${b:-${c:-...}}}`: deeper than any person nests, and little enough for the stack.
const DEPTH_MAX: usize = 40;
/// No single string of an environment can be longer (Linux: MAX_ARG_STRLEN).
pub const WORD_BYTES_MAX: usize = 128 << 10;
/// For the bodies of heredocs.
pub const TEXT_BYTES_MAX: usize = 16 << 20;
/// How much of the source an error shows.
const SHOWN_CHARS: usize = 60;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub escape: char,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes are ordinary characters.
    pub plain_quotes: bool,
    /// A variable that is not set stays as it was written.
    pub keep_unset: bool,
    pub bytes_max: usize,
}

impl Options {
    /// For the arguments of instructions.
    pub fn word(escape: char) -> Options {
        let (raw_quotes, raw_escapes, plain_quotes, keep_unset) = (false, false, false, false);
        Options { escape, raw_quotes, raw_escapes, plain_quotes, keep_unset, bytes_max: WORD_BYTES_MAX }
    }

    /// For the bodies of heredocs: only variables, escaped by a backslash whatever the directive says.
    pub fn heredoc() -> Options {
        Options { plain_quotes: true, bytes_max: TEXT_BYTES_MAX, ..Options::word('\\') }
    }

    /// For delimiters of heredocs: no variable is ever replaced.
    pub fn literal() -> Options {
        Options { keep_unset: true, bytes_max: super::BYTES_MAX, ..Options::word('\\') }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct Expanded {
    pub text: String,
    /// The same, separated at white space outside of quotes.
    pub words: Vec<String>,
    /// Names that were looked up and found.
    pub used: BTreeSet<String>,
    /// Names that were looked up and not found.
    pub unset: BTreeSet<String>,
}

pub fn expand<'v>(text: &str, options: Options, variables: &'v dyn Fn(&str) -> Option<&'v str>) -> Result<Expanded> {
    let mut expander = Expander {
        source: text.chars().peekable(),
        options,
        variables,
        depth: 0,
        used: BTreeSet::new(),
        unset: BTreeSet::new(),
    };
    let output = expander.until(None, options.raw_escapes).with(|| format!("expand {}", shown(text)))?;
    Ok(Expanded { words: output.words.finish(), text: output.text, used: expander.used, unset: expander.unset })
}

/// The words of a text without variables.
pub fn words(text: &str, options: Options) -> Result<Vec<String>> {
    Ok(expand(text, options, &|_| None)?.words)
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

struct Expander<'t, 'v> {
    source: Peekable<Chars<'t>>,
    options: Options,
    variables: &'v dyn Fn(&str) -> Option<&'v str>,
    depth: usize,
    used: BTreeSet<String>,
    unset: BTreeSet<String>,
}

#[derive(Default)]
struct Output {
    text: String,
    words: Words,
}

#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
}

impl Words {
    /// Text whose white space separates words.
    fn add(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() {
                self.word.push(c);
            } else if !self.word.is_empty() {
                self.done.push(std::mem::take(&mut self.word));
            }
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

impl<'v> Expander<'_, 'v> {
    /// Everything up to `stop`, which is taken, or to the end.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<Output> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            bail!("substitutions nested more than {DEPTH_MAX} deep");
        }
        let mut out = Output::default();
        while let Some(c) = self.source.next() {
            if Some(c) == stop {
                self.depth -= 1;
                return Ok(out);
            }
            self.one(c, raw_escapes, &mut out)?;
            if out.text.len() > self.options.bytes_max {
                bail!("expands to more than {} bytes", self.options.bytes_max);
            }
        }
        if let Some(stop) = stop {
            bail!("no closing {stop:?}");
        }
        Ok(out)
    }

    fn one(&mut self, c: char, raw_escapes: bool, out: &mut Output) -> Result<()> {
        let raw = match c {
            '$' => {
                let value = self.dollar()?;
                out.text.push_str(&value);
                out.words.add(&value);
                return Ok(());
            }
            '\'' if !self.options.plain_quotes => self.single_quoted()?,
            '"' if !self.options.plain_quotes => self.double_quoted(raw_escapes)?,
            '<' => self.heredoc_mark(),
            c if c == self.options.escape => {
                let mut escaped = String::new();
                if raw_escapes {
                    escaped.push(c);
                }
                escaped.extend(self.source.next());
                escaped
            }
            c => {
                out.text.push(c);
                out.words.add(c.encode_utf8(&mut [0; 4]));
                return Ok(());
            }
        };
        out.text.push_str(&raw);
        out.words.word.push_str(&raw);
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<String> {
        let mut text = String::new();
        let quote = self.options.raw_quotes.then_some('\'');
        text.extend(quote);
        loop {
            match self.source.next() {
                Some('\'') => break,
                Some(c) => text.push(c),
                None => bail!("no closing single quote"),
            }
        }
        text.extend(quote);
        Ok(text)
    }

    fn double_quoted(&mut self, raw_escapes: bool) -> Result<String> {
        let mut text = String::new();
        let quote = self.options.raw_quotes.then_some('"');
        text.extend(quote);
        loop {
            match self.source.next() {
                Some('"') => break,
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.options.escape => {
                    if raw_escapes {
                        text.push(c);
                    }
                    let escapable = |next: &char| matches!(*next, '"' | '$') || *next == c;
                    text.push(self.source.next_if(escapable).unwrap_or(c));
                }
                Some(c) => text.push(c),
                None => bail!("no closing double quote"),
            }
            if text.len() > self.options.bytes_max {
                bail!("expands to more than {} bytes", self.options.bytes_max);
            }
        }
        text.extend(quote);
        Ok(text)
    }

    /// White space between `<<` and a heredoc's delimiter does not separate words.
    fn heredoc_mark(&mut self) -> String {
        let mut mark = "<".to_owned();
        if self.source.next_if_eq(&'<').is_some() {
            mark.push('<');
            while let Some(blank) = self.source.next_if(|c| matches!(c, ' ' | '\t' | '\r')) {
                mark.push(blank);
            }
        }
        mark
    }

    /// What stands for everything from a `$` on; the `$` itself is taken already.
    fn dollar(&mut self) -> Result<String> {
        if self.source.next_if_eq(&'{').is_some() {
            return self.braces();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(match self.get(&name) {
            None if self.options.keep_unset => format!("${name}"),
            value => value.unwrap_or_default().to_owned(),
        })
    }

    fn braces(&mut self) -> Result<String> {
        let name = self.name();
        if name.is_empty() {
            bail!("bad substitution: no variable name behind '${{'");
        }
        let Some(mut operator) = self.source.next() else {
            bail!("no closing '}}'");
        };
        let colon = operator == ':';
        if colon {
            operator = self.source.next().unwrap_or(':');
        }
        match operator {
            '}' if !colon => Ok(match self.get(&name) {
                None if self.options.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default().to_owned(),
            }),
            '-' | '+' | '?' => {
                // A word in a pattern keeps its escapes for the pattern; here it is plain text again.
                let word = self.until(Some('}'), false)?.text;
                self.default(&name, colon, operator, word)
            }
            '#' | '%' if !colon => {
                let word = self.until(Some('}'), true)?.text;
                self.trim(&name, operator, &word)
            }
            '/' if !colon => self.replace(&name),
            _ => {
                let colon = if colon { ":" } else { "" };
                bail!("unknown operator {colon}{operator} behind ${{{name}");
            }
        }
    }

    /// `-` `+` `?`; with a colon an empty value counts as none.
    fn default(&mut self, name: &str, colon: bool, operator: char, word: String) -> Result<String> {
        // Whoever says what stands for it knows that it may be missing.
        let known = self.unset.contains(name);
        let value = self.get(name);
        if !known {
            self.unset.remove(name);
        }
        if value.is_none() && self.options.keep_unset {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        let present = value.filter(|value| !colon || !value.is_empty());
        match (operator, present) {
            ('-', None) => Ok(word),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            ('?', None) if !word.is_empty() => Err(Error::new(word).context(name)),
            ('?', None) if value.is_some() => bail!("{name}: may not be empty"),
            ('?', None) => bail!("{name}: is not set"),
            (_, present) => Ok(present.unwrap_or_default().to_owned()),
        }
    }

    /// `#` and `%`: takes away the shortest match of a pattern at the beginning or the end; doubled, the longest.
    fn trim(&mut self, name: &str, operator: char, word: &str) -> Result<String> {
        let Some(value) = self.get(name) else {
            let kept = format!("${{{name}{operator}{word}}}");
            return Ok(if self.options.keep_unset { kept } else { String::new() });
        };
        let (longest, word) = match word.strip_prefix(operator) {
            Some(word) => (true, word),
            None => (false, word),
        };
        let pattern = pattern::parse(word)?;
        let kept = if operator == '#' {
            pattern::without_prefix(&pattern, value, longest)?.to_owned()
        } else {
            pattern::without_suffix(pattern, value, longest)?
        };
        Ok(kept)
    }

    /// `/pattern/text}` and `//pattern/text}`.
    fn replace(&mut self, name: &str) -> Result<String> {
        let all = self.source.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true)?.text;
        let with = self.until(Some('}'), true)?.text;
        let Some(value) = self.get(name) else {
            let slash = if all { "//" } else { "/" };
            let kept = format!("${{{name}{slash}{pattern}/{with}}}");
            return Ok(if self.options.keep_unset { kept } else { String::new() });
        };
        pattern::replace(&pattern::parse(&pattern)?, value, &with, all, self.options.bytes_max)
    }

    fn get(&mut self, name: &str) -> Option<&'v str> {
        let value = (self.variables)(name);
        let names = if value.is_some() { &mut self.used } else { &mut self.unset };
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
        value
    }

    /// Digits, or one special parameter of the shell (never set here), or letters, digits and `_`.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let digits = self.source.peek().is_some_and(char::is_ascii_digit);
        if !digits && let Some(special) = self.source.next_if(|c| matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!'))
        {
            name.push(special);
            return name;
        }
        let belongs = |c: &char| if digits { c.is_ascii_digit() } else { c.is_alphanumeric() || *c == '_' };
        while let Some(c) = self.source.next_if(belongs) {
            name.push(c);
        }
        name
    }
}

#[cfg(test)]
mod tests;
