//! config.md, POSIX-platform Hooks: who runs when, where, and with what on its standard input.

use crate::kit::*;
use std::path::PathBuf;

const ALL: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Hooks of these kinds that each append a line to the file `log` of the host, and to its path in the root filesystem
/// where they run inside.
fn logging(bundle: Bundle, script: impl Fn(&str) -> String) -> (Bundle, PathBuf) {
    let log = bundle.host_dir("log").join("log");
    std::fs::write(&log, "").unwrap();
    let bundle = bundle.bind(bundle_dir_of(&log), "/log", &[]);
    let bundle = ALL.iter().fold(bundle, |bundle, kind| {
        // createContainer hooks run in the container's mount namespace, before the root is changed.
        let file = if *kind == "startContainer" { "/log/log".to_owned() } else { log.display().to_string() };
        bundle.hook(kind, &format!("{{ {}; }} >> {file}", script(kind)))
    });
    (bundle, log)
}

fn bundle_dir_of(log: &std::path::Path) -> &std::path::Path {
    log.parent().expect("a directory")
}

fn read(log: &PathBuf) -> String {
    std::fs::read_to_string(log).unwrap()
}

#[track_caller]
fn field<'a>(text: &'a str, kind: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("the {kind} hook did not run: {text}"))
}

#[test]
fn they_run_at_their_time() {
    not_on!("runc<1.2", "runs poststart hooks during create");
    let (bundle, log) = logging(Bundle::sh("echo program >> /log/log"), |kind| format!("echo {kind}"));
    let container = bundle.create();
    assert_eq!(read(&log), "prestart\ncreateRuntime\ncreateContainer\n", "after create");
    container.start().ok();
    container.wait_stopped();
    let text = read(&log);
    let mut words: Vec<_> = text.lines().skip(3).collect();
    assert_eq!(words.remove(0), "startContainer", "first at start: {text}");
    // The program and the poststart hook run side by side.
    words.sort_unstable();
    assert_eq!(words, ["poststart", "program"], "{text}");
    container.delete().ok();
    assert!(read(&log).ends_with("poststop\n"), "after delete: {}", read(&log));
    container.leaves_nothing();
}

#[test]
fn start_waits_for_poststart_hooks_and_delete_for_poststop_hooks() {
    not_on!("runc<1.2", "runs poststart hooks during create");
    let (bundle, log) = logging(Bundle::idle(), |kind| format!("sleep 0.3; echo {kind}"));
    let container = bundle.start();
    assert!(read(&log).contains("poststart\n"), "start returned before its hook: {}", read(&log));
    container.wait_stdout("ready");
    container.kill("KILL").ok();
    container.wait_stopped();
    container.delete().ok();
    assert!(read(&log).ends_with("poststop\n"), "delete returned before its hook: {}", read(&log));
}

#[test]
fn they_run_in_their_namespaces() {
    let (bundle, log) = logging(Bundle::idle(), |kind| format!("echo {kind} $(readlink /proc/self/ns/net)"));
    let container = bundle.start();
    let [host, inside] = [std::process::id() as i32, container.pid()].map(|pid| host::namespace_of(pid, "net"));
    container.call(["delete", "--force", container.id()]).run().ok();
    let text = read(&log);
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        assert_eq!(field(&text, kind), host, "{kind}");
    }
    for kind in ["createContainer", "startContainer"] {
        assert_eq!(field(&text, kind), inside, "{kind}");
    }
}

/// Only startContainer's path is one of the container: the program is there and nowhere else.
#[test]
fn their_path_is_resolved_in_their_namespace() {
    let bundle = Bundle::idle().script("/bin/only-inside", "#!/bin/sh\necho inside > /made\n");
    let bundle = bundle.push("/hooks/startContainer", json!({"path": "/bin/only-inside"}));
    let outside = bundle.host_file("only-outside", "#!/bin/sh\necho x >> \"$1\"\n");
    let log = bundle.path("log");
    std::os::unix::fs::chown(&outside, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&outside, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let hook = json!({"path": outside, "args": ["only-outside", log]});
    let kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let bundle = kinds.iter().fold(bundle, |bundle, kind| bundle.push(&format!("/hooks/{kind}"), hook.clone()));
    let container = bundle.start();
    container.call(["delete", "--force", container.id()]).run().ok();
    assert_eq!(std::fs::read_to_string(container.in_rootfs("/made")).unwrap(), "inside\n");
    assert_eq!(read(&log).lines().count(), kinds.len());
}

/// The container's mounts are made, and the root is still the host's.
#[test]
fn create_hooks_run_between_the_environment_and_the_pivot() {
    let script = |kind: &str| format!("echo {kind} $(readlink /proc/self/root) $(ls -d /usr/bin | head -n 1)");
    let (bundle, log) = logging(Bundle::idle(), script);
    let _container = bundle.create();
    for kind in ["prestart", "createRuntime", "createContainer"] {
        assert_eq!(field(&read(&log), kind), "/ /usr/bin", "{kind}");
    }
    // The mounts of the container are visible to the hook that runs in its mount namespace.
    let bundle = Bundle::idle().tmpfs("/mnt", &["size=4k"]);
    let log = bundle.path("mounts");
    let hook = format!("cat /proc/self/mountinfo > {}", log.display());
    let container = bundle.hook("createContainer", &hook).create();
    let point = container.in_rootfs("/mnt");
    assert!(MountPoint::find(&read(&log), point.to_str().unwrap()).is_some(), "{}", read(&log));
}

#[test]
fn they_run_in_the_order_of_the_list() {
    let bundle = Bundle::sh("true");
    let log = bundle.path("log");
    let numbered = |bundle: Bundle, kind: &str| {
        (1..=3).fold(bundle, |bundle, n| bundle.hook(kind, &format!("echo {kind}{n} >> {}", log.display())))
    };
    let kinds = ["poststop", "poststart", "createContainer", "createRuntime", "prestart"];
    let container = kinds.iter().fold(bundle, |bundle, kind| numbered(bundle, kind)).start();
    container.wait_stopped();
    container.delete().ok();
    let expected: String = kinds.iter().rev().flat_map(|kind| (1..=3).map(move |n| format!("{kind}{n}\n"))).collect();
    assert_eq!(read(&log), expected);
}

#[test]
fn they_read_the_state() {
    not_on!("runc<1.2", "runs poststart hooks during create");
    let bundle = Bundle::idle().set("/annotations", json!({"bread": "rye"}));
    let (bundle, log) = logging(bundle, |kind| format!("echo {kind} $(cat)"));
    let container = bundle.start();
    let pid = container.pid();
    container.wait_stdout("ready").kill("KILL").ok();
    container.wait_stopped();
    container.delete().ok();
    let text = read(&log);
    for kind in ALL {
        let state: Value = serde_json::from_str(field(&text, kind)).unwrap_or_else(|e| panic!("{kind}: {e}: {text}"));
        assert_eq!(state["id"], container.id(), "{kind}: {state}");
        assert_eq!(state["bundle"], container.bundle_dir().to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["bread"], "rye", "{kind}: {state}");
        assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{kind}: {state}");
        let expected: &[&str] = match kind {
            "poststop" => &["stopped"],
            "poststart" => &["running"],
            // runtime.md calls a container `created` only when create has done all; prestart hooks expect it all the same.
            "startContainer" => &["created", "starting"],
            _ => &["creating", "created"],
        };
        let status = state["status"].as_str().unwrap_or_else(|| panic!("{kind}: no status"));
        assert!(expected.contains(&status), "{kind}: {status}");
        if kind != "poststop" && kind != "startContainer" && kind != "createContainer" {
            assert_eq!(state["pid"], pid, "{kind}: {state}");
        }
    }
}

#[test]
fn a_failed_hook_of_create_destroys_the_container() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = Bundle::sh("true");
        let log = bundle.host_file("log", "");
        let bundle = bundle.hook(kind, "echo burnt >&2; exit 7").hook(kind, &format!("echo next >> {}", log.display()));
        let bundle = bundle.hook("poststop", &format!("echo poststop >> {}", log.display()));
        bundle.try_create().fails().bolo_says(&format!("hooks.{kind}"));
        bundle.leaves_nothing();
        let text = read(&log);
        assert!(!text.contains("next"), "{kind}: the next hook ran");
        if peer::RUNTIME.name == "bolo" {
            assert_eq!(text, "poststop\n", "{kind}");
        }
    }
}

#[test]
fn a_failed_start_container_hook_stops_the_container() {
    let bundle = Bundle::sh("echo program").script("/bin/burn", "#!/bin/sh\nexit 7\n");
    let log = bundle.host_file("log", "");
    let bundle = bundle.push("/hooks/startContainer", json!({"path": "/bin/burn"}));
    let container = bundle.hook("poststop", &format!("echo poststop >> {}", log.display())).create();
    let output = container.start();
    if peer::RUNTIME.name == "bolo" {
        output.fails().stderr_has("hooks.startContainer");
        container.leaves_nothing();
    } else {
        container.wait_stopped();
        container.delete().ok();
    }
    assert_eq!(read(&log), "poststop\n");
    assert_eq!(container.stdout(), "", "the program ran");
}

#[test]
fn a_failed_poststart_hook_stops_the_container() {
    not_on!("runc<1.2", "runs poststart hooks during create");
    let bundle = Bundle::idle();
    let log = bundle.host_file("log", "");
    let bundle = bundle.hook("poststart", "exit 7").hook("poststop", &format!("echo poststop >> {}", log.display()));
    let container = bundle.create();
    let pid = container.pid();
    container.start().fails().bolo_says("hooks.poststart[0]");
    wait("the program ends", || !host::alive(pid));
    if peer::RUNTIME.name == "bolo" {
        container.leaves_nothing();
    } else {
        container.call(["delete", "--force", container.id()]).run().ok();
    }
    assert_eq!(read(&log), "poststop\n");
}

#[test]
fn a_failed_poststop_hook_is_only_a_warning() {
    not_on!("runc", "delete fails");
    let bundle = Bundle::sh("true");
    let log = bundle.host_file("log", "");
    let bundle = bundle.hook("poststop", "exit 7").hook("poststop", &format!("echo next >> {}", log.display()));
    let container = bundle.start();
    container.wait_stopped();
    container.delete().ok().bolo_says("hooks.poststop[0]");
    assert_eq!(read(&log), "next\n");
    container.leaves_nothing();
}

#[test]
fn a_path_that_is_not_absolute_is_refused() {
    bolo_only!("an error before anything is made");
    for kind in ALL {
        for hook in [json!({"path": "bin/sh"}), json!({"args": ["sh"]}), json!({"path": ""})] {
            let bundle = Bundle::sh("true").push(&format!("/hooks/{kind}"), hook);
            bundle.try_create().fails().stderr_has(&format!("hooks.{kind}[0].path"));
            bundle.leaves_nothing();
        }
    }
}

#[test]
fn a_timeout_that_is_not_positive_is_refused() {
    bolo_only!("an error before anything is made");
    for timeout in [0, -1] {
        for kind in ALL {
            let hook = json!({"path": "/bin/true", "timeout": timeout});
            let bundle = Bundle::sh("true").push(&format!("/hooks/{kind}"), hook);
            bundle.try_create().fails().stderr_has(&format!("hooks.{kind}[0].timeout"));
            bundle.leaves_nothing();
        }
    }
}
