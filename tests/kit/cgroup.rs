//! The host's cgroups, as the tests see them.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The mount points of all hierarchies.
static HIERARCHIES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|f| f.len() > 2 && f[2].starts_with("cgroup")).map(|f| PathBuf::from(f[1])).collect()
});

pub fn host_is_v2() -> bool {
    HIERARCHIES.iter().any(|path| path == Path::new("/sys/fs/cgroup"))
}

/// Where the v2 hierarchy is mounted.
pub fn unified() -> PathBuf {
    if host_is_v2() { PathBuf::from("/sys/fs/cgroup") } else { PathBuf::from("/sys/fs/cgroup/unified") }
}

/// Where a controller's files of the cgroup `path` are, as the runtime under test uses it.
pub fn of(controller: &str, path: &str) -> PathBuf {
    let path = path.trim_start_matches('/');
    if super::peer::v2() { unified().join(path) } else { Path::new("/sys/fs/cgroup").join(controller).join(path) }
}

/// Where systemd has a slice: `a-b.slice` is `a.slice/a-b.slice`.
pub fn of_slice(slice: &str) -> String {
    let name = slice.trim_end_matches(".slice");
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    ends.map(|end| format!("{}.slice", &name[..end])).collect::<Vec<_>>().join("/")
}

/// Every directory of every hierarchy that the cgroup `path` has.
pub fn find(path: &str) -> Vec<PathBuf> {
    let below = path.trim_start_matches('/');
    HIERARCHIES.iter().map(|root| root.join(below)).filter(|dir| dir.exists()).collect()
}

pub fn procs(dir: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Ends what is in the cgroup and removes it: what a test does when the runtime has not.
pub fn destroy(path: &str) {
    for dir in find(path) {
        remove(&dir);
    }
}

fn remove(dir: &Path) {
    for _ in 0..100 {
        let below = std::fs::read_dir(dir).into_iter().flatten().flatten();
        below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).for_each(|entry| remove(&entry.path()));
        let _ = std::fs::write(dir.join("freezer.state"), "THAWED");
        let _ = std::fs::write(dir.join("cgroup.freeze"), "0");
        for pid in procs(dir) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        if std::fs::remove_dir(dir).is_ok() || !dir.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
