//! `linux.resources.cpu`: times in microseconds.

use super::super::setting::{Setting, Version};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::resources::Cpu;

const ORIGIN: &str = "linux.resources.cpu";
/// Documentation/admin-guide/cgroup-v2.rst, "cpu.max".
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn plan(cpu: &Cpu, version: Version) -> Result<Vec<Setting>> {
    match version {
        Version::V1 => Ok(plan_v1(cpu)),
        Version::V2 => plan_v2(cpu),
    }
}

fn plan_v1(cpu: &Cpu) -> Vec<Setting> {
    let set = |member: &str, file: &str, value: &dyn ToString| {
        Setting::new("cpu", file, value.to_string(), format!("{ORIGIN}.{member}"))
    };
    let mut settings = Vec::new();
    if let Some(idle) = cpu.idle.filter(|idle| *idle == 0) {
        settings.push(set("idle", "cpu.idle", &idle));
    }
    if let Some(shares) = weight_that_counts(cpu) {
        settings.push(set("shares", "cpu.shares", &shares).read_back());
    }
    if let Some(period) = cpu.period.filter(|period| *period != 0) {
        settings.push(set("period", "cpu.cfs_period_us", &period).may_wait());
    }
    if let Some(burst) = cpu.burst {
        // KERNEL(5.14): none is what a kernel without it gives.
        let setting = set("burst", "cpu.cfs_burst_us", &burst).may_wait();
        settings.push(if burst == 0 { setting.or_ignore() } else { setting });
    }
    if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
        settings.push(set("quota", "cpu.cfs_quota_us", &quota));
    }
    if let Some(idle) = cpu.idle.filter(|idle| *idle != 0) {
        settings.push(set("idle", "cpu.idle", &idle));
    }
    settings.extend(plan_realtime(cpu));
    settings
}

fn plan_realtime(cpu: &Cpu) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(period) = cpu.realtime_period.filter(|period| *period != 0) {
        let origin = format!("{ORIGIN}.realtimePeriod");
        settings.push(Setting::new("cpu", "cpu.rt_period_us", period, origin).may_wait());
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|runtime| *runtime != 0) {
        settings.push(Setting::new("cpu", "cpu.rt_runtime_us", runtime, format!("{ORIGIN}.realtimeRuntime")));
    }
    settings
}

fn plan_v2(cpu: &Cpu) -> Result<Vec<Setting>> {
    for (asked, member) in [
        (cpu.realtime_period.is_some_and(|value| value != 0), "realtimePeriod"),
        (cpu.realtime_runtime.is_some_and(|value| value != 0), "realtimeRuntime"),
    ] {
        if asked {
            bail!("{ORIGIN}.{member}: cgroup version 2 has no real-time limits");
        }
    }
    let set = |member: &str, file: &str, value: &dyn ToString| {
        Setting::new("cpu", file, value.to_string(), format!("{ORIGIN}.{member}"))
    };
    let mut settings = Vec::new();
    if let Some(idle) = cpu.idle {
        settings.push(set("idle", "cpu.idle", &idle));
    }
    if let Some(shares) = weight_that_counts(cpu) {
        settings.push(set("shares", "cpu.weight", &weight(shares)));
    }
    if let Some(burst) = cpu.burst {
        let setting = set("burst", "cpu.max.burst", &burst).may_wait();
        settings.push(if burst == 0 { setting.or_ignore() } else { setting });
    }
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let quota_text = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
        let member = if quota.is_some() { "quota" } else { "period" };
        settings.push(set(member, "cpu.max", &format!("{quota_text} {}", period.unwrap_or(DEFAULT_PERIOD))));
    }
    Ok(settings)
}

/// The kernel refuses (EINVAL) a weight for an idle cgroup, whose weight is the lowest of all, and forgets it.
fn weight_that_counts(cpu: &Cpu) -> Option<u64> {
    cpu.shares.filter(|shares| *shares != 0 && cpu.idle.unwrap_or_default() == 0)
}

/// From the 2 to 262144 of version 1, 1024 by default, to the 1 to 10000 of version 2, 100 by default: the curve through
/// these three points that all runtimes have agreed on.
pub(super) fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

pub(super) fn plan_cpuset(cpu: &Cpu) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    for (list, file, member) in [(&cpu.cpus, "cpuset.cpus", "cpus"), (&cpu.mems, "cpuset.mems", "mems")] {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else { continue };
        let origin = format!("{ORIGIN}.{member}");
        if !list.bytes().all(|byte| byte.is_ascii_digit() || b",- ".contains(&byte)) {
            bail!("{origin}: {list:?} is no list like 0-3,7");
        }
        settings.push(Setting::new("cpuset", file, list, origin));
    }
    Ok(settings)
}
