//! Everything as an ordinary user: with himself alone mapped, and with the ids that /etc/subuid gives him.

use crate::kit::user::{SUB_FIRST, UID};
use crate::kit::*;
use std::os::unix::fs::MetadataExt;

macro_rules! needs_a_user {
    () => {
        needs!(host::root(), "no root to make a user with");
        needs!(host::program("setpriv") && host::program("unshare"), "no util-linux");
        needs!(host::program("newuidmap") && host::program("newgidmap"), "no newuidmap (package uidmap)");
        needs!(unprivileged_namespaces(), "users may not make user namespaces");
    };
}

fn unprivileged_namespaces() -> bool {
    Scene::new().call(["--version"]).under(["setpriv", "--reuid=4242", "--clear-groups", "unshare", "-U"]).run().code
        == 0
}

#[test]
fn what_spec_writes_runs() {
    needs_a_user!();
    let bundle = Bundle::sh("").rootless(false);
    let dir = bundle.bundle_dir().to_str().unwrap().to_owned();
    let _ = std::fs::remove_file(bundle.bundle_dir().join("config.json"));
    bundle.scene().call_as_user(["spec", "--rootless", "--bundle", &dir]).run().ok();
    let path = bundle.bundle_dir().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let map = json!([{"containerID": 0, "hostID": UID, "size": 1}]);
    assert_eq!((&config["linux"]["uidMappings"], &config["linux"]["gidMappings"]), (&map, &map));
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["sh", "-c", "id -u; cat /proc/self/setgroups; echo x > /dev/null; exit 7"]);
    std::fs::write(&path, config.to_string()).unwrap();
    let output = bundle.scene().call_as_user(["run", "--bundle", &dir, bundle.id()]).run();
    output.code_is(7).stdout_is("0\ndeny");
}

#[test]
fn every_verb() {
    needs_a_user!();
    for range in [false, true] {
        let bundle = Bundle::idle().rootless(range);
        let user = |args: &[&str]| bundle.scene().call_as_user(args).run();
        let id = bundle.id();
        bundle.call_as_user("create", &[]).run().ok();
        let state = user(&["state", id]).json();
        assert_eq!(state["status"], "created");
        let directory = bundle.scene().runtime_dir().join("bolo").join(id);
        assert_eq!(directory.metadata().unwrap().uid(), UID, "the state is the user's");
        user(&["start", id]).ok();
        let pid = state["pid"].as_i64().unwrap() as i32;
        assert_eq!(host::process_status(pid, "Uid").unwrap(), format!("{UID}\t{UID}\t{UID}\t{UID}"));
        user(&["exec", id, "sh", "-c", "id -u; ps | grep -c sleep; exit 3"]).code_is(3).stdout_has("0\n");
        user(&["exec", id, "sh", "-c", "readlink /proc/self/ns/pid"]).stdout_is(&host::namespace_of(pid, "pid"));
        user(&["list", "--quiet"]).stdout_is(id);
        user(&["delete", id]).fails().stderr_has("running");
        user(&["kill", id, "TERM"]).ok();
        wait("the container stops", || user(&["state", id]).json()["status"] == "stopped");
        user(&["delete", id]).ok();
        user(&["list", "--quiet"]).stdout_is("");
        user(&["run", "--detach", "--bundle", bundle.bundle_dir().to_str().unwrap(), id]).ok();
        user(&["delete", "--force", id]).ok();
        assert!(!directory.exists());
    }
}

#[test]
fn a_range_has_other_users_and_groups() {
    needs_a_user!();
    let script = "cat /proc/self/setgroups; id -u; touch /tmp/mine; chown 7:8 /tmp/mine && stat -c %u:%g /tmp/mine";
    let bundle = Bundle::sh(script).rootless(true).capabilities(&["CAP_CHOWN"]);
    bundle.call_as_user("run", &[]).run().stdout_is("allow\n0\n7:8");
    let stat = bundle.in_rootfs("/tmp/mine").metadata().unwrap();
    assert_eq!((stat.uid(), stat.gid()), (SUB_FIRST + 6, SUB_FIRST + 7));
    let bundle = Bundle::sh("id -u; id -G").rootless(true);
    let bundle = bundle.set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 6]}));
    bundle.call_as_user("run", &[]).run().stdout_is("1000\n1001 5 6");
}

#[test]
fn a_single_id_has_no_others() {
    needs_a_user!();
    let bundle = Bundle::sh("true").rootless(false).set("/process/user", json!({"uid": 1000, "gid": 0}));
    bundle.call_as_user("run", &[]).run().fails().bolo_says("process.user.uid");
    let bundle = Bundle::sh("true").rootless(false);
    let bundle = bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5]}));
    bundle.call_as_user("run", &[]).run().fails().bolo_says("process.user.additionalGids");
}

#[test]
fn ids_of_others_are_refused_in_newuidmaps_words() {
    needs_a_user!();
    bolo_only!("they are ours");
    let map = json!([{"containerID": 0, "hostID": UID, "size": 1}, {"containerID": 1, "hostID": 100_000, "size": 10}]);
    let bundle = Bundle::sh("true").rootless(true).set("/linux/uidMappings", map);
    let output = bundle.call_as_user("run", &[]).run().fails();
    output.stderr_has("linux.uidMappings").stderr_has("newuidmap:");
    assert!(!bundle.scene().runtime_dir().join("bolo").join(bundle.id()).exists());
}

/// The helpers are set-user-id programs of the system; what the PATH calls so is none (CVE-2018-6556 and its kin).
#[test]
fn newuidmap_is_the_systems_own() {
    needs_a_user!();
    bolo_only!("others take it from the PATH");
    let bundle = Bundle::sh("echo ran").rootless(true);
    let evil = bundle.host_dir("evil");
    let proof = evil.join("proof");
    for name in ["newuidmap", "newgidmap"] {
        let script = format!("#!/bin/sh\necho stolen >> {}\n", proof.display());
        std::fs::write(evil.join(name), script).unwrap();
        std::fs::set_permissions(evil.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::chown(&evil, Some(UID), Some(UID)).unwrap();
    let path = format!("{}:{}", evil.display(), std::env::var("PATH").unwrap());
    bundle.call_as_user("run", &[]).env("PATH", &path).run().stdout_is("ran");
    assert!(!proof.exists());
}

#[test]
fn without_a_runtime_directory_the_flag_is_named() {
    needs_a_user!();
    bolo_only!("the words are ours");
    let scene = Scene::new();
    let call = scene.call(["list"]).without_root().under(["env", "-u", "XDG_RUNTIME_DIR", "setpriv", "--reuid=4242"]);
    call.run().fails().stderr_has("XDG_RUNTIME_DIR").stderr_has("--root");
}

#[test]
fn a_time_namespace() {
    needs_a_user!();
    needs!(host::namespace("time"), "no time namespaces");
    for range in [false, true] {
        let bundle = Bundle::sh("echo $$; cut -d. -f1 /proc/uptime; exit 7").rootless(range).namespace("time");
        let bundle = bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000}}));
        let output = bundle.call_as_user("run", &[]).run().code_is(7);
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[0], "1");
        assert!(lines[1].parse::<u64>().unwrap() >= 1_000_000, "{output}");
    }
}

#[test]
fn devices_are_bound_and_work() {
    needs_a_user!();
    let script = "head -c 3 /dev/zero | wc -c; echo x > /dev/null; echo x > /dev/full || echo full; ls /dev/pts";
    let bundle = Bundle::sh(script).rootless(false);
    bundle.call_as_user("run", &[]).run().stdout_is("3\nfull\nptmx");
}

#[test]
fn a_terminal() {
    needs_a_user!();
    for range in [false, true] {
        let bundle = Bundle::sh("stat -c 'owner %u' $(tty); echo end").rootless(range).set("/process/terminal", true);
        let (mut terminal, slave) = pty::Terminal::open();
        let call = bundle.call_as_user("run", &[]);
        let running = call.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave).spawn();
        terminal.wait_for("end");
        assert!(terminal.seen().contains("owner 0"), "{}", terminal.seen());
        running.wait().ok();
    }
}

/// CVE-2023-25809: a user's own cgroup, which is the host's, is seen in the container; it must not be changed from there.
#[test]
fn cve_2023_25809_the_hosts_cgroups_are_read_only() {
    needs_a_user!();
    needs!(peer::v2(), "not pure cgroup v2");
    let script = "seen=0; for d in $(find /sys/fs/cgroup -maxdepth 4 -type d); do
        seen=$((seen + 1)); mkdir $d/evil 2>/dev/null && echo $d; done; [ $seen -gt 0 ] && echo looked";
    let bundle = Bundle::sh(script).rootless(false).without_mount("/sys");
    let bundle = bundle
        .push("/mounts", json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "ro"]}))
        .push(
            "/mounts",
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                   "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}),
        );
    bundle.write_config();
    let own = cgroup::unified().join(format!("{}-of-the-user", bundle.id()));
    let prelude = format!("mkdir -p {0}; chown -R 4242 {0}; echo $$ > {0}/cgroup.procs", own.display());
    let words = ["run", "--bundle", bundle.bundle_dir().to_str().unwrap(), bundle.id()];
    let output = bundle.scene().call(words).without_root().unprivileged(bundle.scene(), &prelude).run();
    wait("the user's cgroup is empty", || std::fs::remove_dir(&own).is_ok() || !own.exists());
    output.stdout_is("looked");
}

/// An engine without root makes a user namespace and is root there; so are we.
fn below_an_engine(bundle: Bundle, engine: &[&str]) -> Output {
    let bundle = bundle.rootless(false).without_namespace("user").without_namespace("cgroup");
    let bundle = bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    let options = ["nosuid", "noexec", "nodev", "relatime", "ro"];
    let bundle = bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &options);
    bundle.write_config();
    let words = ["run", "--bundle", bundle.bundle_dir().to_str().unwrap(), bundle.id()];
    let call = bundle.scene().call(words).without_root().unprivileged(bundle.scene(), "");
    call.under(["unshare", "--user", "--map-root-user"]).under(engine).run()
}

#[test]
fn root_in_a_user_namespace_has_no_cgroup_and_shows_none() {
    needs_a_user!();
    let bundle = Bundle::sh("id -u; ls /sys/fs/cgroup >/dev/null && cat /proc/self/uid_map");
    let output = below_an_engine(bundle, &["env"]);
    assert_eq!(output.lines().join(" ").split_whitespace().collect::<Vec<_>>(), ["0", "0", "4242", "1"]);
}

/// A pod's: whoever is root in a user namespace cannot return from a pid namespace that he entered.
#[test]
fn root_in_a_user_namespace_joins_a_pid_namespace() {
    needs_a_user!();
    let bundle = Bundle::sh("cat /proc/1/cmdline; echo; id -u").without_namespace("pid");
    let place = bundle.host_dir("pod").join("pid").display().to_string();
    std::fs::write(&place, "").unwrap();
    let bundle = bundle.join("pid", &place);
    let pod = format!(
        "unshare --fork --pid --kill-child sleep 1000 & pod=$!\n\
         until child=$(cat /proc/$pod/task/$pod/children) && [ -n \"$child\" ]; do sleep 0.01; done\n\
         unshare --mount sh -c 'mount --bind /proc/$1/ns/pid {place}; shift; \"$@\"' sh $child \"$@\"; rc=$?\n\
         kill -9 $pod; exit $rc"
    );
    below_an_engine(bundle, &["sh", "-c", &pod, "sh"]).stdout_is("sleep\u{0}1000\u{0}\n0");
}
