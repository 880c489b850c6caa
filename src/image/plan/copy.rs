//! COPY and ADD with everything resolved.

use super::Place;
use super::git::{Git, is_url};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerfile::expand::Options as Expansion;
use crate::image::dockerfile::instruction;
use crate::image::dockerignore::clean;
use crate::image::glob::Glob;
use crate::image::mode::Chmod;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copy {
    pub sources: Vec<Source>,
    /// Absolute; with a slash at its end where it has to be a directory.
    pub destination: String,
    /// `USER[:GROUP]`
    pub chown: Option<String>,
    pub chmod: Option<Chmod>,
    /// The layer has to be the same whatever is below it.
    pub link: bool,
    pub parents: bool,
    pub exclude: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Path {
        /// The cache does not ask where files come from, but what they are.
        #[serde(skip)]
        place: Place,
        /// Below the place's root, without a leading slash; empty for the root itself. It may have wildcards.
        path: String,
        /// As it was written, with variables replaced: for history.
        #[serde(skip)]
        written: String,
        /// For `--parents`: the part of `path` before `/./`, which the destination does not get.
        pivot: String,
        /// ADD: an archive is laid out instead of copied.
        unpack: bool,
    },
    /// A heredoc.
    Inline {
        name: String,
        content: String,
    },
    Url {
        url: String,
        /// `sha256:...`
        checksum: Option<String>,
        unpack: bool,
    },
    Git(Git),
}

impl Source {
    pub fn place(&self) -> Option<&Place> {
        match self {
            Source::Path { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// Replaces variables; gives what the user did not say.
pub struct Surroundings<'a> {
    pub expand: &'a mut dyn FnMut(&str, Expansion) -> Result<String>,
    pub escape: char,
    pub cwd: &'a str,
    pub place: Place,
    pub is_add: bool,
}

impl Copy {
    /// All files of a named context: what FROM makes of one.
    pub fn of_context(name: &str) -> Copy {
        let (path, written, pivot) = (String::new(), "/".to_owned(), String::new());
        let source = Source::Path { place: Place::Named(name.to_owned()), path, written, pivot, unpack: false };
        Copy {
            sources: vec![source],
            destination: "/".to_owned(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
        }
    }

    pub fn resolve(copy: &instruction::Copy, around: &mut Surroundings) -> Result<Copy> {
        let word = Expansion::word(around.escape);
        let optional = |text: &Option<String>, around: &mut Surroundings| -> Result<Option<String>> {
            let text = text.as_ref().map(|text| (around.expand)(text, word)).transpose()?;
            Ok(text.filter(|text| !text.is_empty()))
        };
        let chown = optional(&copy.chown, around).context("flag --chown")?;
        let chmod = match optional(&copy.chmod, around).context("flag --chmod")? {
            Some(text) => Some(Chmod::parse(&text).context("flag --chmod")?),
            None => None,
        };
        let checksum = optional(&copy.checksum, around).context("flag --checksum")?;
        let mut sources = Vec::new();
        for text in &copy.sources {
            let text = (around.expand)(text, word)?;
            sources.push(source(&text, copy, checksum.as_ref(), around).with(|| format!("source {text:?}"))?);
        }
        for heredoc in &copy.contents {
            if heredoc.name.contains('/') || matches!(heredoc.name.as_str(), "." | "..") {
                bail!("heredoc {:?}: its name is a file's, and cannot be a path", heredoc.name);
            }
            let mut content = heredoc.content();
            if heredoc.expand {
                content = (around.expand)(&content, Expansion::heredoc())?;
            }
            sources.push(Source::Inline { name: heredoc.name.clone(), content });
        }
        let mut exclude = Vec::new();
        for pattern in &copy.exclude {
            exclude.push((around.expand)(pattern, word).context("flag --exclude")?);
        }
        crate::image::dockerignore::Ignore::new(exclude.iter().map(String::as_str)).context("flag --exclude")?;
        let written = (around.expand)(&copy.destination, word)?;
        let destination = absolute(around.cwd, &written);
        if sources.len() > 1 && !destination.ends_with('/') {
            bail!("destination {written:?}: with more than one source it must be a directory and end with '/'");
        }
        if checksum.is_some() && !(sources.len() == 1 && matches!(sources[0], Source::Url { .. } | Source::Git(_))) {
            bail!("flag --checksum: only for a single URL or git repository");
        }
        Ok(Copy { sources, destination, chown, chmod, link: copy.link, parents: copy.parents, exclude })
    }
}

fn source(text: &str, copy: &instruction::Copy, checksum: Option<&String>, around: &Surroundings) -> Result<Source> {
    if text.is_empty() {
        bail!("is empty");
    }
    if around.is_add {
        if let Some(mut git) = Git::parse(text)? {
            git.keep_git_dir = copy.keep_git_dir.or(git.keep_git_dir);
            if let Some(checksum) = checksum {
                if git.checksum.as_ref().is_some_and(|other| other != checksum) {
                    bail!("--checksum={checksum} and the URL's differ");
                }
                git.checksum = Some(checksum.clone());
            }
            return Ok(Source::Git(git));
        }
        if is_url(text) {
            check_digest(checksum)?;
            let unpack = copy.unpack.unwrap_or(false);
            return Ok(Source::Url { url: text.to_owned(), checksum: checksum.cloned(), unpack });
        }
    }
    if is_url(text) {
        bail!("COPY takes no URLs; use ADD");
    }
    let path = below_root(text);
    Glob::new(&path)?;
    let pivot = match text.split_once("/./") {
        Some((before, _)) if copy.parents => below_root(before),
        _ => String::new(),
    };
    let unpack = around.is_add && copy.unpack.unwrap_or(true);
    let (place, written) = (around.place.clone(), text.to_owned());
    Ok(Source::Path { place, path, written, pivot, unpack })
}

fn check_digest(checksum: Option<&String>) -> Result<()> {
    if let Some(checksum) = checksum {
        checksum.parse::<crate::image::digest::Digest>().context("flag --checksum")?;
    }
    Ok(())
}

/// Whatever a path says, it is meant below the root.
fn below_root(text: &str) -> String {
    clean(&format!("/{text}")).trim_start_matches('/').to_owned()
}

/// Relative paths are below the working directory. A slash, a dot or nothing at the end means a directory.
pub fn absolute(cwd: &str, path: &str) -> String {
    let is_dir = path.is_empty() || path == "." || path.ends_with('/') || path.ends_with("/.");
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{cwd}/{path}") };
    let clean = clean(&format!("/{joined}"));
    if is_dir && clean != "/" { format!("{clean}/") } else { clean }
}
