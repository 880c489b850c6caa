//! process.rlimits and oomScoreAdj: set by the parent, on the child, while it still may.

use super::{Limit, Steps};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::Process;

/// getrlimit(2): the kernel's numbers are the places in this list.
pub(super) const RESOURCES: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

pub(super) fn plan(steps: &mut Steps, process: &Process) -> Result<()> {
    let launch = &mut steps.plan.launch;
    launch.oom_score_adj = process.oom_score_adj;
    for (index, limit) in process.rlimits.iter().flatten().enumerate() {
        let Some(resource) = RESOURCES.iter().position(|name| *name == limit.kind) else {
            bail!("process.rlimits[{index}].type: unknown limit {:?}", limit.kind);
        };
        let resource = resource as u32;
        if launch.limits.iter().any(|other| other.resource == resource) {
            bail!("process.rlimits[{index}].type: {} is listed twice", limit.kind);
        }
        if limit.soft > limit.hard {
            bail!("process.rlimits[{index}].soft: {} is above the hard limit {}", limit.soft, limit.hard);
        }
        launch.limits.push(Limit { index, resource, soft: limit.soft, hard: limit.hard });
    }
    Ok(())
}
