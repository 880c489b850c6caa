//! `--volume`, `--mount` and `--tmpfs`.

use super::values;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container::config::{Mount, MountKind};
use crate::image::container_config::absolute;
use std::path::Path;

const PROPAGATIONS: [&str; 6] = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];

fn target(text: &str) -> Result<String> {
    if !text.starts_with('/') {
        bail!("mount path {text:?} must be absolute");
    }
    match absolute(text) {
        root if root == "/" => bail!("the root directory cannot be mounted over"),
        target => Ok(target),
    }
}

/// `/host:/container[:options]`, `name:/container[:options]`, `/container`
pub(crate) fn volume(text: &str) -> Result<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, place, options) = match parts.as_slice() {
        [place] => ("", *place, ""),
        [source, place] => (*source, *place, ""),
        [source, place, options] => (*source, *place, *options),
        _ => bail!("want SRC:DST[:OPTIONS]"),
    };
    let mut mount =
        Mount { kind: MountKind::Volume, source: source.to_owned(), target: target(place)?, ..Mount::default() };
    if parts.len() > 1 && source.is_empty() {
        bail!("no source");
    }
    if source.starts_with(['/', '.', '~']) {
        mount.kind = MountKind::Bind;
        mount.source = host_path(source)?;
        // docker makes what is missing.
        std::fs::create_dir_all(&mount.source).or_else(|error| match Path::new(&mount.source).exists() {
            true => Ok(()),
            false => Err(error).with(|| format!("create {}", mount.source)),
        })?;
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" => mount.no_copy = true,
            // Labels of SELinux, and consistency of other systems' file sharing.
            "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            word if PROPAGATIONS.contains(&word) => mount.propagation = word.to_owned(),
            other => bail!("unknown option {other}"),
        }
    }
    Ok(mount)
}

/// A path of the host in full; a relative one begins here.
fn host_path(path: &str) -> Result<String> {
    let full = std::path::absolute(path).with(|| format!("path {path}"))?;
    match full.to_str() {
        // Without `.` and `..`, as docker does it: by words alone.
        Some(full) => Ok(absolute(full)),
        None => bail!("path {path}: not UTF-8"),
    }
}

/// `type=bind,src=/a,dst=/b,ro`
pub(crate) fn mount(text: &str) -> Result<Mount> {
    let mut mount = Mount { kind: MountKind::Volume, ..Mount::default() };
    let mut kind = "volume";
    for word in text.split(',') {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let is_on = || matches!(value, "" | "true" | "1");
        match key {
            "type" => kind = value,
            "src" | "source" => mount.source = value.to_owned(),
            "dst" | "target" | "destination" => mount.target = target(value)?,
            "ro" | "readonly" => mount.read_only = is_on(),
            "rw" => mount.read_only = !is_on(),
            "volume-nocopy" => mount.no_copy = is_on(),
            "bind-propagation" if PROPAGATIONS.contains(&value) => mount.propagation = value.to_owned(),
            "tmpfs-size" => mount.options.push(format!("size={}", values::bytes(value)?)),
            "tmpfs-mode" => mount.options.push(format!("mode={value}")),
            "bind-create-src" | "consistency" | "bind-recursive" => {}
            _ => bail!("unknown word {word}"),
        }
    }
    if mount.target.is_empty() {
        bail!("no target: want dst=/path");
    }
    match kind {
        "volume" => {}
        "bind" => {
            mount.kind = MountKind::Bind;
            mount.source = host_path(&mount.source)?;
            if !Path::new(&mount.source).exists() {
                bail!("bind source path does not exist: {}", mount.source);
            }
        }
        "tmpfs" => {
            mount.kind = MountKind::Tmpfs;
            mount.options.splice(0..0, ["nosuid", "nodev", "noexec"].map(str::to_owned));
        }
        other => bail!("type {other}: want bind, volume or tmpfs"),
    }
    Ok(mount)
}

/// `/path[:options]`
pub(crate) fn tmpfs(text: &str) -> Result<Mount> {
    let (place, options) = text.split_once(':').unwrap_or((text, ""));
    let mut words: Vec<String> = ["nosuid", "nodev", "noexec"].map(str::to_owned).to_vec();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        // What was asked for takes the place of its opposite.
        words.retain(|word| word.strip_prefix("no") != Some(option));
        match option.split_once('=') {
            Some(("size", size)) => words.push(format!("size={}", values::bytes(size)?)),
            _ => words.push(option.to_owned()),
        }
    }
    Ok(Mount { kind: MountKind::Tmpfs, target: target(place)?, options: words, ..Mount::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let named = volume("data:/var/lib/x:ro,nocopy").unwrap();
        assert_eq!(
            (named.kind, named.source.as_str(), named.target.as_str()),
            (MountKind::Volume, "data", "/var/lib/x")
        );
        assert!(named.read_only && named.no_copy);
        let bind = volume("/etc:/mnt/../srv/:rslave").unwrap();
        assert_eq!((bind.kind, bind.target.as_str(), bind.propagation.as_str()), (MountKind::Bind, "/srv", "rslave"));
        assert_eq!(volume("/x").unwrap().source, "");
        for text in ["", "a:b", "a:/", ":/x", "a:/x:wrong", "a:/b:ro:rw"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mounts_in_words() {
        assert_eq!(mount("type=bind,src=/etc,dst=/x,readonly").unwrap().source, "/etc");
        assert_eq!(mount("type=tmpfs,dst=/x,tmpfs-size=1k").unwrap().options.last().unwrap(), "size=1024");
        for text in ["type=bind,src=/nowhere/at/all,dst=/x", "type=bind,src=/etc", "type=npipe,dst=/x", "dst=x", "what"]
        {
            assert!(mount(text).is_err(), "{text}");
        }
        assert_eq!(tmpfs("/run:exec,size=1m").unwrap().options, ["nosuid", "nodev", "exec", "size=1048576"]);
    }
}
