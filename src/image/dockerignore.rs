//! `.dockerignore`, which is not `.gitignore`: patterns are anchored at the context's root, `**` stands for any depth,
//! the last pattern that matches decides, `!` takes back, and a pattern that matches a directory covers what is in it.
//! `COPY --exclude` has the same patterns.

use super::glob::Glob;
use crate::bail;
use crate::error::{Context, Result};

#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    glob: Glob,
    /// Begins with `!`: what it matches is wanted after all.
    exception: bool,
}

/// For each pattern, whether a directory matched it; what is in the directory then does, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Above {
    matched: Vec<bool>,
}

impl Ignore {
    /// The text of an ignore file; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Ignore> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut ignore = Ignore::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            ignore.push(line).with(|| format!("{name}:{}", number + 1))?;
        }
        Ok(ignore)
    }

    /// The values of `--exclude`.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Ignore> {
        let mut ignore = Ignore::default();
        for pattern in patterns {
            ignore.push(pattern)?;
        }
        Ok(ignore)
    }

    fn push(&mut self, line: &str) -> Result<()> {
        let line = line.trim();
        let (exception, pattern) = match line.strip_prefix('!') {
            Some(pattern) => (true, pattern.trim()),
            None => (false, line),
        };
        if pattern.is_empty() {
            if exception {
                bail!("'!' with nothing behind it");
            }
            return Ok(());
        }
        let text = clean(pattern);
        let text = text.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&text).to_owned();
        let glob = Glob::with_deep(&text)?;
        self.patterns.push(Pattern { text, glob, exception });
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether something below an ignored directory can still be wanted, so that it has to be walked.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exception)
    }

    /// Whether one of the patterns is for all that there is in the root.
    pub fn covers_root(&self) -> bool {
        let all = |pattern: &Pattern| !pattern.exception && matches!(pattern.text.as_str(), "*" | "**" | "**/*");
        self.patterns.iter().any(all)
    }

    /// Whether a path below the root (slashes, no leading one) is ignored.
    pub fn matches(&self, path: &str) -> bool {
        let mut above = Above::default();
        let mut matched = false;
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            (matched, above) = self.matches_below(path.get(..end).unwrap_or(path), &above);
        }
        matched
    }

    /// The same for a walk down a tree: `above` is what this gave for the directory that `path` is in.
    pub fn matches_below(&self, path: &str, above: &Above) -> (bool, Above) {
        let mut ignored = false;
        let mut matched = Vec::with_capacity(self.patterns.len());
        for (at, pattern) in self.patterns.iter().enumerate() {
            let matches = above.matched.get(at).copied().unwrap_or(false) || pattern.glob.matches(path);
            matched.push(matches);
            if matches {
                ignored = !pattern.exception;
            }
        }
        (ignored, Above { matched })
    }
}

/// The shortest path that means the same (Go's path.Clean): no `//`, `.`, inner `..` or slash at the end.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                None if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests;
