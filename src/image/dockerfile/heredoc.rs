//! Here-documents: which words of a line announce one.

use super::expand::{self, Options};
use super::words;
use crate::error::Result;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes; for COPY and ADD the name of the file.
    pub name: String,
    /// The delimiter had no quotes, so that variables in the body are replaced (COPY and ADD only).
    pub expand: bool,
    /// `<<-`: leading tabs are taken away.
    pub strip_tabs: bool,
    /// As it stands in the file.
    pub body: String,
}

impl Heredoc {
    pub fn content(&self) -> String {
        if !self.strip_tabs {
            return self.body.clone();
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Whether an instruction takes heredocs: RUN, COPY and ADD do (also behind ONBUILD), in shell form.
pub fn allowed(keyword: &str, rest: &str, escape: char) -> bool {
    if keyword.eq_ignore_ascii_case("ONBUILD") {
        let (keyword, _, rest) = words::split_instruction(rest, escape);
        return !keyword.eq_ignore_ascii_case("ONBUILD") && allowed(keyword, rest, escape);
    }
    let takes = ["RUN", "COPY", "ADD"].iter().any(|name| keyword.eq_ignore_ascii_case(name));
    takes && !matches!(words::json_strings(rest), Ok(Some(_)))
}

/// The heredocs that a line announces, bodies still empty. Its words are split as a shell would, so that a quoted `<<`
/// is none; a line with an open quote has none at all.
pub fn in_line(text: &str) -> Result<Vec<Heredoc>> {
    let options = Options { raw_quotes: true, raw_escapes: true, ..Options::literal() };
    let words = expand::words(text, options).unwrap_or_default();
    words.iter().filter_map(|word| parse(word).transpose()).collect()
}

/// `[fd]<<[-]DELIMITER` where the word is of that shape.
pub fn parse(word: &str) -> Result<Option<Heredoc>> {
    let Some(rest) = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<") else {
        return Ok(None);
    };
    let (strip_tabs, delimiter) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest.trim_start()),
    };
    if delimiter.is_empty() || delimiter.contains('<') {
        return Ok(None);
    }
    let bare = expand::words(delimiter, Options::literal())?;
    let [name] = bare.as_slice() else {
        return Ok(None);
    };
    let quoted = expand::words(delimiter, Options { raw_quotes: true, ..Options::literal() })?;
    let quotes = |word: &String| word.matches(['\'', '"']).count();
    // Any quote in the delimiter, not an escaped one, switches expansion off.
    let expand = quoted.iter().map(quotes).sum::<usize>() == quotes(name);
    Ok(Some(Heredoc { name: name.clone(), expand, strip_tabs, body: String::new() }))
}
