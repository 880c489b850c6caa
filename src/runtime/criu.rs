//! CRIU, which saves running processes and brings them back: `checkpoint` and `restore` ask it over its own protocol, the
//! one that go-criu speaks for runc.

pub mod external;
pub mod flags;
pub mod message;
pub mod place;
mod protobuf;
pub mod service;

use crate::bail;
use crate::error::Result;
use crate::runtime::log::Log;
use crate::sys::identity;

/// Nothing forbids it, and it may work in time (runc says the same).
pub fn warn_users(log: &Log, verb: &str) {
    if identity::effective_uid() != 0 || super::caller::in_user_namespace() {
        log.warn(&format!("{verb}: criu does little for whoever is not the host's root"));
    }
}

/// From CRIU 3.16 on; before, it would pass over what it is told of labels.
pub fn require_labels(flag: &str) -> Result<()> {
    const SINCE: u64 = 31_600;
    if service::version()? < SINCE {
        bail!("{flag}: needs criu 3.16 or later");
    }
    Ok(())
}
