use super::*;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

struct Rootfs(PathBuf);

impl Rootfs {
    fn new() -> Rootfs {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("user-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("root/etc")).unwrap();
        Rootfs(path)
    }

    fn with(self, passwd: &str, group: &str) -> Rootfs {
        std::fs::write(self.0.join("root/etc/passwd"), passwd).unwrap();
        std::fs::write(self.0.join("root/etc/group"), group).unwrap();
        self
    }

    fn resolve(&self, user: &str) -> Result<Identity> {
        resolve(&Root::open(&self.0.join("root")).unwrap(), user)
    }

    fn ids(&self, user: &str) -> (u32, u32, Vec<u32>) {
        let identity = self.resolve(user).unwrap();
        (identity.uid, identity.gid, identity.additional_gids)
    }
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn usual() -> Rootfs {
    Rootfs::new().with(
        "# comment\nroot:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n7:x:8:8::/h:\nbad:x:4294967296:0::/:\n",
        "root:x:0:\nadm:x:4:web,other\nweb:x:34:\nlog:x:5:other\nssl:x:6:other,web\n",
    )
}

#[test]
fn names_and_numbers() {
    let rootfs = usual();
    for (user, ids) in [
        ("", (0, 0, vec![])),
        ("0", (0, 0, vec![])),
        ("root", (0, 0, vec![])),
        ("web", (33, 34, vec![4, 6])),
        ("33", (33, 34, vec![4, 6])),
        ("web:adm", (33, 4, vec![])),
        ("web:99", (33, 99, vec![])),
        ("1000", (1000, 0, vec![])),
        ("1000:1001", (1000, 1001, vec![])),
        ("7", (7, 0, vec![])),
        (":web", (0, 34, vec![])),
        ("2147483647", (2_147_483_647, 0, vec![])),
    ] {
        assert_eq!(rootfs.ids(user), ids, "{user}");
    }
    assert_eq!(rootfs.resolve("web").unwrap().home.as_deref(), Some("/srv"));
}

#[test]
fn what_is_nobody_is_never_root() {
    let rootfs = usual();
    for user in
        ["nobody", "-1", "2147483648", "4294967296", "18446744073709551616", "0x0", "web:", "web:none", "bad", "+1 "]
    {
        assert!(rootfs.resolve(user).is_err(), "{user}");
    }
    assert_eq!(Rootfs::new().ids("5"), (5, 0, vec![]));
    assert!(Rootfs::new().resolve("web").unwrap_err().to_string().contains("/etc/passwd"));
}

#[test]
fn hostile_files_neither_block_nor_lead_outside() {
    let fifo = Rootfs::new();
    let etc = std::fs::File::open(fifo.0.join("root/etc")).unwrap();
    tree::mknodat(std::os::fd::AsFd::as_fd(&etc), c"passwd", Kind::Fifo, 0o644, (0, 0)).unwrap();
    assert!(fifo.resolve("web").unwrap_err().to_string().contains("not a regular file"));

    let outside = Rootfs::new();
    std::fs::write(outside.0.join("passwd"), "web:x:1:1::/:\n").unwrap();
    symlink("../../passwd", outside.0.join("root/etc/passwd")).unwrap();
    assert!(outside.resolve("web").is_err());

    let large = Rootfs::new().with(&"x".repeat(5 << 20), "");
    assert!(large.resolve("web").unwrap_err().to_string().contains("larger than"));
}
