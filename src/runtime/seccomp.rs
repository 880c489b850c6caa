//! `linux.seccomp` to a program for the kernel. Pure: nothing here touches the system.
//!
//! [`profile`] reads the words and refuses what means nothing; [`verdict`] turns rules about names into a map from ranges
//! of system call numbers to verdicts, one map for each value of `seccomp_data.arch`; [`program`] writes the maps down
//! as a decision tree.
//!
//! What the specification leaves open follows libseccomp as runc drives it, so that a profile means what its author has
//! tried:
//!
//! - An unconditional rule for a call beats every conditional one, and the first of several unconditional ones counts.
//!   Between conditional rules the first in the profile whose conditions hold counts (libseccomp's order is its own).
//! - A rule whose action is the default action is as good as absent. A name that no architecture of the profile has is
//!   passed over.
//! - Two conditions on one argument make each condition of that rule a rule of its own.
//! - MASKED_EQ compares the bits of the mask only, also of valueTwo. On a 32-bit architecture, and for x32,
//!   arguments and values are cut to 32 bits.
//! - Where the default action refuses, a call newer than the newest that the profile names gets ENOSYS, which lets a C
//!   library fall back (runc's rule, for each architecture by itself).
//! - A call by an architecture that the profile does not list kills the thread, whatever the default action. The native
//!   architecture is always listed. Number -1, a debugger's way to skip a call, is no x32 call.
//! - x86's `socketcall` and `ipc`, which carry other calls, get the rules of the calls they carry. The arguments of those
//!   are out of reach there: a conditional rule goes over without its conditions where it is stricter than the default
//!   action, and not at all where it is laxer.

mod arch;
pub mod listener;
mod profile;
mod program;
mod syscalls;
mod verdict;

pub use arch::Arch;

use crate::error::Result;
use crate::runtime::spec;
use crate::sys::seccomp::{FLAG_NEW_LISTENER, SockFilter};
use profile::Profile;

/// What seccomp(2) is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub program: Vec<SockFilter>,
    /// SECCOMP_FILTER_FLAG_*, with NEW_LISTENER if and only if there is a listener.
    pub flags: u32,
    pub listener: Option<Listener>,
}

/// Who decides about calls with SCMP_ACT_NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// A unix stream socket.
    pub path: String,
    pub metadata: String,
}

/// The filter of a profile for processes of `native` and the architectures that run beside it. None where there is
/// nothing to load: no default action and no rule, as runc has it. A profile that allows everything is loaded all the
/// same, because it still shuts out the architectures that it does not list.
pub fn compile(profile: &spec::seccomp::Seccomp, native: Arch) -> Result<Option<Filter>> {
    if profile.default_action.is_empty() && profile.syscalls.is_empty() {
        return Ok(None);
    }
    let profile = Profile::parse(profile)?;
    let maps = verdict::maps(&profile, native)?;
    let program = program::write(&maps)?;
    let mut flags = profile.flags;
    if profile.listener.is_some() {
        flags |= FLAG_NEW_LISTENER;
    }
    Ok(Some(Filter { program, flags, listener: profile.listener }))
}

#[cfg(test)]
mod tests;
