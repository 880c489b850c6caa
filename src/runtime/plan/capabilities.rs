//! process.capabilities: names to sets (capabilities(7)).

use super::Steps;
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::Process;
use crate::sys::identity;
use caps::Capability;
use std::str::FromStr;

/// A bit per capability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sets {
    pub(super) bounding: u64,
    pub(super) ambient: u64,
    pub(super) thread: identity::Capabilities,
}

/// A missing object means none at all, not those of the caller. `held` are all that can be given (config.md,
/// capabilities: one that cannot be granted should give a warning): a privileged container asks for every capability
/// there is, also on a host that keeps some back.
pub(super) fn parse(steps: &mut Steps, process: &Process, held: Option<u64>) -> Result<Sets> {
    let Some(wanted) = process.capabilities.as_ref() else { return Ok(Sets::default()) };
    let mut unknown: Vec<String> = Vec::new();
    let mut set = |names: &Option<Vec<String>>| {
        let mut bits = 0;
        for name in names.iter().flatten() {
            match bit(name) {
                Some(bit) => bits |= bit,
                None if unknown.contains(name) => {}
                None => unknown.push(name.clone()),
            }
        }
        bits
    };
    let bounding = set(&wanted.bounding);
    let ambient = set(&wanted.ambient);
    let effective = set(&wanted.effective);
    let permitted = set(&wanted.permitted);
    let inheritable = set(&wanted.inheritable);
    if !unknown.is_empty() {
        steps.warn(format!("process.capabilities: passing over what no kernel knows: {}", unknown.join(", ")));
    }
    if effective & !permitted != 0 {
        bail!("process.capabilities.effective: {} is not among the permitted", names(effective & !permitted));
    }
    let raisable = permitted & inheritable;
    if ambient & !raisable != 0 {
        let lost = names(ambient & !raisable);
        steps.note(format!(
            "process.capabilities.ambient: {lost} cannot be, for it is not permitted and inheritable too"
        ));
    }
    let held = held.unwrap_or(u64::MAX);
    let lost = (bounding | permitted | inheritable) & !held;
    if lost != 0 {
        steps.warn(format!("process.capabilities: passing over what we do not have ourselves: {}", names(lost)));
    }
    let thread = identity::Capabilities {
        effective: effective & held,
        permitted: permitted & held,
        inheritable: inheritable & held,
    };
    Ok(Sets { bounding, ambient: ambient & raisable & held, thread })
}

/// CAP_CHOWN, or chown as people write it on a command line.
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let known = Capability::from_str(&upper).or_else(|_| Capability::from_str(&format!("CAP_{upper}")));
    known.ok().map(|capability| 1 << capability.index())
}

/// Every capability that has a name, in the kernel's order.
pub fn all_names() -> Vec<String> {
    let mut all: Vec<Capability> = caps::all().into_iter().collect();
    all.sort_unstable_by_key(Capability::index);
    all.iter().map(Capability::to_string).collect()
}

pub(super) fn names(bits: u64) -> String {
    let is_in = |name: &String| bit(name).is_some_and(|bit| bits & bit != 0);
    let names: Vec<String> = all_names().into_iter().filter(is_in).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}
