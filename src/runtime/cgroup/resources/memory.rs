//! `linux.resources.memory`.

use super::super::setting::{Setting, Version};
use super::limit;
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::resources::Memory;

const LIMIT: &str = "linux.resources.memory.limit";
const SWAP: &str = "linux.resources.memory.swap";
const RESERVATION: &str = "linux.resources.memory.reservation";

pub(super) fn plan(memory: &Memory, version: Version) -> Result<Vec<Setting>> {
    let values = Values {
        limit: limit(LIMIT, memory.limit)?,
        swap: limit(SWAP, memory.swap)?,
        reservation: limit(RESERVATION, memory.reservation)?,
    };
    // Docker and podman once wrote -1 for "as the host has it".
    let swappiness = memory.swappiness.filter(|value| *value != u64::MAX);
    if let Some(value) = swappiness.filter(|value| *value > 100) {
        bail!("linux.resources.memory.swappiness: {value} is not in the range 0 to 100");
    }
    match version {
        Version::V1 => Ok(plan_v1(&values, swappiness, memory)),
        Version::V2 => plan_v2(&values, swappiness, memory),
    }
}

struct Values {
    limit: Option<i64>,
    swap: Option<i64>,
    reservation: Option<i64>,
}

fn plan_v1(values: &Values, swappiness: Option<u64>, memory: &Memory) -> Vec<Setting> {
    let set = |file: &str, value: &dyn ToString, origin: &str| Setting::new("memory", file, value.to_string(), origin);
    let mut settings = Vec::new();
    if let Some(limit) = values.limit {
        settings.push(set("memory.limit_in_bytes", &limit, LIMIT).may_wait());
        // No limit for memory alone means none for memory and swap, where the kernel counts swap.
        if limit == -1 && values.swap.is_none() {
            settings.push(set("memory.memsw.limit_in_bytes", &-1, LIMIT).or_ignore());
        }
    }
    if let Some(swap) = values.swap {
        settings.push(set("memory.memsw.limit_in_bytes", &swap, SWAP));
    }
    if let Some(reservation) = values.reservation {
        settings.push(set("memory.soft_limit_in_bytes", &reservation, RESERVATION));
    }
    for (value, file, origin) in [
        (memory.kernel, "memory.kmem.limit_in_bytes", "linux.resources.memory.kernel"),
        (memory.kernel_tcp, "memory.kmem.tcp.limit_in_bytes", "linux.resources.memory.kernelTCP"),
    ] {
        if let Some(value) = value.filter(|value| *value != 0) {
            settings.push(set(file, &value, origin));
        }
    }
    if let Some(hierarchy) = memory.use_hierarchy {
        let value = u8::from(hierarchy);
        settings.push(set("memory.use_hierarchy", &value, "linux.resources.memory.useHierarchy"));
    }
    if let Some(swappiness) = swappiness {
        settings.push(set("memory.swappiness", &swappiness, "linux.resources.memory.swappiness"));
    }
    if let Some(disable) = memory.disable_oom_killer {
        let value = u8::from(disable);
        settings.push(set("memory.oom_control", &value, "linux.resources.memory.disableOOMKiller"));
    }
    settings
}

fn plan_v2(values: &Values, swappiness: Option<u64>, memory: &Memory) -> Result<Vec<Setting>> {
    const LACKS: &str = "cgroup version 2 has no such limit";
    for (asked, member) in [
        (swappiness.is_some(), "swappiness"),
        (memory.disable_oom_killer == Some(true), "disableOOMKiller"),
        (memory.use_hierarchy == Some(false), "useHierarchy: false"),
        (memory.kernel.is_some_and(|value| value > 0), "kernel"),
        (memory.kernel_tcp.is_some_and(|value| value > 0), "kernelTCP"),
    ] {
        if asked {
            bail!("linux.resources.memory.{member}: {LACKS}");
        }
    }
    let set = |file: &str, value: String, origin: &str| Setting::new("memory", file, value, origin);
    let mut settings = Vec::new();
    if let Some(swap) = swap_alone(values)? {
        let setting = set("memory.swap.max", number(swap), SWAP);
        // Without swap accounting there is no swap to allow or to forbid.
        settings.push(if swap <= 0 { setting.or_ignore() } else { setting });
    }
    if let Some(limit) = values.limit {
        settings.push(set("memory.max", number(limit), LIMIT));
    }
    if let Some(reservation) = values.reservation {
        settings.push(set("memory.low", number(reservation), RESERVATION));
    }
    Ok(settings)
}

/// config.json speaks of memory and swap together, as version 1 does; version 2 limits swap alone.
fn swap_alone(values: &Values) -> Result<Option<i64>> {
    match (values.limit, values.swap) {
        (Some(-1), None) | (_, Some(-1)) => Ok(Some(-1)),
        (_, None) => Ok(None),
        (None | Some(-1), Some(_)) => bail!("{SWAP}: memory and swap together need a limit of memory too"),
        (Some(limit), Some(swap)) if swap < limit => {
            bail!("{SWAP}: memory and swap together ({swap}) cannot be less than memory ({limit})")
        }
        (Some(limit), Some(swap)) => Ok(Some(swap - limit)),
    }
}

fn number(value: i64) -> String {
    if value == -1 { "max".to_owned() } else { value.to_string() }
}
