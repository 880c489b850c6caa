//! `mounts`: filesystems, binds, and their options.

use crate::kit::*;

#[test]
fn tmpfs_with_data() {
    let point = Bundle::sh("").tmpfs("/mnt", &["size=1m", "mode=0710", "uid=7"]).shows_mount("/mnt");
    assert_eq!(point.filesystem, "tmpfs");
    point.has(&["rw", "size=1024k", "mode=710", "uid=7"]).lacks(&["nosuid", "noexec", "nodev", "ro"]);
}

#[test]
fn every_plain_option() {
    let set = [
        ("nosuid", "nosuid"),
        ("nodev", "nodev"),
        ("noexec", "noexec"),
        ("ro", "ro"),
        ("noatime", "noatime"),
        ("nodiratime", "nodiratime"),
        ("sync", "sync"),
        ("dirsync", "dirsync"),
        ("relatime", "relatime"),
    ];
    let bundle = set.iter().fold(Bundle::sh(""), |bundle, (option, _)| bundle.tmpfs(&format!("/{option}"), &[option]));
    let text = bundle.args(["cat", "/proc/self/mountinfo"]).run().text();
    for (option, shown) in set {
        MountPoint::find(&text, &format!("/{option}")).unwrap().has(&[shown]);
    }
}

#[test]
fn options_that_take_back_others() {
    let options = ["nosuid", "nodev", "noexec", "ro", "noatime", "suid", "dev", "exec", "rw", "atime", "async"];
    let point = Bundle::sh("").tmpfs("/mnt", &options).shows_mount("/mnt");
    point.has(&["rw"]).lacks(&["nosuid", "nodev", "noexec", "ro", "noatime"]);
    let point = Bundle::sh("").tmpfs("/mnt", &["strictatime"]).shows_mount("/mnt");
    point.lacks(&["relatime", "noatime"]);
}

#[test]
fn words_that_change_nothing() {
    not_on!("runc", "gives them to the filesystem");
    not_on!("crun", "gives some to the filesystem");
    Bundle::sh("").tmpfs("/mnt", &["defaults", "loud", "silent"]).shows_mount("/mnt").has(&["rw"]);
}

#[test]
fn nosymfollow() {
    not_on!("crun runc<1.2", "unknown word");
    let bundle = Bundle::sh("").tmpfs("/mnt", &["nosymfollow"]);
    bundle.shows_mount("/mnt").has(&["nosymfollow"]);
}

#[test]
fn lazytime_and_iversion() {
    not_on!("crun runc<1.2", "unknown words");
    Bundle::sh("").tmpfs("/mnt", &["lazytime"]).shows_mount("/mnt").has(&["lazytime"]);
    Bundle::sh("").tmpfs("/mnt", &["nolazytime", "noiversion", "nomand"]).shows_mount("/mnt").lacks(&["lazytime"]);
}

#[test]
fn bind_of_a_directory() {
    let bundle = Bundle::sh("cat /mnt/deep/er/loaf; echo new > /mnt/deep/er/crumb");
    let dir = bundle.host_dir("shelf");
    std::fs::write(dir.join("loaf"), "rye\n").unwrap();
    let bundle = bundle.bind(&dir, "/mnt/deep/er", &[]);
    bundle.run().stdout_is("rye");
    assert_eq!(std::fs::read_to_string(dir.join("crumb")).unwrap(), "new\n");
}

#[test]
fn bind_of_a_file() {
    let bundle = Bundle::sh("cat /etc/deep/hosts; echo new > /etc/deep/hosts");
    let file = bundle.host_file("hosts", "old\n");
    let bundle = bundle.bind(&file, "/etc/deep/hosts", &[]);
    bundle.run().stdout_is("old");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "new\n");
}

#[test]
fn a_bind_needs_no_type() {
    let bundle = Bundle::sh("cat /mnt/loaf");
    let dir = bundle.host_dir("shelf");
    std::fs::write(dir.join("loaf"), "rye").unwrap();
    let mount = json!({"destination": "/mnt", "source": dir.to_str().unwrap(), "options": ["rbind"]});
    bundle.push("/mounts", mount).run().stdout_is("rye");
}

#[test]
fn a_relative_source_is_relative_to_the_bundle() {
    let bundle = Bundle::sh("cat /mnt/loaf");
    std::fs::create_dir(bundle.bundle_dir().join("shelf")).unwrap();
    std::fs::write(bundle.bundle_dir().join("shelf/loaf"), "rye").unwrap();
    bundle.bind("shelf", "/mnt", &[]).run().stdout_is("rye");
}

#[test]
fn a_source_that_does_not_exist() {
    let bundle = Bundle::sh("true").bind("/no/such/source", "/mnt", &[]);
    bundle.try_create().fails().stderr_has("/no/such/source").bolo_says("mounts[6]");
    bundle.leaves_nothing();
}

#[test]
fn a_read_only_bind_is_read_only() {
    let bundle = Bundle::sh("echo x > /mnt/crumb; cat /mnt/loaf");
    let dir = bundle.host_dir("shelf");
    std::fs::write(dir.join("loaf"), "rye").unwrap();
    bundle.bind(&dir, "/mnt", &["ro"]).run().stdout_is("rye").stderr_has("Read-only file system");
    assert!(!dir.join("crumb").exists());
}

#[test]
fn a_bind_takes_options() {
    let bundle = Bundle::sh("");
    let dir = bundle.host_dir("shelf");
    let point = bundle.bind(&dir, "/mnt", &["nosuid", "nodev", "noexec", "ro"]).shows_mount("/mnt");
    point.has(&["nosuid", "nodev", "noexec", "ro"]);
}

/// A bundle with a tmpfs at /mnt, a tmpfs in it, and a recursive bind of both with `options` at /copy.
fn tree_copied_with(options: &[&str]) -> (MountPoint, MountPoint) {
    let bundle = Bundle::sh("");
    let shelf = bundle.host_dir("shelf");
    let mounts = format!("mount -t tmpfs x {0}; mkdir {0}/below; mount -t tmpfs y {0}/below", shelf.display());
    let options: Vec<&str> = ["rbind"].iter().chain(options).copied().collect();
    let bundle = bundle.mount("/copy", "bind", &shelf, &options).args(["cat", "/proc/self/mountinfo"]);
    // A mount namespace of the caller, so that nothing of it reaches the host's.
    let wrapper = format!("{mounts}; exec \"$@\"");
    let output = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &wrapper, "sh"]).run();
    let text = output.text();
    let find = |point| MountPoint::find(&text, point).unwrap_or_else(|| panic!("{point} in {text}"));
    (find("/copy"), find("/copy/below"))
}

#[test]
fn a_recursive_bind_has_what_is_below() {
    let (top, below) = tree_copied_with(&["ro"]);
    top.has(&["ro"]);
    below.has(&["rw"]);
}

#[test]
fn recursive_attributes() {
    let (top, below) = tree_copied_with(&["rro", "rnosuid", "rnodev", "rnoexec"]);
    top.has(&["ro", "nosuid", "nodev", "noexec"]);
    below.has(&["ro", "nosuid", "nodev", "noexec"]);
    let (top, below) = tree_copied_with(&["rnoatime", "rnodiratime"]);
    top.has(&["noatime", "nodiratime"]);
    below.has(&["noatime", "nodiratime"]);
    let (_, below) = tree_copied_with(&["rro", "rrw", "rsuid", "rdev", "rexec", "ratime", "rdiratime", "rrelatime"]);
    below.has(&["rw", "relatime"]);
    let (_, below) = tree_copied_with(&["rstrictatime"]);
    below.lacks(&["relatime", "noatime"]);
}

#[test]
fn recursive_nosymfollow() {
    not_on!("crun runc<1.1", "unknown word");
    let (top, below) = tree_copied_with(&["rnosymfollow"]);
    top.has(&["nosymfollow"]);
    below.has(&["nosymfollow"]);
}

#[test]
fn propagation_words() {
    let words = ["shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"];
    for word in words {
        let bundle = Bundle::sh("");
        let dir = bundle.host_dir("shelf");
        let point = bundle.bind(&dir, "/mnt", &[word]).shows_mount("/mnt");
        match word.trim_start_matches('r') {
            "shared" => assert!(point.propagates("shared"), "{word}: {point:?}"),
            "unbindable" => assert!(point.propagates("unbindable"), "{word}: {point:?}"),
            _ => assert!(!point.propagates("shared") && !point.propagates("unbindable"), "{word}: {point:?}"),
        }
    }
}

#[test]
fn they_are_made_in_order() {
    let bundle = Bundle::sh("ls /mnt /mnt/b").tmpfs("/mnt", &[]).tmpfs("/mnt/a", &[]).tmpfs("/mnt/b", &[]);
    bundle.tmpfs("/mnt/b/c", &[]).run().stdout_is("/mnt:\na\nb\n\n/mnt/b:\nc");
    let bundle = Bundle::sh("ls -A /mnt").tmpfs("/mnt/hidden", &[]).tmpfs("/mnt", &[]);
    bundle.run().stdout_is("");
}

#[test]
fn a_symlink_in_the_rootfs_is_followed_inside() {
    let bundle = Bundle::sh("cat /real/loaf").dir("/real").symlink("/real", "/link");
    let dir = bundle.host_dir("shelf");
    std::fs::write(dir.join("loaf"), "rye").unwrap();
    bundle.bind(&dir, "/link", &[]).run().stdout_is("rye");
}

#[test]
fn tmpcopyup() {
    not_on!("crun<1.0", "unknown word");
    let bundle = Bundle::sh("cat /stuff/a /stuff/b/c; echo new > /stuff/a").file("/stuff/a", "one\n");
    let bundle = bundle.file("/stuff/b/c", "two\n").tmpfs("/stuff", &["tmpcopyup"]);
    bundle.run().stdout_is("one\ntwo");
    assert_eq!(std::fs::read_to_string(bundle.in_rootfs("/stuff/a")).unwrap(), "one\n");
    bundle.args(["cat", "/proc/self/mountinfo"]).shows_mount("/stuff").has(&["rw"]);
}

#[test]
fn tmpfs_keeps_the_directorys_mode() {
    not_on!("crun", "1777");
    use std::os::unix::fs::PermissionsExt;
    let bundle = Bundle::sh("stat -c %a /box /other").dir("/box");
    std::fs::set_permissions(bundle.in_rootfs("/box"), std::fs::Permissions::from_mode(0o2750)).unwrap();
    bundle.tmpfs("/box", &[]).tmpfs("/other", &["mode=700"]).run().stdout_is("2750\n700");
}

#[test]
fn a_read_only_tmpfs() {
    let bundle = Bundle::sh("touch /mnt/x").tmpfs("/mnt", &["ro"]);
    bundle.run().code_is(1).stderr_has("Read-only file system");
}

#[test]
fn a_read_only_dev_has_its_devices() {
    let bundle = Bundle::sh("echo x > /dev/null; ls /dev/zero; touch /dev/x").without_mount("/dev");
    let bundle = bundle.without_mount("/dev/pts").without_mount("/dev/shm").without_mount("/dev/mqueue");
    let output = bundle.tmpfs("/dev", &["nosuid", "mode=755", "ro"]).run();
    output.code_is(1).stdout_is("/dev/zero").stderr_has("Read-only file system");
}

#[test]
fn the_usual_filesystems() {
    let text = Bundle::program(["cat", "/proc/self/mountinfo"]).run().text();
    let expected = [
        ("/proc", "proc", "rw"),
        ("/dev", "tmpfs", "nosuid"),
        ("/dev/pts", "devpts", "ptmxmode=666"),
        ("/dev/shm", "tmpfs", "nodev"),
        ("/dev/mqueue", "mqueue", "noexec"),
        ("/sys", "sysfs", "ro"),
    ];
    for (point, filesystem, option) in expected {
        let shown = MountPoint::find(&text, point).unwrap_or_else(|| panic!("{point} in {text}"));
        assert_eq!(shown.filesystem, filesystem);
        shown.has(&[option]);
    }
}

#[test]
fn overlay() {
    needs!(host::filesystem("overlay"), "no overlay");
    let bundle = Bundle::sh("cat /mnt/low; echo high > /mnt/low; cat /mnt/low");
    let (low, high, work) = (bundle.host_dir("low"), bundle.host_dir("high"), bundle.host_dir("work"));
    std::fs::write(low.join("low"), "low\n").unwrap();
    let data = [("lowerdir", &low), ("upperdir", &high), ("workdir", &work)];
    let data: Vec<_> = data.iter().map(|(key, path)| format!("{key}={}", path.display())).collect();
    let options: Vec<_> = data.iter().map(String::as_str).collect();
    let tmpfs = Bundle::sh("true").mount("/mnt", "overlay", "overlay", &options);
    needs!(tmpfs.run().code == 0, "no overlay in the directory of temporary files");
    let bundle = bundle.mount("/mnt", "overlay", "overlay", &options);
    bundle.run().stdout_is("low\nhigh");
    assert_eq!(std::fs::read_to_string(high.join("low")).unwrap(), "high\n");
}

#[test]
fn cgroup_on_version_1() {
    needs!(!peer::v2(), "pure cgroup v2");
    let options = ["nosuid", "noexec", "nodev", "relatime", "ro"];
    let bundle = Bundle::sh("cat /sys/fs/cgroup/pids/cgroup.procs; echo 1 > /sys/fs/cgroup/pids/cgroup.procs");
    let bundle = bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &options);
    bundle.run().fails().stdout_has("1\n").stderr_has("Read-only file system");
    let text = bundle.args(["cat", "/proc/self/mountinfo"]).run().text();
    assert_eq!(MountPoint::find(&text, "/sys/fs/cgroup").unwrap().filesystem, "tmpfs");
    for point in ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"] {
        assert_eq!(MountPoint::find(&text, point).unwrap().filesystem, "cgroup");
    }
}

#[test]
fn cgroup_on_version_2() {
    needs!(peer::v2(), "no pure cgroup v2; run with BOLO_CGROUP=v2");
    let options = ["nosuid", "noexec", "nodev", "relatime", "ro"];
    let bundle = Bundle::sh("cat /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x").namespace("cgroup");
    let bundle = bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &options);
    bundle.run().fails().stdout_has("1\n").stderr_has("Read-only file system");
    assert_eq!(bundle.shows_mount("/sys/fs/cgroup").filesystem, "cgroup2");
}

#[test]
fn in_a_user_namespace() {
    let bundle = Bundle::sh("id -u; stat -c %u /mnt; touch /mnt/x && echo done").user_namespace(100_000);
    bundle.tmpfs("/mnt", &["nosuid"]).run().stdout_is("0\n0\ndone");
}

#[test]
fn a_read_only_bind_of_a_mount_with_flags_in_a_user_namespace() {
    not_on!("runc<1.2", "tries to clear the locked flags");
    let bundle = Bundle::sh("").user_namespace(100_000);
    let shelf = bundle.host_dir("shelf");
    std::fs::set_permissions(&shelf, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mount = format!("mount -t tmpfs -o nosuid,nodev,noexec,mode=755 x {}; exec \"$@\"", shelf.display());
    let bundle = bundle.bind(&shelf, "/mnt", &["ro"]).args(["cat", "/proc/self/mountinfo"]);
    let text = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &mount, "sh"]).run().text();
    MountPoint::find(&text, "/mnt").unwrap().has(&["ro"]);
}

#[test]
fn idmapped_binds() {
    not_on!("runc<1.2", "no idmapped mounts");
    let bundle = Bundle::sh("stat -c '%u %g' /mnt/loaf").user_namespace(100_000);
    let dir = bundle.host_dir("shelf");
    std::fs::write(dir.join("loaf"), "rye").unwrap();
    std::os::unix::fs::chown(dir.join("loaf"), Some(5), Some(6)).unwrap();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let mount = json!({"destination": "/mnt", "type": "bind", "source": dir.to_str().unwrap(), "options": ["bind"],
        "uidMappings": map, "gidMappings": map});
    let bundle = bundle.push("/mounts", mount);
    bundle.run().stdout_is("5 6");
}

#[test]
fn an_unknown_filesystem() {
    let bundle = Bundle::sh("true").mount("/mnt", "sourdough", "none", &[]);
    bundle.try_create().fails().stderr_has("/mnt").stderr_has("no such device").bolo_says("mounts[6]");
    bundle.leaves_nothing();
}

#[test]
fn an_unknown_option_goes_to_the_filesystem() {
    let bundle = Bundle::sh("true").tmpfs("/mnt", &["flour=much"]);
    bundle.try_create().fails().stderr_has("/mnt").bolo_says("mounts[6]");
    bundle.leaves_nothing();
}

#[test]
fn nothing_reaches_the_host() {
    let bundle = Bundle::idle().tmpfs("/mnt", &[]);
    let dir = bundle.bundle_dir().to_owned();
    let container = bundle.start();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()), "{mounts}");
    drop(container);
}

#[test]
fn many() {
    let bundle = (0..150).fold(Bundle::sh("grep -c ' /many/' /proc/self/mountinfo"), |bundle, number| {
        bundle.tmpfs(&format!("/many/{number}"), &["nosuid", "size=4k"])
    });
    bundle.run().stdout_is("150");
}

/// An image of many layers: fsconfig(2) takes no value of 256 bytes.
#[test]
fn an_option_longer_than_the_kernel_takes_at_once() {
    needs!(host::filesystem("overlay"), "no overlay");
    let bundle =
        Bundle::sh("cat /shelf/0 /shelf/4; touch /shelf/new || grep -o ' /shelf overlay ro,nosuid' /proc/mounts");
    let layers: Vec<String> = (0..5)
        .map(|n| bundle.host_dir(&format!("{n}-{}", "x".repeat(60))))
        .enumerate()
        .map(|(n, dir)| {
            std::fs::write(dir.join(n.to_string()), format!("{n}\n")).unwrap();
            dir.display().to_string()
        })
        .collect();
    let lower = format!("lowerdir={}", layers.join(":"));
    assert!(lower.len() > 300);
    let bundle = bundle.mount("/shelf", "overlay", "overlay", &["ro", "nosuid", &lower]);
    bundle.run().stdout_is("0\n4\n /shelf overlay ro,nosuid");
}
