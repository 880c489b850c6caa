//! linux.devices, and those that every container has (runtime-spec, config-linux.md, "Default Devices").

use super::mounts::clean;
use super::namespaces::Namespaces;
use super::step::{Device, DeviceKind, Op, Origin};
use super::{Facts, Steps, cstring};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::{self, Linux, Spec};
use crate::sys::process::{CLONE_NEWNS, CLONE_NEWUSER};

const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Symbolic link, what it points to, and whether it takes the place of what is there.
const LINKS: [(&str, &str, bool); 6] = [
    ("/dev/fd", "/proc/self/fd", false),
    ("/dev/stdin", "/proc/self/fd/0", false),
    ("/dev/stdout", "/proc/self/fd/1", false),
    ("/dev/stderr", "/proc/self/fd/2", false),
    ("/dev/core", "/proc/kcore", false),
    // A ptmx of the rootfs would open the terminals of another devpts.
    ("/dev/ptmx", "pts/ptmx", true),
];

const MODE_DEFAULT: u32 = 0o666;

pub(super) fn plan(
    steps: &mut Steps,
    spec: &Spec,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Result<()> {
    let bind = namespaces.has(CLONE_NEWUSER) || facts.rootless;
    let mut devices = Vec::new();
    for (index, entry) in linux.devices.iter().flatten().enumerate() {
        let origin = Origin::Item("linux.devices", index);
        devices.push((origin, device(entry, origin, bind)?));
    }
    // Whoever binds a whole /dev brings the nodes along; ours would be made on the host. Without a mount namespace,
    // likewise.
    if has_foreign_dev(spec) || !namespaces.has(CLONE_NEWNS) {
        return Ok(());
    }
    for (path, major, minor) in DEFAULTS {
        if devices.iter().any(|(_, device)| device.path.to_str() == Ok(path)) {
            continue;
        }
        let path = cstring(path, Origin::Always)?;
        let kind = DeviceKind::Char;
        steps.always(Op::Device(Device { path, kind, major, minor, mode: MODE_DEFAULT, uid: 0, gid: 0, bind }));
    }
    for (origin, device) in devices {
        steps.add(origin, Op::Device(device));
    }
    for (at, target, replace) in LINKS {
        let (at, target) = (cstring(at, Origin::Always)?, cstring(target, Origin::Always)?);
        steps.always(Op::Link { target, at, replace });
    }
    Ok(())
}

fn has_foreign_dev(spec: &Spec) -> bool {
    let is_bind = |mount: &spec::Mount| {
        mount.kind == "bind" || mount.options.iter().flatten().any(|word| word == "bind" || word == "rbind")
    };
    spec.mounts.iter().any(|mount| clean(&mount.destination) == "/dev" && is_bind(mount))
}

fn device(entry: &spec::Device, origin: Origin, bind: bool) -> Result<Device> {
    if !entry.path.starts_with('/') {
        bail!("{origin}.path: {:?} is not an absolute path", entry.path);
    }
    let kind = match entry.kind.as_str() {
        "c" | "u" => DeviceKind::Char,
        "b" => DeviceKind::Block,
        "p" => DeviceKind::Fifo,
        other => bail!("{origin}.type: unknown device type {other:?}; use c, b, u or p"),
    };
    let number = |name: &str, value: i64| match u32::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => bail!("{origin}.{name}: {value} is not a device number"),
    };
    Ok(Device {
        path: cstring(&clean(&entry.path), origin)?,
        kind,
        major: number("major", entry.major)?,
        minor: number("minor", entry.minor)?,
        mode: entry.file_mode.unwrap_or(MODE_DEFAULT) & 0o7777,
        uid: entry.uid.unwrap_or(0),
        gid: entry.gid.unwrap_or(0),
        bind: bind && kind != DeviceKind::Fifo,
    })
}
