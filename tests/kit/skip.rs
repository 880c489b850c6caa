//! Tests that cannot be run here say so: at once, and again, counted, when the suite has ended.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

/// Leaves the test unless the runtime under test is ours.
#[macro_export]
macro_rules! bolo_only {
    ($reason:expr) => {
        if $crate::kit::peer::RUNTIME.name != "bolo" {
            return $crate::kit::skip::skip(&format!("only bolo promises this: {}", $reason));
        }
    };
}

/// Leaves the test on runtimes that are known not to pass it: `not_on!("crun runc<1.2", "why")`.
#[macro_export]
macro_rules! not_on {
    ($which:expr, $reason:expr) => {
        if $crate::kit::peer::RUNTIME.is($which) {
            return $crate::kit::skip::skip(&format!("not on {}: {}", $which, $reason));
        }
    };
}

/// Leaves the test where the machine lacks something.
#[macro_export]
macro_rules! needs {
    ($condition:expr, $what:expr) => {
        if !$condition {
            return $crate::kit::skip::skip(&format!("this machine: {}", $what));
        }
    };
}

pub fn skip(reason: &str) {
    let thread = std::thread::current();
    // Written past the capture of the test harness, which would keep it from everyone's eyes.
    let _ = writeln!(std::io::stderr(), "skip {}: {reason}", thread.name().unwrap_or("?"));
    after_the_suite(&format!("skip {reason}"));
}

/// A process that outlives this one, whatever ends it: counts the skipped tests, ends containers that are left, and
/// removes our directory.
static AFTERWARDS: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let child = Command::new("setsid")
        .args(["sh", "-c", include_str!("afterwards.sh"), "afterwards"])
        .arg(super::scene::BASE.as_path())
        .arg(&super::peer::RUNTIME.program)
        .stdin(Stdio::piped())
        .spawn()
        .expect("run setsid and sh");
    Mutex::new(child)
});

pub fn after_the_suite(line: &str) {
    let mut child = AFTERWARDS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(pipe) = child.stdin.as_mut() {
        let _ = writeln!(pipe, "{line}");
    }
}
