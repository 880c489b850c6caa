//! User namespaces: joined ones, mapped mounts, and who owns what in them.

use crate::kit::pty::Terminal;
use crate::kit::socket::Receiver;
use crate::kit::*;

/// The one case that takes two forks: new pid and time namespaces that belong to a user namespace which exists already.
#[test]
fn new_pid_and_time_namespaces_in_a_joined_user_namespace() {
    not_on!("runc<1.2", "no time namespace");
    needs!(host::namespace("time"), "no time namespaces");
    let first = Bundle::idle().user_namespace(200_000).start();
    let path = format!("/proc/{}/ns/user", first.pid());
    let script = "echo $$; ps -o pid= | wc -l; cut -d. -f1 /proc/uptime; readlink /proc/self/ns/pid; exit 7";
    let bundle = first.scene().sh(script).user_namespace(200_000).join("user", &path).namespace("time");
    let bundle = bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000}}));
    let output = bundle.run().code_is(7);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], "1");
    assert!(lines[1].trim().parse::<u32>().unwrap() <= 3, "processes of others: {lines:?}");
    assert!(lines[2].parse::<u64>().unwrap() >= 1_000_000, "{lines:?}");
    assert_ne!(lines[3], host::namespace_of(first.pid(), "pid"));
}

/// The verbs know the second process, not the first, which has gone.
#[test]
fn every_verb_finds_the_second_process() {
    let first = Bundle::idle().user_namespace(200_000).start();
    let path = format!("/proc/{}/ns/user", first.pid());
    let container = first.scene().idle().user_namespace(200_000).join("user", &path).start();
    let pid = container.pid();
    assert!(host::alive(pid));
    assert_eq!(host::namespace_of(pid, "user"), host::namespace_of(first.pid(), "user"));
    container.exec("cat /proc/1/cmdline | tr '\\0' ' '").stdout_has("trap");
    container.exec("id -u").stdout_is("0");
    let pids = container.call(["ps", "--format", "json", container.id()]).run().json();
    assert!(pids.as_array().unwrap().contains(&json!(pid)), "{pids} has {pid}");
    container.wait_stdout("ready");
    container.kill("TERM").ok();
    container.wait_stopped();
    container.delete().ok();
}

/// What is made belongs to the joined namespace: its root may change the new network, as root of that namespace alone.
#[test]
fn what_is_made_belongs_to_the_joined_user_namespace() {
    let first = Bundle::idle().user_namespace(200_000).start();
    let path = format!("/proc/{}/ns/user", first.pid());
    let script = "ip link set lo down && ip -o link show lo; mount -t tmpfs x /mnt && echo mounted";
    let bundle = first.scene().sh(script).user_namespace(200_000).join("user", &path);
    let output = bundle.capabilities(&["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]).run();
    output.stdout_has("LOOPBACK").stdout_lacks("UP,").stdout_has("mounted");
}

fn owners(bundle: &Bundle) -> std::path::PathBuf {
    let dir = bundle.host_dir("owned");
    std::fs::write(dir.join("loaf"), "rye").unwrap();
    std::os::unix::fs::chown(dir.join("loaf"), Some(7), Some(8)).unwrap();
    dir
}

#[test]
fn a_mapped_mount_in_a_joined_user_namespace() {
    not_on!("runc<1.2 crun<1.10", "no idmapped mounts");
    let first = Bundle::idle().user_namespace(200_000).start();
    let path = format!("/proc/{}/ns/user", first.pid());
    let bundle =
        first.scene().sh("stat -c %u:%g /mnt/loaf; touch /mnt/new").user_namespace(200_000).join("user", &path);
    let dir = owners(&bundle);
    std::os::unix::fs::chown(&dir, Some(0), Some(0)).unwrap();
    bundle.bind(&dir, "/mnt", &["idmap"]).run().stdout_is("7:8");
    let new = std::os::unix::fs::MetadataExt::uid(&dir.join("new").metadata().unwrap());
    assert_eq!(new, 0, "what the container's root writes is the host's root's");
}

#[test]
fn a_mapped_mount_beside_a_user_namespace() {
    not_on!("runc<1.2 crun<1.10", "no idmapped mounts");
    let bundle = Bundle::sh("stat -c %u:%g /mnt/loaf /plain/loaf").user_namespace(100_000);
    let dir = owners(&bundle);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let mount = json!({"destination": "/mnt", "source": dir.to_str().unwrap(), "options": ["bind"],
                       "uidMappings": map, "gidMappings": map});
    bundle.push("/mounts", mount).bind(&dir, "/plain", &[]).run().stdout_is("7:8\n65534:65534");
}

/// What the mount's owner has locked cannot be cleared, and stays; where config.json says that it has to go, that is an
/// error.
#[test]
fn locked_flags_stay_or_are_an_error() {
    not_on!("runc<1.2 crun", "clears what it is not asked for, or does not say");
    let locked = |options: &[&str]| {
        let bundle = Bundle::sh("").user_namespace(100_000).args(["cat", "/proc/self/mountinfo"]);
        let dir = bundle.host_dir("locked");
        let mount = format!("mount -t tmpfs -o nosuid,nodev,noexec x {0}; exec \"$@\"", dir.display());
        let bundle = bundle.bind(&dir, "/mnt", options);
        let call = bundle.call_run(&[]).under(["unshare", "-m", "sh", "-ec", &mount, "sh"]);
        call.run()
    };
    let text = locked(&["ro"]).text();
    MountPoint::find(&text, "/mnt").unwrap().has(&["ro", "nosuid", "nodev", "noexec"]);
    let text = locked(&[]).text();
    MountPoint::find(&text, "/mnt").unwrap().has(&["nosuid", "nodev", "noexec"]);
}

/// A terminal belongs to the user who works at it, as the container numbers users.
#[test]
fn the_terminal_is_the_users() {
    for (namespace, uid) in [(false, 0), (false, 1000), (true, 0), (true, 1000)] {
        let bundle = Bundle::sh("stat -c 'tty %u' $(tty); echo x > $(tty) && echo written; echo end");
        let bundle = bundle.user(uid, 0).set("/process/terminal", true);
        let bundle = if namespace { bundle.user_namespace(100_000) } else { bundle };
        let receiver = Receiver::listen(bundle.path("console.sock"));
        let created = bundle.call_create(&["--console-socket", receiver.path()]).run().ok();
        let (_, mut fds) = receiver.receive();
        let mut terminal: Terminal = fds.remove(0).into();
        let container = Container::new(bundle, created);
        container.start().ok();
        terminal.wait_for("end");
        let seen = terminal.seen();
        assert!(seen.contains(&format!("tty {uid}")) && seen.contains("written"), "{namespace} {uid}: {seen}");
        container.wait_stopped();
    }
}

/// /dev/stdout is opened by name, which takes the rights of an owner.
#[test]
fn a_users_pipes_can_be_opened_by_name() {
    let bundle = Bundle::sh("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin").user(1000, 1000);
    let pipes = "echo in | \"$@\" 2>&1 | cat";
    bundle.call_run(&[]).under(["sh", "-c", pipes, "sh"]).run().stdout_is("out\nerr\nin");
    let container = Bundle::idle().start();
    let call = container.call_exec(&["--user", "1000"], &["sh", "-c", "echo out > /dev/stdout"]);
    call.under(["sh", "-c", "\"$@\" | cat", "sh"]).run().stdout_is("out");
}

/// The host's /dev/null is everybody's, and stays root's.
#[test]
fn the_hosts_null_keeps_its_owner() {
    use std::os::unix::fs::MetadataExt;
    let owner = || std::fs::metadata("/dev/null").map(|stat| (stat.uid(), stat.gid(), stat.mode())).unwrap();
    let before = owner();
    Bundle::sh("true").user(1000, 1000).call_run(&[]).stdout(std::process::Stdio::null()).run().ok();
    Bundle::sh("true").user_namespace(100_000).user(5, 5).call_run(&[]).stdout(std::process::Stdio::null()).run().ok();
    assert_eq!(owner(), before);
}

/// Nodes cannot be made there: those of the host are bound, and only those that config.json names.
#[test]
fn devices_are_those_of_the_host() {
    let bundle =
        Bundle::sh("stat -c '%t:%T %u' /dev/null /dev/fuller; mknod /dev/own c 1 3 || echo no").user_namespace(100_000);
    let device = json!({"path": "/dev/full", "type": "c", "major": 1, "minor": 7});
    let bundle = bundle.push("/linux/devices", device).capabilities(&["CAP_MKNOD"]);
    let bundle = bundle.args(["sh", "-c", "stat -c '%t:%T %u' /dev/null /dev/full; mknod /dev/own c 1 3 || echo no"]);
    bundle.run().stdout_is("1:3 65534\n1:7 65534\nno");
}

#[test]
fn groups_are_dropped_and_set() {
    let bundle = Bundle::sh("id -G; cat /proc/self/setgroups").user_namespace(100_000);
    bundle.run().stdout_is("0\nallow");
    let bundle = bundle.set("/process/user", json!({"uid": 5, "gid": 6, "additionalGids": [7, 8]}));
    bundle.run().stdout_is("6 7 8\nallow");
    // A group that has no number outside cannot be had.
    let bundle = bundle.set("/process/user", json!({"uid": 5, "gid": 6, "additionalGids": [70_000]}));
    bundle.run().fails().bolo_says("process.user.additionalGids");
}
