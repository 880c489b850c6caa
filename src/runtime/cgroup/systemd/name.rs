//! `linux.cgroupsPath` as `slice:prefix:name`, and where units are in the tree of cgroups (systemd.slice(5)).

use crate::bail;
use crate::error::Result;

/// systemd's UNIT_NAME_MAX.
const NAME_MAX: usize = 255;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Above the unit.
    pub(super) slice: String,
    pub(super) unit: String,
}

pub(super) fn parse(cgroups_path: Option<&str>, id: &str, user: bool) -> Result<Names> {
    let default = format!(":bolo:{id}");
    let path = cgroups_path.unwrap_or(&default);
    let parts: Vec<&str> = path.split(':').collect();
    let [slice, prefix, name] = parts[..] else {
        bail!("linux.cgroupsPath {path:?}: with --systemd-cgroup it is slice:prefix:name");
    };
    let slice = match slice {
        "" if user => "user.slice",
        "" => "system.slice",
        slice => slice,
    };
    expand(slice)?;
    if name.is_empty() || name == ".slice" {
        bail!("linux.cgroupsPath {path:?}: the name is empty");
    }
    if is_slice(name) {
        expand(name)?;
        return Ok(Names { slice: slice.to_owned(), unit: name.to_owned() });
    }
    let whole = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}-{name}") };
    let unit = format!("{}.scope", escape(&whole)?);
    if unit.len() > NAME_MAX {
        bail!("linux.cgroupsPath {path:?}: a unit's name has at most {NAME_MAX} characters");
    }
    Ok(Names { slice: slice.to_owned(), unit })
}

pub(super) fn is_slice(unit: &str) -> bool {
    unit.ends_with(".slice")
}

/// What a unit's name may not have becomes `\x2b`, as systemd-escape(1) does it.
fn escape(name: &str) -> Result<String> {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'/' | 0 => bail!("linux.cgroupsPath: {name:?} is no name of a unit"),
            byte if byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte) => escaped.push(byte.into()),
            byte => escaped.push_str(&format!("\\x{byte:02x}")),
        }
    }
    Ok(escaped)
}

/// The cgroup of a slice: `a-b.slice` is `a.slice/a-b.slice`; `-.slice` is the root.
pub(super) fn expand(slice: &str) -> Result<String> {
    let Some(name) = slice.strip_suffix(".slice") else { bail!("linux.cgroupsPath: {slice:?} is no slice") };
    if name == "-" {
        return Ok(String::new());
    }
    let good = |c: char| c.is_ascii_alphanumeric() || ":_.\\@".contains(c);
    let mut path = String::new();
    let mut above = String::new();
    for part in name.split('-') {
        if part.is_empty() || !part.chars().all(good) || slice.len() > NAME_MAX {
            bail!("linux.cgroupsPath: {slice:?} is no name of a slice");
        }
        if !above.is_empty() {
            path.push('/');
            above.push('-');
        }
        above.push_str(part);
        path.push_str(&format!("{above}.slice"));
    }
    Ok(path)
}

/// The last component of a path.
pub(super) fn last_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
