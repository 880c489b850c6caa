//! `--chmod`: an octal mode, or chmod(1)'s letters (`u=rwX,go-w`).

use crate::bail;
use crate::error::Result;
use serde::Serialize;

const ALL: u32 = 0o7777;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct Chmod {
    text: String,
    change: Change,
}

#[derive(Debug, Clone, PartialEq)]
enum Change {
    Octal(u32),
    Symbolic(Vec<Clause>),
}

#[derive(Debug, Clone, PartialEq)]
struct Clause {
    /// A mask of the classes: 0o4700 for u, 0o2070 for g, 0o1007 for o.
    who: u32,
    operator: char,
    permissions: Permissions,
}

#[derive(Debug, Clone, PartialEq)]
enum Permissions {
    /// Bits for all classes, and whether `X` was among them.
    Bits { bits: u32, execute_if: bool },
    /// Those that another class has: its shift.
    Copy(Vec<u32>),
}

impl Chmod {
    pub fn parse(text: &str) -> Result<Chmod> {
        let change = if text.starts_with(|c: char| c.is_ascii_digit()) {
            match u32::from_str_radix(text, 8) {
                Ok(mode) if mode <= ALL => Change::Octal(mode),
                _ => bail!("mode {text:?}: want an octal number between 0 and 07777"),
            }
        } else {
            let mut clauses = Vec::new();
            for part in text.split(',') {
                clauses.extend(clauses_of(part).ok_or_else(|| {
                    crate::error::Error::new(format!(
                        "mode {text:?}: want an octal number, or letters such as u=rwX,go=rX"
                    ))
                })?);
            }
            Change::Symbolic(clauses)
        };
        Ok(Chmod { text: text.to_owned(), change })
    }

    /// The octal mode; parents that are made for the destination get it too.
    pub fn octal(&self) -> Option<u32> {
        match self.change {
            Change::Octal(mode) => Some(mode),
            Change::Symbolic(_) => None,
        }
    }

    /// The permission bits that a file gets.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let clauses = match &self.change {
            Change::Octal(mode) => return *mode,
            Change::Symbolic(clauses) => clauses,
        };
        clauses.iter().fold(mode & ALL, |mode, clause| clause.apply(mode, is_dir))
    }
}

impl From<Chmod> for String {
    fn from(chmod: Chmod) -> String {
        chmod.text
    }
}

impl std::fmt::Display for Chmod {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let bits = match &self.permissions {
            Permissions::Bits { bits, execute_if } if *execute_if && (is_dir || mode & 0o111 != 0) => bits | 0o111,
            Permissions::Bits { bits, .. } => *bits,
            Permissions::Copy(shifts) => {
                let class = shifts.iter().fold(0, |bits, shift| bits | mode >> shift & 0o7);
                class << 6 | class << 3 | class
            }
        };
        let bits = bits & self.who;
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            // The sticky bit goes with others, but chmod g= does not touch it, and o= does.
            _ => mode & !self.who | bits,
        }
    }
}

/// `ug+rw-x`: one or more operators on the same classes.
fn clauses_of(part: &str) -> Option<Vec<Clause>> {
    let who_end = part.find(|c| !matches!(c, 'u' | 'g' | 'o' | 'a'))?;
    let (letters, mut rest) = part.split_at(who_end);
    let who = letters.chars().map(class_mask).fold(0, |all, mask| all | mask);
    let who = if who == 0 { ALL } else { who };
    let mut clauses = Vec::new();
    while let Some(operator) = rest.chars().next() {
        let behind = rest.strip_prefix(['+', '-', '='])?;
        let end = behind.find(['+', '-', '=']).unwrap_or(behind.len());
        let (letters, next) = behind.split_at(end);
        clauses.push(Clause { who, operator, permissions: permissions(letters)? });
        rest = next;
    }
    Some(clauses)
}

fn class_mask(letter: char) -> u32 {
    match letter {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => 0o1007,
        _ => ALL,
    }
}

fn permissions(letters: &str) -> Option<Permissions> {
    if !letters.is_empty() && letters.chars().all(|c| matches!(c, 'u' | 'g' | 'o')) {
        let shift = |c| match c {
            'u' => 6,
            'g' => 3,
            _ => 0,
        };
        return Some(Permissions::Copy(letters.chars().map(shift).collect()));
    }
    let (mut bits, mut execute_if) = (0, false);
    for letter in letters.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            'X' => execute_if = true,
            's' => bits |= 0o6000,
            't' => bits |= 0o1000,
            _ => return None,
        }
    }
    Some(Permissions::Bits { bits, execute_if })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chmod(text: &str, mode: u32, is_dir: bool) -> u32 {
        Chmod::parse(text).unwrap().apply(mode, is_dir)
    }

    #[test]
    fn octal_is_taken_as_it_is_for_directories_too() {
        assert_eq!(chmod("644", 0o755, true), 0o644);
        assert_eq!(chmod("07777", 0, false), 0o7777);
        assert_eq!(Chmod::parse("0755").unwrap().octal(), Some(0o755));
        assert_eq!(Chmod::parse("u=rw").unwrap().octal(), None);
    }

    #[test]
    fn letters_as_chmod_reads_them() {
        for (text, mode, is_dir, want) in [
            ("u=rwX,go=rX", 0o644, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rwX,go=rX", 0o100, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o777, false, 0o555),
            ("go=", 0o777, false, 0o700),
            ("go=u-w", 0o750, false, 0o755),
            ("u=g", 0o640, false, 0o440),
            ("u+s", 0o755, false, 0o4755),
            ("g+s", 0o755, true, 0o2755),
            ("+t", 0o777, true, 0o1777),
            ("o-t", 0o1777, true, 0o777),
            ("g=rx", 0o1777, true, 0o1757),
            ("u-s,g-s", 0o6755, false, 0o755),
            ("=r", 0o777, false, 0o444),
        ] {
            assert_eq!(chmod(text, mode, is_dir), want, "{text} on {mode:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "10000", "8", "0o755", "u", "rw", "u=rz", "z=r", "u=r,", "u=ur", "u+r w"] {
            assert!(Chmod::parse(text).is_err(), "{text:?}");
        }
    }
}
