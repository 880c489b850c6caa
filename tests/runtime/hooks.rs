//! `hooks`: six kinds, when and where they run, and what they are told.

use crate::kit::*;

const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A bundle with a hook of every kind; each appends `script`'s output to a file of the host, but startContainer's,
/// which runs inside, to /hooks of the root filesystem.
fn with_all_hooks(script: &str) -> Bundle {
    let bundle = Bundle::idle();
    let log = bundle.path("hooks");
    KINDS.iter().fold(bundle, |bundle, kind| {
        let file = if *kind == "startContainer" { "/hooks".to_owned() } else { log.display().to_string() };
        let script = script.replace("KIND", kind);
        bundle.hook(kind, &format!("{{ {script}; }} >> {file}"))
    })
}

fn lines(bundle: &Bundle) -> Vec<String> {
    let text = std::fs::read_to_string(bundle.path("hooks")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn inside(bundle: &Bundle) -> String {
    std::fs::read_to_string(bundle.in_rootfs("/hooks")).unwrap_or_default().trim_end().to_owned()
}

#[test]
fn run_at_their_times() {
    not_on!("runc<1.2", "runs poststart before start");
    let container = with_all_hooks("cat > /dev/null; echo KIND").create();
    assert_eq!(lines(&container), ["prestart", "createRuntime", "createContainer"]);
    assert_eq!(inside(&container), "");
    container.start().ok();
    assert_eq!(inside(&container), "startContainer");
    assert_eq!(lines(&container).last().unwrap(), "poststart");
    container.call(["delete", "--force", container.id()]).run().ok();
    assert_eq!(lines(&container)[3..], ["poststart", "poststop"]);
}

#[test]
fn run_in_foreground_run_too() {
    let bundle = with_all_hooks("cat > /dev/null; echo KIND").args(["true"]);
    bundle.run().ok();
    assert_eq!(lines(&bundle), ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]);
    assert_eq!(inside(&bundle), "startContainer");
}

#[test]
fn several_run_in_order() {
    let bundle = Bundle::sh("true");
    let log = bundle.path("hooks").display().to_string();
    let bundle = (0..4).fold(bundle, |bundle, n| bundle.hook("createRuntime", &format!("echo {n} >> {log}")));
    bundle.run().ok();
    assert_eq!(lines(&bundle), ["0", "1", "2", "3"]);
}

#[test]
fn are_told_the_state() {
    let container = with_all_hooks("cat; echo").set("/annotations", json!({"bread": "rye"})).create();
    container.start().ok();
    let pid = container.pid();
    container.call(["delete", "--force", container.id()]).run().ok();
    let mut told: Vec<Value> = lines(&container).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    told.insert(3, serde_json::from_str(&inside(&container)).unwrap());
    for (kind, state) in KINDS.iter().zip(&told) {
        assert_eq!(state["id"], container.id(), "{kind}");
        assert_eq!(state["bundle"], container.bundle_dir().to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["bread"], "rye", "{kind}");
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."), "{kind}");
    }
    for (kind, state) in KINDS.iter().zip(&told).take(2) {
        assert_eq!(state["pid"], pid, "{kind}");
    }
    let statuses: Vec<_> = told.iter().map(|state| state["status"].as_str().unwrap()).collect();
    // The specification leaves open from when on a container counts as created.
    assert!(statuses[..3].iter().all(|status| ["creating", "created"].contains(status)), "{statuses:?}");
    assert_eq!(statuses[5], "stopped");
    not_on!("runc<1.2", "runs poststart before start");
    assert_eq!(statuses[4], "running");
}

#[test]
fn run_in_the_namespaces_that_the_specification_says() {
    let container = with_all_hooks("cat > /dev/null; readlink /proc/self/ns/mnt").start();
    let host = host::namespace_of(std::process::id() as i32, "mnt");
    let own = host::namespace_of(container.pid(), "mnt");
    let shown = lines(&container);
    assert_eq!(shown[..3], [host.clone(), host.clone(), own.clone()]);
    assert_eq!(inside(&container), own);
    assert_eq!(shown[3], host);
}

#[test]
fn create_container_hooks_see_the_mounts_below_the_rootfs() {
    let bundle = Bundle::idle().tmpfs("/mnt", &[]);
    let point = bundle.in_rootfs("/mnt/from-hook").display().to_string();
    let container = bundle.hook("createContainer", &format!("echo baked > {point}")).start();
    assert!(!container.in_rootfs("/mnt/from-hook").exists());
    container.exec("cat /mnt/from-hook").stdout_is("baked");
}

#[test]
fn prestart_hooks_can_set_up_the_network() {
    needs!(host::program("nsenter") && host::program("ip"), "no nsenter or no ip");
    let script = r#"pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); nsenter -t $pid -n ip link add oven0 type dummy"#;
    let bundle = Bundle::sh("ip -o link").hook("prestart", script);
    let output = bundle.run();
    needs!(
        !output.stderr.contains("not supported") && !output.stderr.contains("Unknown device"),
        "no dummy interfaces"
    );
    output.stdout_has("oven0");
}

#[test]
fn have_only_their_own_environment() {
    let bundle = Bundle::sh("true");
    let log = bundle.path("hooks").display().to_string();
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", format!("/usr/bin/env > {log}")], "env": ["FLOUR=rye"]});
    let bundle = bundle.set("/hooks/createRuntime", json!([hook]));
    bundle.call_run(&[]).env("LEAK", "1").run().ok();
    let mut shown = lines(&bundle);
    shown.retain(|line| !line.starts_with("PWD=") && !line.starts_with("_=") && !line.starts_with("SHLVL="));
    assert_eq!(shown, ["FLOUR=rye"]);
}

#[test]
fn get_their_arguments() {
    let bundle = Bundle::sh("true");
    let script = bundle.host_file("hook.sh", "#!/bin/sh\necho \"$#|$1|$2\" > $3\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (script, log) = (script.to_str().unwrap().to_owned(), bundle.path("hooks"));
    let hook = json!({"path": script, "args": ["name", "a b", "", log.to_str().unwrap()]});
    let bundle = bundle.set("/hooks/prestart", json!([hook]));
    bundle.run().ok();
    assert_eq!(lines(&bundle), ["3|a b|"]);
}

#[test]
fn a_failure_before_start_ends_the_creation() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = Bundle::sh("true").hook(kind, "echo burnt >&2; exit 3");
        bundle.try_create().fails().bolo_says(&format!("hooks.{kind}[0]"));
        bundle.leaves_nothing();
    }
}

/// It has stopped, or it has even been deleted, as the specification asks for.
fn wait_gone(container: &Container) {
    wait("the container ends", || {
        let output = container.verb("state");
        output.code != 0 || output.json()["status"] == "stopped"
    });
}

#[test]
fn a_failure_of_start_container_ends_the_start() {
    bolo_only!("start reports it; elsewhere only the container dies");
    let container = Bundle::sh("echo ran > /ran").hook("startContainer", "exit 3").create();
    container.start().fails().stderr_has("hooks.startContainer[0]");
    wait_gone(&container);
    assert!(!container.in_rootfs("/ran").exists());
}

#[test]
fn a_failing_start_container_hook_keeps_the_program_from_running() {
    let container = Bundle::sh("echo ran > /ran").hook("startContainer", "exit 3").create();
    let _ = container.start();
    wait_gone(&container);
    assert!(!container.in_rootfs("/ran").exists());
}

#[test]
fn a_failure_of_poststart_ends_the_container() {
    not_on!("crun", "from version to version different");
    not_on!("runc<1.2", "runs poststart before start");
    let container = Bundle::idle().hook("poststart", "exit 3").create();
    container.start().fails().bolo_says("hooks.poststart[0]");
    wait_gone(&container);
}

#[test]
fn a_failure_of_poststop_is_only_told() {
    let container = Bundle::sh("true").hook("poststop", "exit 3").start();
    container.wait_stopped();
    container.delete().ok();
    container.leaves_nothing();
}

#[test]
fn what_a_failing_hook_wrote_is_shown() {
    not_on!("crun", "it goes nowhere");
    let bundle = Bundle::sh("true").hook("createRuntime", "echo burnt crust >&2; exit 3");
    bundle.try_create().fails().stderr_has("burnt crust");
}

#[test]
fn a_timeout_ends_a_hook() {
    let mut hook = json!({"path": "/bin/sleep", "args": ["sleep", "4567"], "timeout": 1});
    let bundle = Bundle::sh("true").set("/hooks/createRuntime", json!([hook]));
    bundle.try_create().fails().bolo_says("hooks.createRuntime[0]");
    bundle.leaves_nothing();
    hook["args"] = json!(["sleep", "0"]);
    Bundle::sh("true").set("/hooks/createRuntime", json!([hook])).run().ok();
}

#[test]
fn a_hook_that_does_not_exist() {
    let bundle = Bundle::sh("true").set("/hooks/prestart", json!([{"path": "/no/such/hook"}]));
    bundle.try_create().fails().stderr_has("/no/such/hook");
    bundle.leaves_nothing();
}

#[test]
fn a_relative_path_or_a_bad_timeout_is_refused() {
    bolo_only!("before anything is made");
    for hook in [json!({"path": "sleep"}), json!({"path": ""}), json!({"path": "/bin/true", "timeout": 0})] {
        let bundle = Bundle::sh("true").set("/hooks/poststop", json!([hook]));
        bundle.try_create().fails().stderr_has("hooks.poststop[0]");
        bundle.leaves_nothing();
    }
}

#[test]
fn a_hook_that_does_not_read_its_stdin() {
    let bundle = Bundle::sh("echo fine").set("/hooks/prestart", json!([{"path": "/bin/true"}]));
    bundle.run().stdout_is("fine");
}

#[test]
fn poststop_runs_when_the_state_is_gone() {
    let bundle = Bundle::sh("true");
    let (root, log) = (bundle.root().join(bundle.id()), bundle.path("hooks"));
    let script = format!("[ -e {} ] && echo there > {1} || echo gone > {1}", root.display(), log.display());
    let bundle = bundle.hook("poststop", &script);
    bundle.run().ok();
    assert_eq!(lines(&bundle), ["gone"]);
}
