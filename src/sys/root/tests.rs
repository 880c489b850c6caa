//! Each case runs through openat2 and through the walk that stands in for it.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

struct Tree(PathBuf);

impl Tree {
    /// `outside/secret` is what nothing may reach; `root` is the Root.
    fn new(name: &str) -> Tree {
        let top = std::env::temp_dir().join(format!("bolo-root-{name}-{}", std::process::id()));
        fs::create_dir_all(top.join("root/dir/sub")).unwrap();
        fs::create_dir_all(top.join("outside")).unwrap();
        fs::write(top.join("outside/secret"), "s").unwrap();
        fs::write(top.join("root/dir/file"), "f").unwrap();
        symlink(top.join("outside"), top.join("root/abs")).unwrap();
        symlink("../../../../../../../..", top.join("root/up")).unwrap();
        symlink("dir/sub", top.join("root/rel")).unwrap();
        symlink("/dir", top.join("root/dir/sub/back")).unwrap();
        symlink("loop", top.join("root/loop")).unwrap();
        symlink("/new/place", top.join("root/dangling")).unwrap();
        Tree(top)
    }

    fn root(&self) -> Root {
        Root::open(&self.0.join("root")).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn inode(fd: &OwnedFd) -> u64 {
    nix::sys::stat::fstatat(fd, c"", AtFlags::AT_EMPTY_PATH).unwrap().st_ino
}

#[test]
fn both_ways_of_resolving_agree_and_stay_inside() {
    let tree = Tree::new("agree");
    let root = tree.root();
    let paths = [
        "",
        "/",
        ".",
        "..",
        "../..",
        "dir",
        "/dir/",
        "dir/file",
        "dir/./sub/../file",
        "rel",
        "rel/back/file",
        "abs",
        "abs/secret",
        "up",
        "up/dir/file",
        "../outside/secret",
        "loop",
        "missing",
        "dir/file/x",
        "dangling",
        "rel/..",
    ];
    for path in paths {
        for flags in
            [OFlag::O_PATH, OFlag::O_PATH | OFlag::O_NOFOLLOW, OFlag::O_RDONLY, OFlag::O_PATH | OFlag::O_DIRECTORY]
        {
            let kernel = root.open_at(path, flags, Mode::empty()).map(|fd| inode(&fd));
            let by_hand = walk(root.fd(), Path::new(path), flags, Mode::empty()).map(|fd| inode(&fd));
            assert_eq!(kernel, by_hand, "{path:?} {flags:?}");
        }
    }
    assert_eq!(root.resolve("abs/secret").unwrap_err(), Errno::ENOENT);
    assert_eq!(root.resolve("loop").unwrap_err(), Errno::ELOOP);
}

#[test]
fn directories_are_made_inside_even_behind_dangling_links() {
    let tree = Tree::new("mkdir");
    let root = tree.root();
    let mode = Mode::from_bits_truncate(0o755);
    root.create_dir_all("a/b/c", mode).unwrap();
    root.create_dir_all("up/../x/y", mode).unwrap();
    root.create_dir_all("dangling/deeper", mode).unwrap();
    root.create_dir_all("abs/evil", mode).unwrap();
    assert_eq!(root.create_dir_all("dir/file/x", mode).unwrap_err(), Errno::ENOTDIR);
    assert_eq!(root.create_dir_all("loop/x", mode).unwrap_err(), Errno::ELOOP);
    for made in ["a/b/c", "x/y", "new/place/deeper"] {
        assert!(tree.0.join("root").join(made).is_dir(), "{made}");
    }
    assert_eq!(fs::read_dir(tree.0.join("outside")).unwrap().count(), 1);
}

#[test]
fn files_are_made_inside_even_behind_dangling_links() {
    let tree = Tree::new("file");
    let root = tree.root();
    let (mode, dirs) = (Mode::from_bits_truncate(0o644), Mode::from_bits_truncate(0o755));
    root.create_file("m/n/file", mode, dirs).unwrap();
    root.create_file("dangling", mode, dirs).unwrap();
    root.create_file("dir/file", mode, dirs).unwrap();
    assert!(tree.0.join("root/m/n/file").is_file());
    assert!(tree.0.join("root/new/place").is_file());
    assert_eq!(fs::read(tree.0.join("root/dir/file")).unwrap(), b"f");
    assert_eq!(root.create_file("..", mode, dirs).map(|fd| inode(&fd)), root.resolve("/").map(|fd| inode(&fd)));
}

#[test]
fn the_parent_of_a_name_is_resolved_and_the_name_is_not() {
    let tree = Tree::new("parent");
    let root = tree.root();
    let (fd, name) = root.parent("rel/back").unwrap();
    assert_eq!((inode(&fd), name.as_c_str()), (inode(&root.resolve("dir/sub").unwrap()), c"back"));
    for path in ["/", "", "..", "dir/.."] {
        assert_eq!(root.parent(path).unwrap_err(), Errno::EINVAL, "{path:?}");
    }
}
