use super::*;
use std::path::{Path, PathBuf};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("sys-tree-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn open(path: &Path) -> OwnedFd {
    std::fs::File::open(path).unwrap().into()
}

#[test]
fn removing_a_tree_does_not_follow_links() {
    let scratch = Scratch::new("links");
    let kept = scratch.0.join("kept");
    std::fs::create_dir_all(scratch.0.join("tree/a/b")).unwrap();
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("file"), "x").unwrap();
    std::os::unix::fs::symlink(&kept, scratch.0.join("tree/a/b/link")).unwrap();
    let fd = open(&scratch.0);
    remove_all(fd.as_fd(), c"tree").unwrap();
    assert!(!scratch.0.join("tree").exists());
    assert!(kept.join("file").exists());
    remove_all(fd.as_fd(), c"tree").unwrap();
}

#[test]
fn removing_a_tree_deeper_than_a_path_can_be() {
    let scratch = Scratch::new("deep");
    let fd = open(&scratch.0);
    let mut here = fd.try_clone().unwrap();
    for _ in 0..3000 {
        mkdirat(here.as_fd(), c"directory", 0o700).unwrap();
        here = openat(here.as_fd(), c"directory", OFlag::O_PATH | OFlag::O_DIRECTORY, 0).unwrap();
    }
    remove_all(fd.as_fd(), c"directory").unwrap();
    assert!(read_dir(fd.as_fd()).unwrap().is_empty());
}

#[test]
fn times_keep_their_nanoseconds() {
    let scratch = Scratch::new("times");
    let fd = open(&scratch.0);
    symlinkat(c"nowhere", fd.as_fd(), c"link").unwrap();
    let times = [Time { seconds: -5, nanoseconds: 3 }, Time { seconds: 1_600_000_000, nanoseconds: 123_456_789 }];
    utimensat(fd.as_fd(), c"link", times[0], times[1]).unwrap();
    let stat = stat_at(fd.as_fd(), c"link").unwrap();
    assert_eq!((stat.kind, stat.accessed, stat.modified), (Kind::Symlink, times[0], times[1]));
}
