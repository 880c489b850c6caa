//! process.scheduler and ioPriority, linux.personality and memoryPolicy: how the kernel treats the process.

use super::Steps;
use super::step::{Op, Origin};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::{self, Linux, Process, list};
use crate::sys::scheduler::Scheduler;

/// sched(7). SCHED_ISO (4) is missing: Linux has a number for it, and no code.
const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];
const POLICY_FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];
/// ioprio_set(2)
const IO_CLASSES: [(&str, i32); 3] = [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];
const IO_CLASS_SHIFT: i32 = 13;
/// personality(2)
const DOMAINS: [(&str, u64); 2] = [("LINUX", 0), ("LINUX32", 8)];
/// set_mempolicy(2)
pub const MEMORY_MODES: [(&str, i32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];
pub const MEMORY_FLAGS: [(&str, i32); 3] =
    [("MPOL_F_STATIC_NODES", 1 << 15), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_NUMA_BALANCING", 1 << 13)];

pub(super) fn plan(steps: &mut Steps, process: &Process, linux: &Linux) -> Result<()> {
    if let Some(scheduler) = &process.scheduler {
        steps.add(Origin::Field("process.scheduler"), Op::Scheduler(self::scheduler(scheduler)?));
    }
    if let Some(io) = &process.io_priority {
        let class = find(&IO_CLASSES, &io.class, "process.ioPriority.class")?;
        if !(0..8).contains(&io.priority) {
            bail!("process.ioPriority.priority: {} is not between 0 and 7", io.priority);
        }
        let priority = if io.class == "IOPRIO_CLASS_IDLE" { 0 } else { io.priority };
        steps.add(Origin::Field("process.ioPriority"), Op::IoPriority(class << IO_CLASS_SHIFT | priority));
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        list::bits(&affinity.initial, "process.execCPUAffinity.initial")?;
        list::bits(&affinity.last, "process.execCPUAffinity.final")?;
    }
    if let Some(personality) = &linux.personality {
        let domain = find(&DOMAINS, &personality.domain, "linux.personality.domain")?;
        if personality.flags.as_ref().is_some_and(|flags| !flags.is_empty()) {
            steps.warn("linux.personality.flags: the specification defines none, passing over them".to_owned());
        }
        steps.add(Origin::Field("linux.personality"), Op::Personality(domain));
    }
    if let Some(policy) = &linux.memory_policy {
        steps.add(Origin::Field("linux.memoryPolicy"), memory_policy(policy)?);
    }
    Ok(())
}

fn find<T: Copy>(table: &[(&str, T)], word: &str, field: &str) -> Result<T> {
    match table.iter().find(|known| known.0 == word) {
        Some((_, value)) => Ok(*value),
        None => {
            let words: Vec<_> = table.iter().map(|known| known.0).collect();
            bail!("{field}: unknown word {word:?}; use one of {}", words.join(", "))
        }
    }
}

fn scheduler(wanted: &spec::Scheduler) -> Result<Scheduler> {
    let policy = find(&POLICIES, &wanted.policy, "process.scheduler.policy")?;
    let realtime = matches!(wanted.policy.as_str(), "SCHED_FIFO" | "SCHED_RR");
    if !(-20..=19).contains(&wanted.nice) {
        bail!("process.scheduler.nice: {} is not between -20 and 19", wanted.nice);
    }
    if wanted.priority != 0 && !realtime {
        bail!("process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one");
    }
    if (wanted.runtime != 0 || wanted.deadline != 0 || wanted.period != 0) && wanted.policy != "SCHED_DEADLINE" {
        bail!("process.scheduler: runtime, deadline and period belong to SCHED_DEADLINE");
    }
    let mut flags = 0;
    for flag in wanted.flags.iter().flatten() {
        flags |= find(&POLICY_FLAGS, flag, "process.scheduler.flags")?;
    }
    let Ok(priority) = u32::try_from(wanted.priority) else {
        bail!("process.scheduler.priority: {} is negative", wanted.priority);
    };
    let (runtime, deadline, period) = (wanted.runtime, wanted.deadline, wanted.period);
    Ok(Scheduler { size: 0, policy, flags, nice: wanted.nice, priority, runtime, deadline, period })
}

fn memory_policy(policy: &spec::MemoryPolicy) -> Result<Op> {
    let mut mode = find(&MEMORY_MODES, &policy.mode, "linux.memoryPolicy.mode")?;
    for flag in policy.flags.iter().flatten() {
        mode |= find(&MEMORY_FLAGS, flag, "linux.memoryPolicy.flags")?;
    }
    Ok(Op::MemoryPolicy { mode, nodes: list::bits(&policy.nodes, "linux.memoryPolicy.nodes")? })
}
