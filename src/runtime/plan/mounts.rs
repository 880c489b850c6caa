//! mounts[]: each entry becomes one mount step, and a second one where it can turn read-only only later.

use super::namespaces::Namespaces;
use super::options::Options;
use super::step::{Op, Origin};
use super::{Facts, Steps, cgroup_mount, cstring};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::{self, IdMapping, Spec};
use crate::sys::mount::{self as sys, Attributes};
use crate::sys::process::{CLONE_NEWNS, CLONE_NEWUSER};
use std::ffi::CString;

#[derive(Debug)]
pub struct Mount {
    /// Below the rootfs; resolved there, never as a string.
    pub target: CString,
    pub target_rule: TargetRule,
    pub proc_rule: ProcRule,
    pub what: What,
    pub attributes: Attributes,
    /// For the mount and all below it.
    pub recursive: Attributes,
    /// Set one after the other: type, and whether of all below too.
    pub propagation: Vec<(u64, bool)>,
    pub idmap: Option<Idmap>,
}

const OPTION_MAX: usize = 256;

#[derive(Debug)]
pub enum What {
    Filesystem {
        fstype: CString,
        /// Key, and value where it has one.
        options: Vec<(CString, Option<CString>)>,
        /// tmpfs takes the mode of the directory that it covers, where the options name none.
        inherit_mode: bool,
        /// The covered directory's content is copied in.
        copy_up: bool,
        /// Where the kernel refuses (EPERM, EBUSY), this path of the host is bound instead.
        or_bind: Option<CString>,
    },
    /// By mount(2), for fsconfig(2) takes no option of [`OPTION_MAX`] bytes, as a long row of lower directories is.
    LongOptions { fstype: CString, source: CString, data: CString },
    Bind {
        source: CString,
        recursive: bool,
        /// The parent opens the source: in a user namespace of its own the child may have no way to it.
        by_parent: bool,
        /// Whether options name attributes: then exactly those hold, as for a remount of mount(2).
        exact: bool,
        /// Where there is no such source, an empty file system that nobody can write to stands for it.
        or_empty: bool,
    },
    /// Change what is mounted there already.
    Remount {
        /// For the superblock (fsconfig(2)); none: only the mount's attributes change.
        options: Vec<(CString, Option<CString>)>,
    },
}

#[derive(Debug)]
pub struct Idmap {
    /// Text for uid_map and gid_map of the namespace that maps the owners; none: the container's own user namespace.
    pub maps: Option<(String, String)>,
    pub recursive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRule {
    /// What is there, or a new directory or file, as the source is one.
    LikeSource,
    Directory,
    /// proc and sysfs: no symbolic link anywhere on the way (CVE-2019-19921, CVE-2023-27561).
    RealDirectory,
}

/// What may be mounted on what is a procfs already (CVE-2019-16884): nothing, where the real files are asked for by name,
/// and another proc in place of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcRule {
    Forbid,
    Allow,
    /// The target is /proc itself: only a procfs may come there.
    OnlyProc,
}

/// Files below /proc that engines cover by those of lxcfs and the like.
const PROC_FILES: [&str; 9] =
    ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "sys/kernel/ns_last_pid"];

const PSEUDO: [&str; 6] = ["tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup2"];

pub(super) fn plan(steps: &mut Steps, spec: &Spec, namespaces: &Namespaces, facts: &Facts) -> Result<()> {
    let label = spec.linux.as_ref().map_or("", |linux| linux.mount_label.as_str());
    for (index, entry) in spec.mounts.iter().enumerate() {
        let origin = Origin::Item("mounts", index);
        let options = Options::parse(entry.options.as_deref().unwrap_or_default());
        let target = destination(entry, origin)?;
        let name = |field: &str| format!("{origin}.{field}");
        if options.bind.is_none() && entry.kind.starts_with("cgroup") {
            cgroup_mount::plan(steps, origin, target, options, namespaces, facts)?;
            continue;
        }
        let mut mount = Mount {
            proc_rule: proc_rule(&target),
            target: cstring(&target, origin)?,
            target_rule: TargetRule::Directory,
            what: What::Remount { options: Vec::new() },
            attributes: options.attributes,
            recursive: options.recursive,
            propagation: options.propagation.clone(),
            idmap: idmap(entry, &options, namespaces, origin)?,
        };
        if let Some(recursive) = options.bind {
            if entry.source.is_empty() {
                bail!("{}: a bind mount needs one", name("source"));
            }
            if !options.data.is_empty() {
                let words = options.data.join(",");
                steps.warn(format!("{}: \"{words}\" means nothing to a bind mount, passing over it", name("options")));
            }
            mount.target_rule = TargetRule::LikeSource;
            // In a user namespace what the host has set on its mount is locked, and stays unless a word says otherwise.
            let exact = options.attributes.set | options.attributes.clear != 0 && !namespaces.has(CLONE_NEWUSER);
            mount.what = What::Bind {
                source: host_path(&entry.source, facts, origin)?,
                recursive,
                // Without privileges we have no way that the child has not.
                by_parent: mount.idmap.is_some() || (namespaces.is_new(CLONE_NEWUSER) && !facts.rootless),
                exact,
                or_empty: false,
            };
            steps.add(origin, Op::Mount(Box::new(mount)));
            continue;
        }
        if mount.idmap.is_some() {
            bail!("{origin}: only a bind mount can have its owners mapped");
        }
        if options.remount {
            mount.what = What::Remount { options: superblock_options(&options, origin)? };
            steps.add(origin, Op::Mount(Box::new(mount)));
            continue;
        }
        let Some(fstype) = Some(entry.kind.as_str()).filter(|kind| !["", "none", "bind"].contains(kind)) else {
            bail!(
                "{}: \"{}\" is no filesystem; a bind mount has bind or rbind among its options",
                name("type"),
                entry.kind
            );
        };
        if matches!(fstype, "proc" | "sysfs") {
            mount.target_rule = TargetRule::RealDirectory;
        }
        let later = read_only_later(fstype, &target, &mut mount.attributes);
        mount.what = filesystem(entry, fstype, &options, label, origin)?;
        steps.add(origin, Op::Mount(Box::new(mount)));
        if let Some(attributes) = later {
            steps.later(origin, Op::ReadonlyMount { target: cstring(&target, origin)?, attributes });
        }
    }
    Ok(())
}

/// sd_notify(3): read-only, so that nobody puts another socket in the place of ours.
pub(super) fn notify_socket(steps: &mut Steps, namespaces: &Namespaces, facts: &Facts) -> Result<()> {
    let Some(directory) = facts.notify.filter(|_| namespaces.has(CLONE_NEWNS)) else { return Ok(()) };
    let origin = Origin::Field("NOTIFY_SOCKET");
    let set = sys::MOUNT_ATTR_RDONLY | sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | sys::MOUNT_ATTR_NOEXEC;
    let what = What::Bind {
        source: cstring(directory, origin)?,
        recursive: false,
        by_parent: namespaces.is_new(CLONE_NEWUSER) && !facts.rootless,
        exact: true,
        or_empty: false,
    };
    let mount = Mount {
        target: cstring(crate::runtime::notify::TARGET, origin)?,
        target_rule: TargetRule::LikeSource,
        proc_rule: ProcRule::Forbid,
        what,
        attributes: Attributes { set, ..Attributes::default() },
        recursive: Attributes::default(),
        propagation: Vec::new(),
        idmap: None,
    };
    steps.add(origin, Op::Mount(Box::new(mount)));
    Ok(())
}

/// A tmpfs, and whatever is at /dev, has to be writable until all that goes below it is made.
fn read_only_later(fstype: &str, target: &str, attributes: &mut Attributes) -> Option<Attributes> {
    if attributes.set & sys::MOUNT_ATTR_RDONLY == 0 || (fstype != "tmpfs" && target != "/dev") {
        return None;
    }
    attributes.set &= !sys::MOUNT_ATTR_RDONLY;
    Some(Attributes { set: sys::MOUNT_ATTR_RDONLY, ..Attributes::default() })
}

fn long_options(fstype: &str, source: &str, pairs: &[(CString, Option<CString>)], origin: Origin) -> Result<What> {
    let mut data = Vec::new();
    // The first is the source.
    for (key, value) in pairs.iter().skip(1) {
        if !data.is_empty() {
            data.push(b',');
        }
        data.extend(key.to_bytes());
        if let Some(value) = value {
            data.push(b'=');
            data.extend(value.to_bytes());
        }
    }
    let (fstype, source) = (cstring(fstype, origin)?, cstring(source, origin)?);
    Ok(What::LongOptions { fstype, source, data: CString::new(data).unwrap_or_default() })
}

fn filesystem(entry: &spec::Mount, fstype: &str, options: &Options, label: &str, origin: Origin) -> Result<What> {
    let mut pairs = Vec::new();
    let source = if entry.source.is_empty() { fstype } else { &entry.source };
    pairs.push((c"source".to_owned(), Some(cstring(source, origin)?)));
    pairs.extend(superblock_options(options, origin)?);
    // The superblock of a pseudo filesystem may be the host's too; there only the mount is read-only.
    if options.attributes.set & sys::MOUNT_ATTR_RDONLY != 0 && !PSEUDO.contains(&fstype) {
        pairs.push((c"ro".to_owned(), None));
    }
    if !label.is_empty() && !matches!(fstype, "proc" | "sysfs") {
        pairs.push((c"context".to_owned(), Some(cstring(label, origin)?)));
    }
    if pairs.iter().skip(1).any(|(_, value)| value.as_ref().is_some_and(|value| value.count_bytes() >= OPTION_MAX)) {
        return long_options(fstype, source, &pairs, origin);
    }
    let has_mode = options.data.iter().any(|word| word.starts_with("mode="));
    Ok(What::Filesystem {
        fstype: cstring(fstype, origin)?,
        options: pairs,
        inherit_mode: fstype == "tmpfs" && !has_mode,
        copy_up: fstype == "tmpfs" && options.copy_up,
        or_bind: None,
    })
}

/// Flags that every superblock knows, and the filesystem's own words.
fn superblock_options(options: &Options, origin: Origin) -> Result<Vec<(CString, Option<CString>)>> {
    let words = options.data.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty());
    let pair = |word: &str| match word.split_once('=') {
        Some((key, value)) => Ok((cstring(key, origin)?, Some(cstring(value, origin)?))),
        None => Ok((cstring(word, origin)?, None)),
    };
    options.superblock.iter().copied().chain(words).map(pair).collect()
}

/// The destination as a clean absolute path. A relative one is an old habit that runc still takes as absolute.
fn destination(entry: &spec::Mount, origin: Origin) -> Result<String> {
    if entry.destination.is_empty() {
        bail!("{origin}.destination: missing");
    }
    let target = clean(&entry.destination);
    if target == "/" {
        bail!("{origin}.destination: {} is the root itself; use root.path", entry.destination);
    }
    Ok(target)
}

/// Without `.`, `..` and double slashes, from the root on. Only for tables: the kernel resolves the real thing.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn proc_rule(target: &str) -> ProcRule {
    match target.strip_prefix("/proc") {
        Some("") => ProcRule::OnlyProc,
        Some(rest) if PROC_FILES.iter().any(|file| rest.strip_prefix('/') == Some(file)) => ProcRule::Allow,
        _ => ProcRule::Forbid,
    }
}

/// A path of the host, relative to the bundle where it is not absolute.
fn host_path(path: &str, facts: &Facts, origin: Origin) -> Result<CString> {
    if path.starts_with('/') { cstring(path, origin) } else { cstring(&format!("{}/{path}", facts.bundle), origin) }
}

fn idmap(entry: &spec::Mount, options: &Options, namespaces: &Namespaces, origin: Origin) -> Result<Option<Idmap>> {
    let (uids, gids) = (entry.uid_mappings.as_deref(), entry.gid_mappings.as_deref());
    let maps = match (uids.unwrap_or_default(), gids.unwrap_or_default()) {
        ([], []) => None,
        ([], _) => bail!("{origin}.uidMappings: missing beside gidMappings"),
        (_, []) => bail!("{origin}.gidMappings: missing beside uidMappings"),
        (uids, gids) => Some((map_text(uids), map_text(gids))),
    };
    match (options.idmap, &maps) {
        (None, None) => Ok(None),
        (Some(_), None) if !namespaces.has(CLONE_NEWUSER) => {
            bail!("{origin}.options: idmap without uidMappings needs a user namespace")
        }
        (recursive, _) => Ok(Some(Idmap { maps, recursive: recursive.unwrap_or(false) })),
    }
}

/// Lines for /proc/PID/uid_map (user_namespaces(7)).
pub fn map_text(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}
