//! Leaving whoever started us, and looking after whom we started.

use super::Result;
use super::process::{self, Clone, Exit, pid_t};

/// Makes this process the leader of a session of its own, without a terminal (setsid(2)).
pub fn setsid() -> Result<()> {
    nix::unistd::setsid().map(drop)
}

/// Goes on in a child, while the process that our parent knows ends with success: nobody waits for us, and nobody's
/// terminal is ours.
pub fn detach() -> Result<()> {
    match process::clone3(0, None)? {
        Clone::Parent { .. } => process::exit_now(0),
        Clone::Child => setsid(),
    }
}

/// Reaps a child that has ended, whichever it is.
pub fn reap_any() -> Option<(pid_t, Exit)> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Exited(pid, code)) => Some((pid.as_raw(), Exit::Code(u8::try_from(code).unwrap_or(u8::MAX)))),
        Ok(WaitStatus::Signaled(pid, signal, _)) => Some((pid.as_raw(), Exit::Signal(signal as i32))),
        _ => None,
    }
}
