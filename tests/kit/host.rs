//! What this machine has: facilities without which a test cannot be run.

use std::path::Path;

pub fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A capability of this process's bounding set, by number (capabilities(7)).
pub fn capability(number: u32) -> bool {
    status("CapBnd").is_some_and(|text| u64::from_str_radix(&text, 16).is_ok_and(|set| set >> number & 1 == 1))
}

/// Raising rlimits and lowering oom_score_adj need it.
pub fn cap_sys_resource() -> bool {
    capability(24)
}

fn status(field: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|rest| rest.trim().to_owned()))
}

/// A field of /proc/PID/status.
pub fn process_status(pid: i32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|rest| rest.trim().to_owned()))
}

/// Whether the process exists and is no zombie.
pub fn alive(pid: i32) -> bool {
    process_status(pid, "State").is_some_and(|state| !state.starts_with('Z') && !state.starts_with('X'))
}

/// systemd is the first process.
pub fn systemd() -> bool {
    Path::new("/run/systemd/system").exists() && program("systemctl")
}

pub fn program(name: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').any(|dir| Path::new(dir).join(name).exists())
}

/// A namespace type of this kernel.
pub fn namespace(kind: &str) -> bool {
    Path::new("/proc/self/ns").join(kind).exists()
}

/// The identity of a namespace: `net:[4026531840]`.
pub fn namespace_of(pid: i32, kind: &str) -> String {
    let link =
        std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap_or_else(|e| panic!("ns/{kind} of {pid}: {e}"));
    link.to_string_lossy().into_owned()
}

pub fn filesystem(name: &str) -> bool {
    let text = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    text.lines().any(|line| line.split_whitespace().next_back() == Some(name))
}

/// A cgroup controller that the runtime under test can use: any v1 hierarchy, or one of the v2 root.
pub fn controller(name: &str) -> bool {
    if super::peer::v2() {
        let text = std::fs::read_to_string(super::cgroup::unified().join("cgroup.controllers")).unwrap_or_default();
        return text.split_whitespace().any(|controller| controller == name);
    }
    Path::new("/sys/fs/cgroup").join(name).exists()
}
