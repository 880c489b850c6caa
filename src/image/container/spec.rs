//! Makes the OCI runtime's configuration of a container (runtime-spec config.md): what every container of an image gets,
//! changed to what was asked for.

use super::config::{Config, Mount, MountKind};
use super::{Container, files};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container_config::{self, DEFAULT_CAPABILITIES, Network, absolute};
use crate::image::rootless;
use crate::image::store::Store;
use crate::image::user::{self, Identity};
use crate::image::volume;
use crate::sys::identity::has_bounding;
use crate::sys::root::Root;
use crate::sys::{Errno, Mode};
use serde_json::{Map, Value, json};
use std::path::Path;

pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// In the kernel's order (capability.h).
pub const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
/// Where the files that every container gets from us are mounted.
const OURS: [(&str, &str); 3] =
    [("/etc/resolv.conf", files::RESOLV_CONF), ("/etc/hostname", files::HOSTNAME), ("/etc/hosts", files::HOSTS)];

/// A propagation word that lets mounts of the container reach the host.
fn is_shared(mount: &Mount) -> bool {
    matches!(mount.propagation.as_str(), "shared" | "rshared")
}

/// Whether the container is to share the host's mounts, so that it cannot be in a mount namespace of its supervisor.
pub fn shares_mounts(config: &Config) -> bool {
    config.mounts.iter().any(is_shared)
}

/// Writes bundle/config.json. The root file system is mounted; `network` is a namespace to be joined.
pub fn write(store: &Store, container: &Container, config: &Config, network: Option<&str>) -> Result<()> {
    let rootfs = Root::open(&container.rootfs()).context("open the root file system")?;
    let spec = make(store, container, config, &rootfs, network)?;
    let path = container.directory().join("bundle/config.json");
    std::fs::write(&path, serde_json::to_vec(&spec)?).with(|| format!("write {}", path.display()))
}

fn make(store: &Store, container: &Container, config: &Config, rootfs: &Root, network: Option<&str>) -> Result<Value> {
    let security = &config.security;
    let mut args = config.args();
    if args.is_empty() {
        bail!("no command specified: neither the image nor the command line says what to run");
    }
    let init = if config.init { Some(super::init::prepare(container)?) } else { None };
    if let Some((first, _)) = &init {
        args.splice(0..0, first.iter().cloned());
    }
    let capabilities = capabilities(config)?;
    let known = container_config::Container {
        args,
        env: environment(config),
        cwd: absolute(&config.cwd),
        user: identity(config, rootfs)?,
        hostname: (config.uts_mode != "host").then(|| config.hostname.clone()),
        terminal: config.terminal,
        root: "rootfs".to_owned(),
        readonly_root: security.read_only,
        mounts: Vec::new(),
        network: match (network, config.network.mode.as_str()) {
            (Some(path), _) => Network::At(path.to_owned()),
            (None, "host") => Network::Host,
            (None, _) => Network::New,
        },
        no_new_privileges: security.no_new_privileges,
        seccomp: security.seccomp.is_empty() && !security.privileged,
        annotations: config.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect(),
        resources: resources(config)?,
        cgroups_path: Some(cgroup(config)),
        capabilities,
    };
    make_working_directory(rootfs, &known.cwd)?;
    let mut spec = known.to_json();
    add_mounts(store, container, config, &mut spec)?;
    if let (Some((_, mount)), Some(mounts)) = (init, spec["mounts"].as_array_mut()) {
        mounts.push(mount);
    }
    add_namespaces(store, config, &mut spec)?;
    add_process(config, &mut spec["process"]);
    if !config.domainname.is_empty() {
        spec["domainname"] = json!(config.domainname);
    }
    let linux = &mut spec["linux"];
    if !config.sysctls.is_empty() {
        linux["sysctl"] = json!(config.sysctls);
    }
    if !security.devices.is_empty() {
        linux["devices"] = security.devices.iter().map(|device| device_node(device)).collect::<Result<Value>>()?;
    }
    if security.privileged || security.unmask {
        linux["maskedPaths"] = json!([]);
        linux["readonlyPaths"] = json!([]);
    }
    if !matches!(security.seccomp.as_str(), "" | "unconfined") {
        let profile: Value = serde_json::from_str(&security.seccomp).context("parse the seccomp profile")?;
        linux["seccomp"] = super::seccomp::translate(&profile, &known.capabilities);
    }
    rootless::adapt(&mut spec)?;
    Ok(spec)
}

fn make_working_directory(rootfs: &Root, cwd: &str) -> Result<()> {
    match rootfs.create_dir_all(cwd, Mode::from_bits_truncate(0o755)) {
        // A read-only or a strange place: the runtime says what is wrong with it.
        Ok(_) | Err(Errno::EROFS | Errno::ENOTDIR) => Ok(()),
        Err(errno) => Err(errno).with(|| format!("create working directory {cwd}")),
    }
}

fn identity(config: &Config, rootfs: &Root) -> Result<Identity> {
    let mut identity = user::resolve(rootfs, &config.user)?;
    for group in &config.groups {
        let gid = user::resolve(rootfs, &format!("0:{group}"))?.gid;
        if !identity.additional_gids.contains(&gid) {
            identity.additional_gids.push(gid);
        }
    }
    Ok(identity)
}

fn environment(config: &Config) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned()];
    if config.uts_mode != "host" {
        env.push(format!("HOSTNAME={}", config.hostname));
    }
    if config.terminal {
        env.push("TERM=xterm".to_owned());
    }
    for entry in &config.env {
        set_env(&mut env, entry);
    }
    env
}

fn add_process(config: &Config, process: &mut Value) {
    if !config.ulimits.is_empty() {
        let limit = |(name, soft, hard): &(String, u64, u64)| json!({"type": format!("RLIMIT_{}", name.to_uppercase()), "soft": soft, "hard": hard});
        process["rlimits"] = config.ulimits.iter().map(limit).collect();
    }
    if let Some(score) = config.oom_score_adj {
        process["oomScoreAdj"] = json!(score);
    }
    if !matches!(config.security.apparmor.as_str(), "" | "unconfined") {
        process["apparmorProfile"] = json!(config.security.apparmor);
    }
}

/// Sets `NAME=value`, in the place that NAME had.
pub fn set_env(env: &mut Vec<String>, entry: &str) {
    let name = entry.split('=').next().unwrap_or_default();
    match env.iter_mut().find(|old| old.split('=').next() == Some(name)) {
        Some(old) => *old = entry.to_owned(),
        None => env.push(entry.to_owned()),
    }
}

/// Every capability that we have ourselves.
pub fn all_capabilities() -> Vec<&'static str> {
    let ours = |(number, _): &(u8, &str)| has_bounding(*number).unwrap_or(false);
    (0u8..).zip(ALL_CAPABILITIES).filter(ours).map(|(_, name)| name).collect()
}

/// The capabilities of a root user in the container.
pub fn capabilities(config: &Config) -> Result<Vec<String>> {
    let security = &config.security;
    let named = |list: &[String], name: &str| list.iter().any(|entry| entry == name || entry == "ALL");
    let default =
        |name: &str| DEFAULT_CAPABILITIES.contains(&name) && !security.cap_drop.iter().any(|entry| entry == "ALL");
    let all = security.privileged;
    let added_by_name = |name: &str| security.cap_add.iter().any(|entry| entry == name);
    let mut found = Vec::new();
    for (number, name) in (0u8..).zip(ALL_CAPABILITIES) {
        let asked = all || default(name) || named(&security.cap_add, name);
        let dropped = security.cap_drop.iter().any(|entry| entry == name)
            || (named(&security.cap_drop, name) && !added_by_name(name) && !all);
        // What we do not have ourselves nobody can be given.
        if asked && !dropped && has_bounding(number).unwrap_or(false) {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

fn add_mounts(store: &Store, container: &Container, config: &Config, spec: &mut Value) -> Result<()> {
    let Some(mounts) = spec["mounts"].as_array_mut() else {
        return Ok(());
    };
    for mount in mounts.iter_mut() {
        let destination = mount["destination"].as_str().unwrap_or_default().to_owned();
        let Some(options) = mount["options"].as_array_mut() else {
            continue;
        };
        match destination.as_str() {
            "/dev/shm" if config.ipc_mode == "host" => {
                *mount = json!({"destination": destination, "type": "bind", "source": destination,
                    "options": ["rbind", "nosuid", "noexec", "nodev"]});
            }
            "/dev/shm" => {
                options.retain(|option| !option.as_str().is_some_and(|option| option.starts_with("size=")));
                options.push(format!("size={}", config.shm_size).into());
            }
            "/sys" | "/sys/fs/cgroup" if config.security.privileged => options.retain(|option| option != "ro"),
            _ => {}
        }
    }
    let bind = |destination: &str, source: &Path| json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate"]});
    for (destination, file) in OURS {
        mounts.push(bind(destination, &container.directory().join(file)));
    }
    let mut asked: Vec<&Mount> = config.mounts.iter().collect();
    // What is mounted higher up comes first, and does not hide what is below.
    asked.sort_by_key(|mount| Path::new(&mount.target).components().count());
    for mount in asked {
        mounts.retain(|entry| entry["destination"] != mount.target.as_str());
        mounts.push(mount_entry(store, mount)?);
    }
    Ok(())
}

fn mount_entry(store: &Store, mount: &Mount) -> Result<Value> {
    let mut options = mount.options.clone();
    if mount.read_only {
        options.push("ro".to_owned());
    }
    if mount.kind == MountKind::Tmpfs {
        return Ok(json!({"destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": options}));
    }
    let source = match mount.kind {
        MountKind::Volume => volume::data(store, &mount.source),
        _ => mount.source.clone().into(),
    };
    if !source.exists() {
        bail!("mount {}: source {} does not exist", mount.target, source.display());
    }
    let propagation = if mount.propagation.is_empty() { "rprivate" } else { &mount.propagation };
    options.extend(["rbind".to_owned(), propagation.to_owned()]);
    Ok(json!({"destination": mount.target, "type": "bind", "source": source, "options": options}))
}

fn add_namespaces(store: &Store, config: &Config, spec: &mut Value) -> Result<()> {
    let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() else {
        return Ok(());
    };
    for (kind, mode) in [("pid", &config.pid_mode), ("ipc", &config.ipc_mode), ("uts", &config.uts_mode)] {
        if mode == "host" {
            namespaces.retain(|entry| entry["type"] != kind);
        } else if let Some(other) = mode.strip_prefix("container:") {
            namespaces.retain(|entry| entry["type"] != kind);
            namespaces.push(json!({"type": kind, "path": namespace_of(store, other, kind)?}));
        }
    }
    let private = match config.cgroupns_mode.as_str() {
        "private" => true,
        "host" => false,
        // docker's default: cgroups of version 1 are the host's.
        _ => is_pure_v2() && !config.security.privileged,
    };
    if !private {
        namespaces.retain(|entry| entry["type"] != "cgroup");
    }
    Ok(())
}

/// The path of a namespace of another container, which runs.
pub fn namespace_of(store: &Store, other: &str, kind: &str) -> Result<String> {
    let container = store.container(other)?;
    let state = container.state()?;
    if !state.is_alive() {
        bail!("container {} is not running: its {kind} namespace cannot be joined", container.short_id());
    }
    let file = if kind == "network" { "net" } else { kind };
    Ok(format!("/proc/{}/ns/{file}", state.pid))
}

fn is_pure_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn cgroup(config: &Config) -> String {
    match config.cgroup_parent.trim_matches('/') {
        // Without a directory of ours above it, which nobody would remove.
        "" => format!("/forno-{}", config.id),
        parent => format!("/{parent}/{}", config.id),
    }
}

/// Limits, and rules for devices behind the usual ones.
fn resources(config: &Config) -> Result<Map<String, Value>> {
    let mut resources = config.resources.as_object().cloned().unwrap_or_default();
    let mut rules = Vec::new();
    if config.security.privileged {
        rules.push(json!({"allow": true, "access": "rwm"}));
    } else {
        for device in &config.security.devices {
            let node = device_node(device)?;
            let access = device_access(device)?;
            rules.push(json!({
                "allow": true, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access,
            }));
        }
    }
    rules.extend(config.security.device_rules.iter().cloned());
    resources.insert("devices".to_owned(), Value::Array(rules));
    Ok(resources)
}

/// The permissions at the end of a device, `rwm` where nothing is said; `host:rw` has no path between them.
fn device_access(device: &str) -> Result<&str> {
    let access = match device.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, access] => access,
        [_, access] if is_access(access) => access,
        _ => "rwm",
    };
    match is_access(access) {
        true => Ok(access),
        false => bail!("--device {device}: permissions {access:?}: want some of r, w and m"),
    }
}

fn is_access(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| b"rwm".contains(&letter))
}

/// `host path[:path in the container[:permissions]]`
fn device_node(device: &str) -> Result<Value> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut parts = device.split(':');
    let host = parts.next().unwrap_or_default();
    let path = parts.next().filter(|path| !is_access(path)).unwrap_or(host);
    let metadata = std::fs::metadata(host).with(|| format!("--device {host}"))?;
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => bail!("--device {host}: not a device"),
    };
    let (major, minor) = crate::sys::tree::device_numbers(metadata.rdev());
    Ok(json!({
        "path": path, "type": kind, "major": major, "minor": minor,
        "fileMode": metadata.mode() & 0o777, "uid": metadata.uid(), "gid": metadata.gid(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::container::config::Security;

    fn with(add: &[&str], drop: &[&str]) -> Vec<String> {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let security = Security { cap_add: words(add), cap_drop: words(drop), ..Security::default() };
        capabilities(&Config { security, ..Config::default() }).unwrap()
    }

    #[test]
    fn capabilities_are_added_and_dropped() {
        let has = |list: &[String], name: &str| list.iter().any(|entry| entry == name);
        let usual = with(&[], &[]);
        assert!(usual.iter().all(|name| DEFAULT_CAPABILITIES.contains(&name.as_str())));
        assert!(with(&[], &["ALL"]).is_empty());
        assert!(!has(&with(&[], &["CAP_CHOWN"]), "CAP_CHOWN"));
        if has(&usual, "CAP_CHOWN") {
            assert_eq!(with(&["CAP_CHOWN"], &["ALL"]), ["CAP_CHOWN"]);
            assert!(!has(&with(&["ALL"], &["CAP_CHOWN"]), "CAP_CHOWN"));
        }
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        set_env(&mut env, "A=3");
        set_env(&mut env, "C=");
        assert_eq!(env, ["A=3", "B=2", "C="]);
    }

    #[test]
    fn a_device_is_one() {
        assert_eq!(device_node("/dev/null:/dev/void").unwrap()["minor"], 3);
        assert_eq!(device_node("/dev/null").unwrap()["path"], "/dev/null");
        assert!(device_node("/etc/passwd").is_err());
        assert_eq!(device_node("/dev/null:r").unwrap()["path"], "/dev/null");
        assert_eq!(device_access("/dev/null:r").unwrap(), "r");
        assert_eq!(device_access("/dev/null:/dev/void").unwrap(), "rwm");
        assert!(device_access("/dev/null:/dev/void:x").is_err());
    }
}
