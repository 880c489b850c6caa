//! `root`, its propagation, and the way into it.

use crate::kit::*;

#[test]
fn is_what_the_container_sees() {
    Bundle::sh("cat /marker; ls /..").file("/marker", "dough\n").run().stdout_has("dough\n").stdout_has("marker");
}

#[test]
fn the_old_root_is_gone() {
    let text = Bundle::program(["cat", "/proc/self/mountinfo"]).run().text();
    let points: Vec<_> = text.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(points.iter().filter(|point| **point == "/").count(), 1, "{text}");
    assert!(!text.contains("/home ") && !text.contains("oldroot") && !text.contains(".pivot"), "{text}");
}

#[test]
fn read_only() {
    let bundle = Bundle::sh("touch /x; touch /dev/shm/y && echo dev").set("/root/readonly", true);
    bundle.run().stdout_is("dev").stderr_has("Read-only file system");
    bundle.shows_mount("/").has(&["ro"]);
}

#[test]
fn writable() {
    let bundle = Bundle::sh("echo bread > /x");
    bundle.run().ok();
    assert_eq!(std::fs::read_to_string(bundle.in_rootfs("/x")).unwrap(), "bread\n");
}

#[test]
fn an_absolute_path() {
    let bundle = Bundle::sh("cat /marker").file("/marker", "dough");
    let path = bundle.rootfs().to_str().unwrap().to_owned();
    bundle.set("/root/path", path).run().stdout_is("dough");
}

#[test]
fn outside_of_the_bundle() {
    let bundle = Bundle::sh("cat /marker").file("/marker", "dough");
    let other = bundle.scene().path("elsewhere");
    std::fs::rename(bundle.rootfs(), &other).unwrap();
    bundle.set("/root/path", "../elsewhere").run().stdout_is("dough");
}

#[test]
fn a_file_is_no_rootfs() {
    let bundle = Bundle::sh("true");
    let file = bundle.host_file("file", "");
    let bundle = bundle.set("/root/path", file.to_str().unwrap());
    bundle.try_create().fails();
    bundle.leaves_nothing();
}

#[test]
fn missing_from_config_json() {
    let bundle = Bundle::sh("true").remove("/root");
    bundle.try_create().fails().bolo_says("root");
    bundle.leaves_nothing();
}

#[test]
fn propagation_of_the_root() {
    not_on!("runc", "sets it for the root of the mount namespace before the rootfs is bound");
    let shown = |word: &str| Bundle::sh("").set("/linux/rootfsPropagation", word).shows_mount("/");
    for word in ["shared", "rshared"] {
        assert!(shown(word).propagates("shared"), "{word}");
    }
    for word in ["private", "rprivate"] {
        let point = shown(word);
        assert!(point.propagation.is_empty(), "{word}: {point:?}");
    }
    for word in ["slave", "rslave"] {
        assert!(!shown(word).propagates("shared"), "{word}");
    }
    for word in ["unbindable", "runbindable"] {
        assert!(shown(word).propagates("unbindable"), "{word}");
    }
}

#[test]
fn an_unknown_propagation_is_refused() {
    let bundle = Bundle::sh("true").set("/linux/rootfsPropagation", "sideways");
    bundle.try_create().fails().stderr_has("sideways").bolo_says("linux.rootfsPropagation");
    bundle.leaves_nothing();
}

/// Mounts something on a host directory that the container has bound recursively, and says whether it shows there.
fn host_mount_arrives(propagation: &str) -> bool {
    let script = "echo ready; while [ ! -e /go ]; do sleep 0.01; done; grep -c ' /mnt/below ' /proc/self/mountinfo";
    let bundle = Bundle::sh(script).set("/linux/rootfsPropagation", propagation);
    let dir = bundle.host_dir("shelf/below");
    let shelf = dir.parent().unwrap();
    // The shelf is a shared mount in a mount namespace of its own, in which the runtime runs, too.
    let prepare = format!("mount --bind {0} {0}; mount --make-shared {0}; exec \"$@\"", shelf.display());
    let bundle = bundle.mount("/mnt", "bind", shelf, &["rbind"]);
    let unshare = ["unshare", "-m", "--propagation", "slave", "sh", "-ec", &prepare, "sh"];
    let running = bundle.call_run(&[]).under(unshare).spawn();
    running.wait_stdout("ready");
    let pid = running.pid().to_string();
    let mount = ["nsenter", "-t", &pid, "-m", "mount", "-t", "tmpfs", "x", dir.to_str().unwrap()];
    assert!(std::process::Command::new(mount[0]).args(&mount[1..]).status().unwrap().success());
    std::fs::write(bundle.in_rootfs("/go"), "").unwrap();
    running.wait().stdout.contains("ready\n1")
}

#[test]
fn mounts_of_the_host_arrive_unless_private() {
    assert!(host_mount_arrives("rslave"));
    assert!(host_mount_arrives("rshared"));
    assert!(!host_mount_arrives("rprivate"));
}

/// The mounts of a host are shared, as systemd has them: what the container leaves behind, the host keeps.
#[test]
fn the_host_keeps_its_mounts() {
    let script = r#"
mount --make-rshared /
before=$(cut -d' ' -f5 /proc/self/mountinfo)
"$@"
test "$before" = "$(cut -d' ' -f5 /proc/self/mountinfo)"
echo kept"#;
    for word in ["rshared", "shared", "rslave", "rprivate"] {
        let bundle = Bundle::sh("echo crumb").set("/linux/rootfsPropagation", word);
        for flags in [&[][..], &["--no-pivot"]].into_iter().filter(|flags| flags.is_empty() || word != "rprivate") {
            bundle.call_run(flags).under(["unshare", "-m", "sh", "-ec", script, "sh"]).run().stdout_is("crumb\nkept");
        }
    }
}

/// Mounts something on a directory of the host that the container has bound, and says whether the host sees it.
fn mount_of_the_container_arrives(propagation: &str) -> bool {
    let bundle = Bundle::sh("mkdir /shelf/below; mount -t tmpfs x /shelf/below");
    let shelf = bundle.host_dir("shelf");
    let (rootfs, room) = (bundle.rootfs().display().to_string(), bundle.host_dir("room").display().to_string());
    // The root filesystem is a mount of its own, as engines have it.
    let script = format!(
        "mount -t tmpfs x {room}; cp -a {rootfs}/. {room}; mount --bind {room} {rootfs}; mount --make-rshared /; \
         \"$@\"; grep -c ' {}/below ' /proc/self/mountinfo || true",
        shelf.display()
    );
    let bundle = bundle.mount("/shelf", "bind", &shelf, &["rbind", propagation]).capabilities(&["CAP_SYS_ADMIN"]);
    let bundle = bundle.set("/linux/rootfsPropagation", propagation);
    let output = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &script, "sh"]).run();
    output.stdout.trim() == "1"
}

#[test]
fn mounts_in_a_shared_volume_arrive_at_the_host() {
    assert!(mount_of_the_container_arrives("rshared"));
    assert!(!mount_of_the_container_arrives("rslave"));
    assert!(!mount_of_the_container_arrives("rprivate"));
}

#[test]
fn private_mounts_want_a_pivot_root() {
    not_on!("crun", "lets it pass");
    for word in ["private", "rprivate"] {
        let bundle = Bundle::sh("true").set("/linux/rootfsPropagation", word);
        bundle.call_run(&["--no-pivot"]).run().fails().stderr_has("rootfsPropagation");
        bundle.leaves_nothing();
    }
}

#[test]
fn without_pivot_root_the_old_root_is_out_of_reach() {
    let bundle = Bundle::sh("ls /; cd /..; ls; cat /proc/1/root/marker").file("/marker", "dough");
    bundle.call_run(&["--no-pivot"]).run().stdout_has("marker").stdout_has("dough").stdout_lacks("boot");
}

#[test]
fn on_an_overlay() {
    needs!(host::filesystem("overlay"), "no overlay");
    let bundle = Bundle::sh("cat /marker; echo new > /marker; cat /marker").file("/marker", "low\n");
    let (up, work, merged) = (bundle.host_dir("up"), bundle.host_dir("work"), bundle.host_dir("merged"));
    let (lower, merged) = (bundle.rootfs(), merged.to_str().unwrap().to_owned());
    let data = format!("lowerdir={},upperdir={},workdir={}", lower.display(), up.display(), work.display());
    let prepare = format!("mount -t overlay overlay -o {data} {merged}; exec \"$@\"");
    let bundle = bundle.set("/root/path", merged);
    let output = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &prepare, "sh"]).run();
    needs!(!output.stderr.contains("mount:"), "no overlay in the directory of temporary files");
    output.stdout_is("low\nnew");
    assert_eq!(std::fs::read_to_string(up.join("marker")).unwrap(), "new\n");
}
