//! A root filesystem of busybox: made once, then hard-linked for each bundle.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The applets that tests give as `args[0]` or that scripts need by path. Busybox' own shell finds the others anyway.
const APPLETS: &str = "[ awk base64 basename cat chgrp chmod chown chroot chrt cmp cp cut date dd df dirname dmesg echo \
    env expr false find getty grep head hexdump hostname id ifconfig ionice ip kill killall link linux32 ln ls md5sum \
    mkdir mkfifo mknod mktemp mount mv nc nice nproc od passwd pidof printf ps pwd readlink realpath renice rm rmdir \
    sed seq setpriv setsid sh sha256sum sleep sort stat stty su sync sysctl tail taskset tee test time timeout touch tr \
    true truncate tty umount uname uniq unlink unshare uptime wc which who whoami xargs xxd yes nsenter";

static TEMPLATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("no /bin/busybox: install busybox-static");
    let file = super::scene::BASE.join("busybox");
    std::fs::copy(busybox, &file).unwrap();
    file
});

pub fn make(at: &Path) {
    for dir in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr/bin", "var/tmp", "home", "mnt", "run"] {
        std::fs::create_dir_all(at.join(dir)).unwrap();
    }
    std::fs::hard_link(&*TEMPLATE, at.join("bin/busybox")).unwrap();
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", at.join("bin").join(applet)).unwrap();
    }
    std::fs::write(at.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\ncook:x:1000:1000:cook:/home/cook:/bin/sh\n")
        .unwrap();
    std::fs::write(at.join("etc/group"), "root:x:0:\ncook:x:1000:\n").unwrap();
}
