//! GVariant's text format (docs.gtk.org/glib/gvariant-text-format.html), as far as properties of units need it:
//! `true`, `30`, `uint64 1`, `'text'`, `["a", 'b']`, `@as []`, `('a', 1)`, `<1>`, `[byte 0x61, 0x62]`.

use super::Value;
use crate::bail;
use crate::error::{Error, Result};

/// More than any property of a unit.
const DEPTH_MAX: usize = 8;

const TYPES: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

/// One value: numbers without a type are int32, or double where they have a point.
pub fn parse(text: &str) -> Result<Value> {
    let mut parser = Parser { rest: text };
    let value = parser.value("", 0)?;
    parser.space();
    if !parser.rest.is_empty() {
        bail!("{:?} is behind the value", parser.rest);
    }
    Ok(value)
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, symbol: char) -> bool {
        self.space();
        let found = self.rest.strip_prefix(symbol);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn word(&mut self) -> &'a str {
        self.space();
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c));
        let (word, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    /// `kind`: the type that it must have; empty: whatever it is.
    fn value(&mut self, kind: &str, depth: usize) -> Result<Value> {
        if depth > DEPTH_MAX {
            bail!("it nests too deep");
        }
        self.space();
        match self.rest.chars().next() {
            None => bail!("a value is missing"),
            Some('@') => self.annotated(depth),
            Some('\'' | '"') => string(self.quoted()?, kind),
            Some('[') => self.array(kind, depth),
            Some('(') => self.tuple(kind, depth),
            Some('<') => {
                self.eat('<');
                let value = self.value("", depth + 1)?;
                if !self.eat('>') {
                    bail!("\">\" is missing");
                }
                Ok(value.variant())
            }
            Some(_) => {
                let word = self.word();
                match TYPES.iter().find(|(name, _)| *name == word) {
                    Some((_, kind)) => self.value(kind, depth + 1),
                    None => scalar(word, kind),
                }
            }
        }
    }

    fn annotated(&mut self, depth: usize) -> Result<Value> {
        self.eat('@');
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (kind, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.value(kind, depth + 1)
    }

    fn array(&mut self, kind: &str, depth: usize) -> Result<Value> {
        self.eat('[');
        let mut element = kind.strip_prefix('a').unwrap_or_default().to_owned();
        let mut values: Vec<Value> = Vec::new();
        while !self.eat(']') {
            if !values.is_empty() && !self.eat(',') {
                bail!("\",\" or \"]\" is missing");
            }
            let value = self.value(&element, depth + 1)?;
            if element.is_empty() {
                element = value.signature();
            }
            if value.signature() != element {
                bail!("an array has elements of different types");
            }
            values.push(value);
        }
        if element.is_empty() {
            bail!("an empty array needs a type: @as []");
        }
        Ok(Value::Array(element, values))
    }

    fn tuple(&mut self, kind: &str, depth: usize) -> Result<Value> {
        self.eat('(');
        // A type's letters, where each member is of a basic type.
        let kinds = kind.trim_start_matches('(').trim_end_matches(')');
        let simple = kinds.bytes().all(|letter| b"ybnqiuxtdsogv".contains(&letter));
        let mut members = Vec::new();
        while !self.eat(')') {
            if !members.is_empty() && !self.eat(',') {
                bail!("\",\" or \")\" is missing");
            }
            let kind = kinds.get(members.len()..members.len() + 1).filter(|_| simple);
            members.push(self.value(kind.unwrap_or_default(), depth + 1)?);
        }
        Ok(Value::Struct(members))
    }

    fn quoted(&mut self) -> Result<String> {
        let mut characters = self.rest.chars();
        let quote = characters.next();
        let mut text = String::new();
        loop {
            match characters.next() {
                None => bail!("a string has no end"),
                c if c == quote => break,
                Some('\\') => match characters.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                    _ => bail!("a string has an escape that is not known"),
                },
                Some('\0') => bail!("a string has a zero byte"),
                Some(c) => text.push(c),
            }
        }
        self.rest = characters.as_str();
        Ok(text)
    }
}

fn string(text: String, kind: &str) -> Result<Value> {
    match kind {
        "" | "s" => Ok(Value::String(text)),
        "o" => Ok(Value::Path(text)),
        "g" => Ok(Value::Signature(text)),
        _ => bail!("{text:?} is a string, and type {kind} is wanted"),
    }
}

fn scalar(word: &str, kind: &str) -> Result<Value> {
    let wrong = || Error::new(format!("{word:?} is no value of type {}", if kind.is_empty() { "i" } else { kind }));
    let number = || -> Option<i128> {
        let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
        let (radix, digits) = digits.strip_prefix("0x").map_or((10, digits), |digits| (16, digits));
        Some(sign * i128::from(u64::from_str_radix(digits, radix).ok()?))
    };
    macro_rules! integer {
        ($variant:ident) => {
            number().and_then(|number| number.try_into().ok()).map(Value::$variant)
        };
    }
    let value = match kind {
        "b" | "" if word == "true" || word == "false" => Some(Value::Bool(word == "true")),
        "" if number().is_none() => word.parse().ok().map(Value::Double),
        "d" => word.parse().ok().map(Value::Double),
        "" | "i" => integer!(Int32),
        "y" => integer!(Byte),
        "n" => integer!(Int16),
        "q" => integer!(Uint16),
        "u" => integer!(Uint32),
        "x" => integer!(Int64),
        "t" => integer!(Uint64),
        _ => None,
    };
    value.ok_or_else(wrong)
}
