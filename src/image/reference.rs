//! Names of images as docker understands them: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, where the host is docker.io, a
//! path of one component there is below `library/`, and the tag is `latest`, unless said otherwise.

use super::digest::Digest;
use crate::bail;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
const PATH_MAX: usize = 255;
const TAG_MAX: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host, with its port where there is one.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in the registry: `library/ubuntu`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `None` only where there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path in the short form that docker shows: `ubuntu`, `me/app`, `host:5000/app`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return format!("{}/{}", self.domain, self.path);
        }
        // `library/a/b` is no official image; without its first component it would name another one.
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The short form with tag and digest; parsing it gives the same reference.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    /// The same repository at a digest instead of a tag.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

/// The full form: `docker.io/library/ubuntu:latest`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.path, self.suffix())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference> {
        parse(text).map_err(|error| error.context(format!("image name {text:?}")))
    }
}

fn parse(text: &str) -> Result<Reference> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
        None => (text, None),
    };
    // A colon before the last slash belongs to the port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    if digest.is_none() && name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("64 hexadecimal digits are an image id, not a name");
    }
    let (domain, path) = split_domain(name);
    check_domain(domain)?;
    check_path(&path)?;
    let tag = match (tag, &digest) {
        (None, None) => Some("latest".to_owned()),
        (tag, _) => tag.map(str::to_owned),
    };
    Ok(Reference { domain: domain.to_owned(), path, tag, digest })
}

/// The first component is a host when it cannot be part of a path: it has a dot or a port, is `localhost`, or has
/// upper-case letters.
fn split_domain(name: &str) -> (&str, String) {
    let is_host = |first: &str| {
        first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if is_host(first) => (first, path),
        _ => (DEFAULT_DOMAIN, name),
    };
    match domain {
        "index.docker.io" | DEFAULT_DOMAIN if !path.contains('/') => (DEFAULT_DOMAIN, format!("{OFFICIAL}{path}")),
        "index.docker.io" => (DEFAULT_DOMAIN, path.to_owned()),
        _ => (domain, path.to_owned()),
    }
}

fn check_tag(tag: &str) -> Result<()> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let good = tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
        && tag.len() <= TAG_MAX;
    if !good {
        bail!("tag {tag:?}: want up to {TAG_MAX} letters, digits, '_', '.' and '-', and neither '.' nor '-' first");
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<()> {
    let (host, port) = match domain.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let good_port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let good_label = |label: &str| {
        let ends = label.bytes().next().zip(label.bytes().last());
        ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let good_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(good_label),
    };
    if !good_host || !good_port {
        bail!("registry {domain:?}: not a host name");
    }
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    if path.is_empty() || path == OFFICIAL {
        bail!("empty name");
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        bail!("repository name {path:?} must be lower case");
    }
    if path.len() > PATH_MAX {
        bail!("repository name is longer than {PATH_MAX} bytes");
    }
    if !path.split('/').all(good_component) {
        bail!("repository name {path:?}: want components of a-z, 0-9, joined by '.', '_', '__' or '-'");
    }
    Ok(())
}

fn good_component(component: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_plain = bytes.first().zip(bytes.last()).is_some_and(|(a, b)| plain(*a) && plain(*b));
    let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_plain && separators.all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_completes_them() {
        let hex = "a".repeat(64);
        let at = format!("x@sha256:{hex}");
        let both = format!("host/x:1@sha256:{hex}");
        for (text, full, familiar) in [
            ("ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest"),
            ("ubuntu:20.04", "docker.io/library/ubuntu:20.04", "ubuntu:20.04"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest"),
            ("index.docker.io/library/ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest"),
            ("me/app", "docker.io/me/app:latest", "me/app:latest"),
            ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("quay.io/a/b_c/d__e:X.y-z", "quay.io/a/b_c/d__e:X.y-z", "quay.io/a/b_c/d__e:X.y-z"),
            ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
            ("Host/app", "Host/app:latest", "Host/app:latest"),
            ("a--b", "docker.io/library/a--b:latest", "a--b:latest"),
            (&at, &format!("docker.io/library/x@sha256:{hex}"), &at),
            (&both.replace("host", "host.x"), &both.replace("host", "host.x"), &both.replace("host", "host.x")),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long_tag = format!("x:{}", "a".repeat(129));
        let long_name = "a".repeat(256);
        let id = "b".repeat(64);
        for text in [
            "",
            ":",
            ":tag",
            "x:",
            "x:-a",
            "x:a b",
            "X",
            "a/X",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a@b",
            "x@sha256:12",
            "x@md5:ab",
            "host.:80/a",
            "host.x:/a",
            "host.x:8o/a",
            "[::1/a",
            "[]:1/a",
            "../a",
            "a/../b",
            "a b",
            "a\n",
            "é",
            "https://x/y",
            &long_tag,
            &long_name,
            &id,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_parts() {
        let reference: Reference = "host:1/a/b:c".parse().unwrap();
        assert_eq!((reference.domain(), reference.path(), reference.tag()), ("host:1", "a/b", Some("c")));
        assert_eq!(reference.at(Digest::of(b"")).tag(), None);
    }
}
