//! newuidmap(1) and newgidmap(1), which give a user's namespace the ids of /etc/subuid and /etc/subgid.

use crate::error::{Context, Error, Result};
use crate::sys::process::pid_t;
use std::path::Path;

/// From the system's own directories, whatever PATH says.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

pub fn program(name: &str) -> Option<String> {
    DIRECTORIES.iter().map(|directory| format!("{directory}/{name}")).find(|path| Path::new(path).is_file())
}

/// Has the program write `map`, lines as uid_map has them, for a process that is new in its user namespace.
pub fn write(name: &str, pid: pid_t, map: &str) -> Result<()> {
    let path = program(name)
        .ok_or_else(|| Error::new(format!("more than one's own id needs {name} (package uidmap), which is missing")))?;
    let output = std::process::Command::new(&path)
        .arg(pid.to_string())
        .args(map.split_whitespace())
        .env_clear()
        .output()
        .with(|| format!("run {path}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
