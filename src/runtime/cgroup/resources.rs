//! From `linux.resources` to the files of cgroups: pure. What an interface of the kernel lacks is an error that names
//! the member, never ignored.

mod cpu;
mod io;
mod memory;

use super::setting::{Setting, Version};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::resources::{HugepageLimit, Network, Pids, Resources};

/// Every setting but the devices, in the order of writing. `version` tells how a controller (by its version 1 name) is
/// reached on this host.
pub(super) fn plan(resources: &Resources, version: impl Fn(&'static str) -> Version) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    if let Some(pids) = &resources.pids {
        settings.extend(plan_pids(pids));
    }
    if let Some(memory) = &resources.memory {
        settings.extend(memory::plan(memory, version("memory"))?);
    }
    if let Some(io) = &resources.block_io {
        settings.extend(io::plan(io, version("blkio"))?);
    }
    if let Some(cpu) = &resources.cpu {
        settings.extend(cpu::plan(cpu, version("cpu"))?);
        settings.extend(cpu::plan_cpuset(cpu)?);
    }
    for (index, limit) in resources.hugepage_limits.iter().flatten().enumerate() {
        settings.extend(plan_hugepages(index, limit, version("hugetlb"))?);
    }
    for (device, limits) in resources.rdma.iter().flatten() {
        let origin = format!("linux.resources.rdma[{device:?}]");
        one_word(&origin, device)?;
        let mut value = device.clone();
        if let Some(handles) = limits.hca_handles {
            value.push_str(&format!(" hca_handle={handles}"));
        }
        if let Some(objects) = limits.hca_objects {
            value.push_str(&format!(" hca_object={objects}"));
        }
        settings.push(Setting::new("rdma", "rdma.max", value, origin).unset("hca_handle=max hca_object=max"));
    }
    if let Some(network) = &resources.network {
        settings.extend(plan_network(network, version("net_cls"), version("net_prio"))?);
    }
    for (file, value) in resources.unified.iter().flatten() {
        settings.extend(plan_unified(file, value)?);
    }
    Ok(settings)
}

/// 0 is a limit like others (runtime-spec 1.3): whoever is in may stay, and nobody can be made.
fn plan_pids(pids: &Pids) -> Option<Setting> {
    let value = match pids.limit? {
        limit if limit < 0 => "max".to_owned(),
        limit => limit.to_string(),
    };
    Some(Setting::new("pids", "pids.max", value, "linux.resources.pids.limit"))
}

/// KERNEL(5.7): reservations are limited apart, in the files with `rsvd`.
fn plan_hugepages(index: usize, limit: &HugepageLimit, version: Version) -> Result<[Setting; 2]> {
    let origin = format!("linux.resources.hugepageLimits[{index}]");
    let size = limit.page_size.as_deref().unwrap_or_default();
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        bail!("{origin}.pageSize: {size:?} is no page size");
    }
    let suffix = if version == Version::V2 { "max" } else { "limit_in_bytes" };
    let value = limit.limit.unwrap_or_default();
    Ok([
        Setting::new("hugetlb", format!("hugetlb.{size}.{suffix}"), value, origin.clone()),
        Setting::new("hugetlb", format!("hugetlb.{size}.rsvd.{suffix}"), value, origin).or_ignore(),
    ])
}

fn plan_network(network: &Network, classes: Version, priorities: Version) -> Result<Vec<Setting>> {
    const ORIGIN: &str = "linux.resources.network";
    let mut settings = Vec::new();
    // 0 is the class of whoever has none.
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        if classes == Version::V2 {
            bail!("{ORIGIN}.classID: cgroup version 2 has no network classes, and no net_cls hierarchy is mounted");
        }
        settings.push(Setting::new("net_cls", "net_cls.classid", class, format!("{ORIGIN}.classID")));
    }
    for (index, entry) in network.priorities.iter().flatten().enumerate() {
        let origin = format!("{ORIGIN}.priorities[{index}]");
        if priorities == Version::V2 {
            bail!("{origin}: cgroup version 2 has no network priorities, and no net_prio hierarchy is mounted");
        }
        let name = entry.name.as_deref().unwrap_or_default();
        one_word(&origin, name)?;
        let value = format!("{name} {}", entry.priority.unwrap_or_default());
        settings.push(Setting::new("net_prio", "net_prio.ifpriomap", value, origin).unset("0"));
    }
    Ok(settings)
}

/// The file as it is, for what has no member of its own. Several lines are several writes.
fn plan_unified(file: &str, value: &str) -> Result<Vec<Setting>> {
    let origin = format!("linux.resources.unified[{file:?}]");
    if file.contains(['/', '\0']) {
        bail!("{origin}: it must be a file name, without slashes");
    }
    if !file.split_once('.').is_some_and(|(controller, parameter)| !controller.is_empty() && !parameter.is_empty()) {
        bail!("{origin}: it must be CONTROLLER.PARAMETER");
    }
    let lines = value.split('\n').filter(|line| !line.is_empty());
    let unset = match file {
        "io.max" => Some("rbps=max wbps=max riops=max wiops=max"),
        "rdma.max" => Some("hca_handle=max hca_object=max"),
        _ => None,
    };
    let setting = |line: &str| Setting { unset, ..Setting::new("unified", file, line, origin.as_str()) };
    if value.is_empty() {
        // Clears a list: cpuset.cpus.
        return Ok(vec![setting("\n")]);
    }
    Ok(lines.map(setting).collect())
}

/// A name that becomes the first word of a line.
fn one_word(origin: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains('\0') {
        bail!("{origin}: {name:?} is no name");
    }
    Ok(())
}

/// A limit in bytes: 0 is not set, -1 is unlimited.
fn limit(origin: &str, value: Option<i64>) -> Result<Option<i64>> {
    match value {
        None | Some(0) => Ok(None),
        Some(value) if value < -1 => bail!("{origin}: {value} is negative; -1 means unlimited"),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests;
