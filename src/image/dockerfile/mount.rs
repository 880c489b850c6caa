//! `RUN --mount=type=cache,target=/x`: parsed when the file is read, resolved when variables are known.

use super::suggest;
use crate::bail;
use crate::error::{Context, Result};

/// The value of one `--mount`, its variables not yet replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    fields: Vec<(Key, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// Several builds at once.
    #[default]
    Shared,
    /// A second build at the same time gets a directory of its own.
    Private,
    /// A second build waits.
    Locked,
}

/// What the mount asks for. Defaults that depend on the kind are filled in, except for `target` and `id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    pub kind: Kind,
    pub from: Option<String>,
    pub source: Option<String>,
    pub target: Option<String>,
    pub read_only: bool,
    /// Bytes; 0 is no limit.
    pub size: u64,
    pub id: Option<String>,
    pub sharing: Sharing,
    pub required: bool,
    pub env: Option<String>,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Type,
    From,
    Source,
    Target,
    ReadOnly,
    ReadWrite,
    Required,
    Size,
    Id,
    Sharing,
    Mode,
    Uid,
    Gid,
    Env,
}

use Kind::{Bind, Cache, Secret, Ssh, Tmpfs};

const KEYS: [(&str, Key); 19] = [
    ("type", Key::Type),
    ("from", Key::From),
    ("source", Key::Source),
    ("src", Key::Source),
    ("target", Key::Target),
    ("dst", Key::Target),
    ("destination", Key::Target),
    ("readonly", Key::ReadOnly),
    ("ro", Key::ReadOnly),
    ("readwrite", Key::ReadWrite),
    ("rw", Key::ReadWrite),
    ("required", Key::Required),
    ("size", Key::Size),
    ("id", Key::Id),
    ("sharing", Key::Sharing),
    ("mode", Key::Mode),
    ("uid", Key::Uid),
    ("gid", Key::Gid),
    ("env", Key::Env),
];

const KINDS: [(&str, Kind); 5] = [("bind", Bind), ("cache", Cache), ("tmpfs", Tmpfs), ("secret", Secret), ("ssh", Ssh)];

const SHARINGS: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

/// Keys that only some kinds of mounts know; the others are for all.
const ONLY_FOR: [(Key, &[Kind]); 9] = [
    (Key::From, &[Bind, Cache, Tmpfs, Ssh]),
    (Key::Source, &[Bind, Cache, Tmpfs, Secret]),
    (Key::Required, &[Secret, Ssh]),
    (Key::Size, &[Tmpfs]),
    (Key::Sharing, &[Cache]),
    (Key::Mode, &[Cache, Secret, Ssh]),
    (Key::Uid, &[Cache, Secret, Ssh]),
    (Key::Gid, &[Cache, Secret, Ssh]),
    (Key::Env, &[Secret]),
];

impl Mount {
    pub fn parse(text: &str) -> Result<Mount> {
        let mut fields = Vec::new();
        for field in comma_separated(text)? {
            let (name, value) = match field.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (field.as_str(), None),
            };
            let lower = name.to_ascii_lowercase();
            let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == lower) else {
                bail!("unknown key {name:?}{}", suggest::hint(&lower, KEYS.iter().map(|(name, _)| *name)));
            };
            let value = match value {
                Some(value) => value,
                None if matches!(key, Key::ReadOnly | Key::ReadWrite | Key::Required) => "true",
                None => bail!("{name}: has no value; want {name}=VALUE"),
            };
            if *key == Key::From && value.trim_end_matches('$').contains('$') {
                bail!("from={value}: variables are not replaced here; name a stage with FROM ... AS and mount from it");
            }
            fields.push((*key, value.to_owned()));
        }
        Ok(Mount { fields })
    }

    /// The stage or image that is mounted.
    pub fn from(&self) -> Option<&str> {
        let from = self.fields.iter().rev().find(|(key, _)| *key == Key::From).map(|(_, value)| value.as_str());
        from.filter(|from| !from.is_empty())
    }

    pub fn resolve(&self, expand: &mut dyn FnMut(&str) -> Result<String>) -> Result<Resolved> {
        let mut fields = Vec::with_capacity(self.fields.len());
        for (key, value) in &self.fields {
            fields.push((*key, if *key == Key::From { value.clone() } else { expand(value)? }));
        }
        let kind = match fields.iter().rev().find(|(key, _)| *key == Key::Type) {
            Some((_, name)) => one_of("type", name, &KINDS)?,
            None => Bind,
        };
        let mut mount = Resolved::new(kind);
        for (key, value) in fields {
            let name = KEYS.iter().find(|(_, known)| *known == key).map_or("", |(name, _)| *name);
            if ONLY_FOR.iter().any(|(only, kinds)| *only == key && !kinds.contains(&kind)) {
                bail!("{name}: not allowed for a mount of type {}", kind.name());
            }
            mount.set(key, value).context(name)?;
        }
        if kind == Secret {
            if mount.source.is_some() && mount.id.is_some() {
                bail!("source and id both name the secret; give one");
            }
            if mount.source.is_none() && mount.id.is_none() && mount.target.is_none() {
                bail!("a secret needs id, source or target");
            }
        }
        Ok(mount)
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| *name)
    }
}

impl Resolved {
    fn new(kind: Kind) -> Resolved {
        Resolved {
            kind,
            from: None,
            source: None,
            target: None,
            read_only: !matches!(kind, Cache | Tmpfs),
            size: 0,
            id: None,
            sharing: Sharing::Shared,
            required: false,
            env: None,
            mode: None,
            uid: None,
            gid: None,
        }
    }

    fn set(&mut self, key: Key, value: String) -> Result<()> {
        let given = |value: String| Some(value).filter(|value| !value.is_empty());
        match key {
            Key::Type => {}
            Key::From => self.from = given(value),
            Key::Source => self.source = given(value),
            Key::Target => self.target = given(value),
            Key::ReadOnly => self.read_only = boolean(&value)?,
            Key::ReadWrite => self.read_only = !boolean(&value)?,
            Key::Required => self.required = boolean(&value)?,
            Key::Size => self.size = size(&value)?,
            Key::Id => self.id = given(value),
            Key::Sharing => self.sharing = one_of("sharing", &value, &SHARINGS)?,
            Key::Mode => self.mode = Some(number(&value, 8)?),
            Key::Uid => self.uid = Some(number(&value, 10)?),
            Key::Gid => self.gid = Some(number(&value, 10)?),
            Key::Env => self.env = Some(value),
        }
        Ok(())
    }
}

fn one_of<T: Copy>(what: &str, value: &str, table: &[(&'static str, T)]) -> Result<T> {
    let lower = value.to_ascii_lowercase();
    match table.iter().find(|(name, _)| *name == lower) {
        Some((_, found)) => Ok(*found),
        None => bail!("unknown {what} {value:?}{}", suggest::hint(value, table.iter().map(|(name, _)| *name))),
    }
}

/// The words that Go's strconv.ParseBool knows.
fn boolean(value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => bail!("{value:?} is neither true nor false"),
    }
}

fn number(value: &str, radix: u32) -> Result<u32> {
    match u32::from_str_radix(value, radix) {
        Ok(number) if !value.starts_with('+') => Ok(number),
        _ if radix == 8 => bail!("{value:?} is no octal number"),
        _ => bail!("{value:?} is no number"),
    }
}

/// `64m`, `1.5GiB`, `1024`: powers of 1024, as docker counts memory. Bytes.
pub fn size(text: &str) -> Result<u64> {
    const UNITS: [(char, u32); 5] = [('k', 10), ('m', 20), ('g', 30), ('t', 40), ('p', 50)];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let letter = unit.strip_suffix("ib").filter(|rest| !rest.is_empty()).unwrap_or(unit.trim_end_matches('b'));
    let shift = match letter {
        "" if unit.len() <= 1 => Some(0),
        _ => UNITS.iter().find(|(name, _)| letter == name.to_string()).map(|(_, shift)| *shift),
    };
    let parsed = number.parse::<f64>().ok().filter(|_| number.starts_with(|c: char| c.is_ascii_digit()));
    match (parsed, shift) {
        (Some(number), Some(shift)) => {
            let bytes = number * f64::from(shift).exp2();
            if bytes >= 9.0e18 {
                bail!("{text:?} is too much");
            }
            Ok(bytes as u64)
        }
        _ => bail!("{text:?} is no size; want a number with b, k, m, g or t"),
    }
}

/// Fields separated by commas; one that begins with a double quote may have commas in it, and `""` for a quote.
fn comma_separated(text: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => match rest.split_once(',') {
                Some((field, behind)) => (field.to_owned(), Some(behind)),
                None => (rest.to_owned(), None),
            },
        };
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(fields),
        }
    }
}

fn quoted_field(text: &str) -> Result<(String, Option<&str>)> {
    let mut field = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            field.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            field.push('"');
        } else {
            let behind = text.get(at + 1..).unwrap_or_default();
            return match behind.strip_prefix(',') {
                Some(behind) => Ok((field, Some(behind))),
                None if behind.is_empty() => Ok((field, None)),
                None => bail!("{behind:?} behind a closing quote; want a comma"),
            };
        }
    }
    bail!("no closing double quote")
}

#[cfg(test)]
mod tests;
