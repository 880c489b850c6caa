//! For whom we work: the host's root, or a user without root.

use crate::error::{Context, Result};
use crate::sys::{OFlag, fd, identity};

/// What we have and can give.
pub fn capabilities() -> Result<Option<u64>> {
    Ok(Some(identity::capget().context("ask for our own capabilities")?.permitted))
}

/// Whether our root, if we are one, is not the host's: devices, for one, are not ours to rule then.
pub fn in_user_namespace() -> bool {
    let map = fd::open(c"/proc/self/uid_map", OFlag::O_RDONLY).and_then(|file| fd::read_up_to(file, 4096));
    let map = String::from_utf8_lossy(&map.unwrap_or_default()).into_owned();
    // Without /proc nobody knows; the kernel refuses what is not allowed.
    !map.is_empty() && !map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether a user's own runtime directory and systemd are ours. Root in a user namespace that a user made (an engine's,
/// mostly) has his environment; root in a container that is a small host of its own has not, or is called root.
pub fn is_user() -> bool {
    if identity::effective_uid() != 0 {
        return true;
    }
    let has_directory = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|value| !value.is_empty());
    let called_root = std::env::var_os("USER").is_some_and(|name| name == "root");
    has_directory && !called_root && in_user_namespace()
}
