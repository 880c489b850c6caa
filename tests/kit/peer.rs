//! Which runtime is under test, and the modes that the whole suite can run in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

pub struct Runtime {
    /// As given in `BOLO`: a name for the PATH, or a path.
    pub program: PathBuf,
    pub name: String,
    version: Vec<u32>,
}

pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let program = std::env::var_os("BOLO").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_bolo")), PathBuf::from);
    let output = Command::new(&program).arg("--version").output().unwrap_or_else(|e| panic!("run {program:?}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.lines().next().unwrap_or("").split(' ');
    let name = match words.next() {
        Some(name @ ("runc" | "crun" | "youki")) => name.to_owned(),
        _ => "bolo".to_owned(),
    };
    let numbers = words.next_back().unwrap_or("");
    let version = numbers.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok()).collect();
    Runtime { program, name, version }
});

impl Runtime {
    /// Whether one of the words of `which` names this runtime: `crun`, `runc<1.2`.
    pub fn is(&self, which: &str) -> bool {
        which.split(' ').any(|word| match word.split_once('<') {
            Some((name, bound)) => {
                let bound: Vec<u32> = bound.split('.').map(|part| part.parse().expect("a version")).collect();
                name == self.name && self.version < bound
            }
            None => word == self.name,
        })
    }
}

/// `BOLO_CGROUP=v2`: the runtime sees a pure cgroup v2 mount.
pub fn v2() -> bool {
    std::env::var("BOLO_CGROUP").is_ok_and(|mode| mode == "v2") || super::cgroup::host_is_v2()
}

/// `BOLO_NO_OPENAT2=1`: a tracer stands in for a kernel without openat2(2).
pub fn is_traced() -> bool {
    std::env::var("BOLO_NO_OPENAT2").is_ok_and(|mode| mode == "1")
}

/// What has to stand before the runtime's own command line in this mode of the suite.
pub fn wrapper() -> Vec<&'static str> {
    let mut words = Vec::new();
    if std::env::var("BOLO_CGROUP").is_ok_and(|mode| mode == "v2") && !super::cgroup::host_is_v2() {
        words.extend(["unshare", "--mount", "--propagation", "slave", "sh", "-euc"]);
        words.push("umount --recursive --lazy /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec \"$@\"");
        words.push("sh");
    }
    if is_traced() {
        // -DDD: the tracer is out of the way, the runtime is our own child and keeps its process id.
        words.extend(["strace", "-DDD", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=openat2"]);
        words.extend(["-e", "inject=openat2:error=ENOSYS"]);
    }
    words
}
