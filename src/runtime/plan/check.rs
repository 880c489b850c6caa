//! What config.json may not say, whatever the host can do: refused before anything is made.

use super::namespaces::Namespaces;
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::{Hook, IdMapping, Linux, Process, Spec};
use crate::sys::process as sys;

/// setresuid(2) takes this number as "no change": a process that asked to be it would stay root.
const NOBODY_AT_ALL: u32 = u32::MAX;

pub(super) fn all(spec: &Spec, linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    version(&spec.oci_version)?;
    if spec.root.as_ref().is_none_or(|root| root.path.is_empty()) {
        bail!("root.path: missing; it names the directory that becomes the container's /");
    }
    spec.process.as_ref().map_or(Ok(()), process)?;
    let needs = [
        (!spec.hostname.is_empty(), sys::CLONE_NEWUTS, "hostname", "uts"),
        (!spec.domainname.is_empty(), sys::CLONE_NEWUTS, "domainname", "uts"),
        (is_some(&linux.masked_paths), sys::CLONE_NEWNS, "linux.maskedPaths", "mount"),
        (is_some(&linux.readonly_paths), sys::CLONE_NEWNS, "linux.readonlyPaths", "mount"),
        (linux.net_devices.as_ref().is_some_and(|m| !m.is_empty()), sys::CLONE_NEWNET, "linux.netDevices", "network"),
    ];
    for (asked, flag, field, kind) in needs {
        if asked && !namespaces.has(flag) {
            bail!("{field}: needs a {kind} namespace in linux.namespaces, or it would change the host");
        }
    }
    if linux.time_offsets.as_ref().is_some_and(|map| !map.is_empty()) && !namespaces.is_new(sys::CLONE_NEWTIME) {
        bail!("linux.timeOffsets: needs a new time namespace in linux.namespaces");
    }
    intel_rdt(linux)?;
    mappings("uidMappings", linux.uid_mappings.as_deref(), namespaces)?;
    mappings("gidMappings", linux.gid_mappings.as_deref(), namespaces)?;
    hooks(spec)
}

/// Not supported yet; whoever asks for it counts on it.
fn intel_rdt(linux: &Linux) -> Result<()> {
    let Some(rdt) = &linux.intel_rdt else { return Ok(()) };
    for (field, schema) in [("l3CacheSchema", &rdt.l3_cache_schema), ("memBwSchema", &rdt.mem_bw_schema)] {
        if schema.contains('\n') {
            bail!("linux.intelRdt.{field}: more than one line");
        }
    }
    for (index, schema) in rdt.schemata.iter().flatten().enumerate() {
        if schema.contains('\n') {
            bail!("linux.intelRdt.schemata[{index}]: more than one line");
        }
    }
    bail!("linux.intelRdt: this runtime cannot do that yet; take it out")
}

fn is_some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

/// semver 2.0: any 1.x, where additions to the specification only add.
fn version(text: &str) -> Result<()> {
    if text.is_empty() {
        bail!("ociVersion: missing");
    }
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u32>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [Some(1), Some(_), Some(_)] => Ok(()),
        [Some(_), Some(_), Some(_)] => bail!("ociVersion: {text} is not supported; this runtime speaks 1.0.0 to 1.3.0"),
        _ => bail!("ociVersion: {text:?} is not a version like 1.3.0"),
    }
}

pub(super) fn process(process: &Process) -> Result<()> {
    if process.cwd.is_empty() {
        bail!("process.cwd: missing");
    }
    if !process.cwd.starts_with('/') {
        bail!("process.cwd: {} is not an absolute path", process.cwd);
    }
    if process.args.as_deref().unwrap_or_default().is_empty() {
        bail!("process.args: missing; there is nothing to run");
    }
    for (field, id) in [("uid", process.user.uid), ("gid", process.user.gid)] {
        if id == NOBODY_AT_ALL {
            bail!("process.user.{field}: {id} means \"no change\" to the kernel and can be nobody");
        }
    }
    for (index, gid) in process.user.additional_gids.iter().flatten().enumerate() {
        if *gid == NOBODY_AT_ALL {
            bail!("process.user.additionalGids[{index}]: {gid} means \"no change\" to the kernel and can be nobody");
        }
    }
    if process.user.umask.is_some_and(|umask| umask > 0o777) {
        bail!("process.user.umask: {} is above 511 (octal 0777)", process.user.umask.unwrap_or_default());
    }
    for (index, entry) in process.env.iter().flatten().enumerate() {
        if !entry.contains('=') || entry.starts_with('=') {
            bail!("process.env[{index}]: {entry:?} is not of the form NAME=value");
        }
    }
    match process.oom_score_adj {
        Some(score) if !(-1000..=1000).contains(&score) => {
            bail!("process.oomScoreAdj: {score} is not between -1000 and 1000")
        }
        _ => Ok(()),
    }
}

fn mappings(field: &str, mappings: Option<&[IdMapping]>, namespaces: &Namespaces) -> Result<()> {
    let mappings = mappings.unwrap_or_default();
    if !mappings.is_empty() && !namespaces.has(sys::CLONE_NEWUSER) {
        bail!("linux.{field}: needs a user namespace in linux.namespaces");
    }
    for (index, map) in mappings.iter().enumerate() {
        if map.size == 0 {
            bail!("linux.{field}[{index}].size: 0 maps nobody");
        }
        for (name, first) in [("containerID", map.container_id), ("hostID", map.host_id)] {
            if first.checked_add(map.size).is_none() {
                bail!("linux.{field}[{index}].{name}: {first} and {} more go beyond the last id", map.size);
            }
        }
    }
    Ok(())
}

fn hooks(spec: &Spec) -> Result<()> {
    let Some(hooks) = spec.hooks.as_ref() else { return Ok(()) };
    let kinds: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (kind, hooks) in kinds {
        for (index, hook) in hooks.iter().flatten().enumerate() {
            if !hook.path.starts_with('/') {
                bail!("hooks.{kind}[{index}].path: {:?} is not an absolute path", hook.path);
            }
            if hook.timeout.is_some_and(|seconds| seconds <= 0) {
                bail!("hooks.{kind}[{index}].timeout: {} is not above 0 seconds", hook.timeout.unwrap_or_default());
            }
        }
    }
    Ok(())
}
