//! `WWW-Authenticate` (RFC 9110 section 11.6.1): what a registry wants to see.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// By their names in lower case.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// All challenges of one header line. What cannot be read is left out.
pub(super) fn parse(line: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = token(rest);
        if word.is_empty() {
            // A comma, or what nobody can read.
            let mut characters = rest.chars();
            characters.next();
            rest = characters.as_str().trim_start();
            continue;
        }
        let after = after.trim_start();
        match (after.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = value_of(value.trim_start());
                challenge.parameters.insert(word.to_ascii_lowercase(), value);
                rest = after.trim_start();
            }
            (Some(value), None) => rest = value,
            (None, _) => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
                rest = after;
            }
        }
    }
    challenges
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)));
    text.split_at(end.unwrap_or(text.len()))
}

/// A token, or a string in quotes.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        // Some registries do not quote what has slashes in it.
        let (value, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let challenge = |challenge: &Challenge| {
            let parameters = challenge.parameters.iter().map(|(name, value)| format!(" {name}={value}"));
            challenge.scheme.clone() + &parameters.collect::<String>()
        };
        parse(line).iter().map(challenge).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn challenges_of_all_shapes_are_read() {
        for (line, want) in [
            (
                r#"Bearer realm="https://a/t",service="s",scope="repository:x:pull,push""#,
                "bearer realm=https://a/t scope=repository:x:pull,push service=s",
            ),
            (r#"Basic realm="a \"b\"", charset="UTF-8""#, r#"basic charset=UTF-8 realm=a "b""#),
            (
                r#"Basic realm=x, Bearer realm="y" , error="insufficient_scope""#,
                "basic realm=x; bearer error=insufficient_scope realm=y",
            ),
            ("BEARER Realm=https://a/t,Service=s", "bearer realm=https://a/t service=s"),
            ("Negotiate", "negotiate"),
            ("", ""),
            (",,=,\"", ""),
            ("Bearer realm=\"no end", "bearer realm=no end"),
        ] {
            assert_eq!(shown(line), want, "{line}");
        }
    }
}
