//! linux.seccomp: when the filter is loaded. What it contains is `runtime::seccomp`'s business.

use super::Steps;
use super::step::{Op, Origin};
use crate::bail;
use crate::error::Result;
use crate::runtime::seccomp::{self, Arch, Filter};
use crate::runtime::spec::Linux;

const ORIGIN: Origin = Origin::Field("linux.seccomp");

pub(super) fn plan(linux: &Linux) -> Result<Option<Filter>> {
    let Some(profile) = &linux.seccomp else { return Ok(None) };
    let Some(native) = Arch::native() else {
        bail!("{ORIGIN}: the system calls of {} are not known here", std::env::consts::ARCH);
    };
    seccomp::compile(profile, native)
}

/// A filter whose calls an agent decides: the agent gets its descriptor through the parent, which is there only up to
/// Ready.
pub(super) fn with_listener(steps: &mut Steps, filter: &Option<Filter>, preserved: u32) {
    if let Some(filter) = filter.as_ref().filter(|filter| filter.listener.is_some()) {
        steps.always(Op::CloseRange { first: preserved.saturating_add(3) });
        steps.add(ORIGIN, Op::Seccomp(Box::new(filter.clone())));
    }
}

/// As late as possible, so that the container's filter restricts the container, not us. Without no_new_privs the kernel
/// takes it only from the privileged.
pub(super) fn without_listener(steps: &mut Steps, filter: Option<Filter>) {
    if let Some(filter) = filter.filter(|filter| filter.listener.is_none()) {
        steps.add(ORIGIN, Op::Seccomp(Box::new(filter)));
    }
}
