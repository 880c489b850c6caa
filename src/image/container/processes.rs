//! The processes of a running container: by its cgroup, or where it has none of its own (an ordinary user may not make
//! one everywhere) by its pid namespace.

use crate::error::{Context, Result};
use crate::sys::process::pid_t;
use std::path::{Path, PathBuf};

/// Where cgroups are mounted; controllers of version 1 each in a directory.
const MOUNT: &str = "/sys/fs/cgroup";

/// The directories of the cgroup of container `id`, whose first process this is, with their controllers; version 2 has
/// one, without a name. None, where the container is in somebody else's.
pub fn cgroups(pid: pid_t, id: &str) -> Result<Vec<(String, PathBuf)>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).context("read the container's cgroup")?;
    let place = |line: &str| -> Option<Vec<(String, PathBuf)>> {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?.trim_start_matches('/'));
        if !path.contains(id) {
            return None;
        }
        if controllers.is_empty() {
            let mounts = [Path::new(MOUNT).to_owned(), Path::new(MOUNT).join("unified")];
            let mount = mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists())?;
            return Some(vec![(String::new(), mount.join(path))]);
        }
        let named = controllers.trim_start_matches("name=");
        let directories = named.split(',').map(|name| (name.to_owned(), Path::new(MOUNT).join(name).join(path)));
        Some(directories.filter(|(_, directory)| directory.is_dir()).collect())
    };
    Ok(text.lines().filter_map(place).flatten().collect())
}

/// The file of a controller of version 1, or the file of version 2.
pub fn file(cgroups: &[(String, PathBuf)], controller: &str, old: &str, new: &str) -> Option<PathBuf> {
    let find = |name: &str, file: &str| {
        let (_, directory) = cgroups.iter().find(|(known, _)| known == name)?;
        Some(directory.join(file)).filter(|path| path.exists())
    };
    find(controller, old).or_else(|| find("", new))
}

/// The pids of every process of container `id`, whose first process this is.
pub fn of(pid: pid_t, id: &str) -> Result<Vec<pid_t>> {
    let cgroups = cgroups(pid, id)?;
    if cgroups.is_empty() {
        return Ok(in_namespace_of(pid));
    }
    let mut pids = vec![pid];
    for controller in ["pids", "memory", ""] {
        if let Some((_, directory)) = cgroups.iter().find(|(name, _)| name == controller) {
            collect(directory, &mut pids);
            break;
        }
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn in_namespace_of(pid: pid_t) -> Vec<pid_t> {
    // A container that shares the host's has a first process, and nobody knows of others.
    let namespace = |pid: pid_t| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let (theirs, ours) = (namespace(pid), std::fs::read_link("/proc/self/ns/pid").ok());
    if theirs.is_none() || theirs == ours {
        return vec![pid];
    }
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<pid_t>().ok());
    let mut pids: Vec<pid_t> = pids.filter(|other| namespace(*other) == theirs).collect();
    pids.sort_unstable();
    pids
}

fn collect(directory: &Path, pids: &mut Vec<pid_t>) {
    let text = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<pid_t>().ok()));
    // What is gone meanwhile has no processes.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), pids);
        }
    }
}
