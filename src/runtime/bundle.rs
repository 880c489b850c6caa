//! A bundle: a directory with config.json and, mostly, the root filesystem (runtime-spec, bundle.md).

use crate::bail;
use crate::error::{Context, Error, Result};
use crate::runtime::spec::Spec;
use crate::sys::fd;
use crate::sys::{self, Errno, OFlag};
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// More than any config.json that means well.
const CONFIG_MAX: usize = 16 << 20;
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);

#[derive(Debug)]
pub struct Bundle {
    /// Absolute, without symbolic links.
    pub path: String,
    /// config.json as it stands there; the state directory keeps a copy.
    pub config: Vec<u8>,
    pub spec: Spec,
    directory: OwnedFd,
}

impl Bundle {
    pub fn open(path: &str) -> Result<Bundle> {
        let directory = fd::open(&name(path)?, DIRECTORY).with(|| format!("open bundle {path}"))?;
        let path = fd::path(&directory).with(|| format!("find the path of bundle {path}"))?;
        let file = fd::openat(&directory, c"config.json", OFlag::O_RDONLY | OFlag::O_NONBLOCK);
        let file = file.with(|| format!("open {path}/config.json"))?;
        let config = fd::read_up_to(&file, CONFIG_MAX + 1).with(|| format!("read {path}/config.json"))?;
        if config.len() > CONFIG_MAX {
            return Err(Error::new(format!("{path}/config.json: larger than {CONFIG_MAX} bytes")));
        }
        let spec = parse(&config).with(|| format!("{path}/config.json"))?;
        Ok(Bundle { path, config, spec, directory })
    }

    /// The root filesystem: an O_PATH descriptor of the directory, and its absolute path. A symbolic link as its last part
    /// is refused: who may change it would choose the container's root.
    pub fn rootfs(&self) -> Result<(OwnedFd, String)> {
        let Some(root) = &self.spec.root else { bail!("root: missing; it has the path of the root filesystem") };
        if root.path.is_empty() {
            bail!("root.path: missing");
        }
        let given = root.path.as_str();
        let shown = if given.starts_with('/') { given.to_owned() } else { format!("{}/{given}", self.path) };
        let trimmed = if given.trim_end_matches('/').is_empty() { given } else { given.trim_end_matches('/') };
        let root = fd::openat(&self.directory, &name(trimmed)?, DIRECTORY | OFlag::O_NOFOLLOW);
        let root = match root {
            Err(Errno::ELOOP | Errno::ENOTDIR) => {
                return Err(Error::new(format!("root.path: {shown} is not a directory (a symbolic link will not do)")));
            }
            root => root.with(|| format!("root.path: open {shown}"))?,
        };
        let path = fd::path(&root).with(|| format!("root.path: find the path of {shown}"))?;
        Ok((root, path))
    }
}

/// The text of config.json. Where it does not fit the specification, the error names the place in it.
pub fn parse(config: &[u8]) -> Result<Spec> {
    parse_json(config)
}

/// JSON to any of the specification's types.
pub fn parse_json<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T> {
    // serde takes an array for a structure, field by field.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::new("an array, where an object has to be"));
    }
    // Keeping track of the place costs time on each value; only a bad file is worth it.
    serde_json::from_slice(text).or_else(|_| {
        let json = &mut serde_json::Deserializer::from_slice(text);
        serde_path_to_error::deserialize(json).map_err(|error| {
            // Where the text ends in the middle of a name, the path ends in a "?".
            let place = error.path().to_string();
            let place = place.trim_end_matches(['?', '.']);
            let inner = Error::from(error.into_inner());
            if place.is_empty() { inner } else { inner.context(place.to_owned()) }
        })
    })
}

fn name(path: &str) -> sys::Result<CString> {
    CString::new(path).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_named_by_its_place() {
        let error = parse(br#"{"process":{"args":["a",7]}}"#).unwrap_err().to_string();
        assert!(error.starts_with("process.args[1]: invalid type: integer `7`"), "{error}");
    }

    #[test]
    fn a_text_that_ends_early_is_named_by_what_was_begun() {
        let error = |text: &[u8]| parse(text).unwrap_err().to_string();
        assert!(error(br#"{"ociVersion":"1.0.0","#).starts_with("EOF while parsing"));
        assert!(error(br#"{"process":{"user":{"ui"#).starts_with("process.user: EOF while parsing"));
    }

    #[test]
    fn null_and_unknown_fields_are_fine() {
        let spec = parse(br#"{"ociVersion":"1.0.0","linux":null,"mounts":null,"x":{"y":1}}"#).unwrap();
        assert_eq!(spec.oci_version, "1.0.0");
    }
}
