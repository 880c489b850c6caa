//! The place of one test: a directory with the runtime's state (`root`), bundles, and files beside them. All of it is
//! gone when the test is over, and a test that leaves something fails.

use super::{Bundle, Call, skip};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

/// The directory of this process, below which everything happens.
pub static BASE: LazyLock<PathBuf> = LazyLock::new(|| {
    let base = std::env::temp_dir().join(format!("bolo-tests-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir(&base).unwrap_or_else(|e| panic!("make {base:?}: {e}"));
    base
});

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A number that no other test of this process has.
pub fn unique() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Cheap to clone: all clones are the same place.
#[derive(Clone)]
pub struct Scene(Arc<Place>);

struct Place {
    dir: PathBuf,
}

impl Scene {
    pub fn new() -> Scene {
        skip::after_the_suite("");
        let dir = BASE.join(unique().to_string());
        std::fs::create_dir_all(dir.join("root")).unwrap();
        Scene(Arc::new(Place { dir }))
    }

    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The runtime's `--root`.
    pub fn root(&self) -> PathBuf {
        self.dir().join("root")
    }

    /// A path of the host beside the bundles.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A directory of the host beside the bundles, made if need be.
    pub fn host_dir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// A file of the host beside the bundles.
    pub fn host_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A call of the runtime with this scene's `--root`.
    pub fn call<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        Call::new(self, args)
    }

    /// A bundle that runs a shell script.
    pub fn sh(&self, script: &str) -> Bundle {
        Bundle::in_scene(self).args(["/bin/sh", "-c", script])
    }

    /// A bundle that waits, and ends with exit code 0 at SIGTERM; it says `ready` once SIGTERM is handled.
    pub fn idle(&self) -> Bundle {
        self.sh("trap 'exit 0' TERM; echo ready; sleep 100000 & while :; do wait; done")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left: Vec<_> = std::fs::read_dir(self.dir.join("root"))
            .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
            .unwrap_or_default();
        let mounts = unmount_below(&self.dir);
        let _ = std::fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            // crun keeps a directory of its own beside the containers.
            let left: Vec<_> = left.into_iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect();
            assert!(left.is_empty(), "the runtime left in its --root: {left:?}");
            assert!(mounts.is_empty(), "mounts are left: {mounts:?}");
        }
    }
}

/// Unmounts everything below `dir` in our mount namespace and says what that was.
fn unmount_below(dir: &Path) -> Vec<String> {
    let prefix = format!("{}/", dir.display());
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<String> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| point.starts_with(&prefix))
        .map(str::to_owned)
        .collect();
    for point in points.iter().rev() {
        let _ = nix::mount::umount2(point.as_str(), nix::mount::MntFlags::MNT_DETACH);
    }
    points.dedup();
    points
}
