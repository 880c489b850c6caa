//! The `--flags` of an instruction.

use super::suggest;
use crate::bail;
use crate::error::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--link`, `--link=false`
    Switch,
    /// `--chown=VALUE`, once
    Value,
    /// `--mount=VALUE`, any number of times
    Values,
}

pub struct Flags<'a> {
    given: Vec<(&'static str, &'a str)>,
}

impl<'a> Flags<'a> {
    /// Checks the words against the flags that the instruction knows.
    pub fn parse(words: &'a [String], known: &'static [(&'static str, Kind)]) -> Result<Flags<'a>> {
        let mut given: Vec<(&str, &str)> = Vec::new();
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let bare = name.strip_prefix("--").unwrap_or(name);
            let Some((known_name, kind)) = known.iter().find(|(known, _)| *known == bare) else {
                bail!("unknown flag: {name}{}", suggest::hint(bare, known.iter().map(|(name, _)| *name)));
            };
            if *kind != Kind::Values && given.iter().any(|(given, _)| given == known_name) {
                bail!("flag {name}: given twice");
            }
            let value = match (kind, value) {
                (Kind::Switch, None) => "true",
                (Kind::Switch, Some(value)) if value.eq_ignore_ascii_case("true") => "true",
                (Kind::Switch, Some(value)) if value.eq_ignore_ascii_case("false") => "false",
                (Kind::Switch, Some(value)) => bail!("flag {name}: {value:?} is neither true nor false"),
                (_, Some(value)) => value,
                (_, None) => bail!("flag {name}: has no value; want {name}=VALUE"),
            };
            given.push((*known_name, value));
        }
        Ok(Flags { given })
    }

    /// No flag may be given.
    pub fn none(words: &[String]) -> Result<()> {
        Flags::parse(words, &[]).map(|_| ())
    }

    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, value)| *value)
    }

    pub fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value == "true")
    }
}
