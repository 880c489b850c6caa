//! The verbs that came with no test of their own elsewhere.

use crate::{NONE, Oven};
use std::io::Write;
use std::process::Stdio;

#[test]
fn cp_copies_both_ways_whether_the_container_runs_or_not() {
    let oven = Oven::new("cp");
    let at = |name: &str| oven.root.join(name).display().to_string();
    oven.ok(&["create", "--name", "still", NONE, "-v", "vol:/vol", "box", "true"]);
    oven.ok(&["run", "-d", "--name", "live", NONE, "box", "sleep", "1000"]);
    std::fs::create_dir_all(oven.root.join("in/sub")).unwrap();
    std::fs::write(oven.root.join("in/sub/file"), "from the host").unwrap();
    std::os::unix::fs::symlink("sub/file", oven.root.join("in/link")).unwrap();
    for name in ["still", "live"] {
        // A directory that is there is copied into, one that is not becomes the copy.
        oven.ok(&["cp", &at("in"), &format!("{name}:/tmp")]);
        oven.ok(&["cp", &at("in"), &format!("{name}:/tmp/new")]);
        oven.ok(&["cp", &format!("{}/.", at("in")), &format!("{name}:/tmp/new")]);
        oven.ok(&["cp", &format!("{name}:/tmp"), &at(name)]);
        for path in ["in/sub/file", "new/sub/file", "new/link"] {
            let text = std::fs::read_to_string(oven.root.join(name).join(path)).unwrap();
            assert_eq!(text, "from the host", "{name} {path}");
        }
        oven.ok(&["cp", &format!("{name}:/data/file"), &at("one")]);
        assert_eq!(std::fs::read_to_string(oven.root.join("one")).unwrap(), "from the image\n");
        let nowhere = format!("{name}:/no/such/file");
        oven.fails(1, &["cp", &nowhere, &at("two")], "no such file or directory");
        oven.fails(1, &["cp", &at("one"), &format!("{name}:/no/such/")], "no such directory");
        oven.fails(1, &["cp", &at("in"), &format!("{name}:/etc/passwd")], "onto a file");
    }
    assert_eq!(oven.ok(&["exec", "live", "stat", "-c", "%u:%g", "/tmp/in/sub/file"]), "0:0");
    oven.ok(&["cp", &at("one"), "still:/data/x"]);
    oven.ok(&["cp", "-a", "still:/data/file", &at("kept")]);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(oven.root.join("kept")).unwrap());
    assert_eq!(owner, 1000);
    oven.fails(1, &["cp", "still:/a", "live:/b"], "between containers");
    oven.fails(1, &["cp", &at("one"), &at("two")], "CONTAINER:PATH");
}

#[test]
fn cp_never_leaves_the_container_by_a_link() {
    let oven = Oven::new("cp-links");
    let trap = oven.root.join("trap");
    std::fs::create_dir_all(&trap).unwrap();
    std::fs::write(oven.root.join("one"), "x").unwrap();
    let script = format!("busybox ln -s {} /out; busybox mkdir -p {0}", trap.display());
    oven.ok(&["run", "--name", "sly", NONE, "box", "busybox", "sh", "-c", &script]);
    let one = oven.root.join("one").display().to_string();
    oven.ok(&["cp", &one, "sly:/out/stolen"]);
    assert!(!trap.join("stolen").exists());
    oven.ok(&["cp", &format!("sly:{}/stolen", trap.display()), &oven.root.join("back").display().to_string()]);
}

#[test]
fn cp_speaks_tar_on_standard_streams() {
    let oven = Oven::new("cp-tar");
    oven.ok(&["run", "-d", "--name", "live", NONE, "box", "sleep", "1000"]);
    let packed = oven.command(&["cp", "live:/data", "-"]).output().unwrap();
    assert!(packed.status.success());
    let names: Vec<String> = tar::Archive::new(&packed.stdout[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["data/", "data/file"]);
    let mut child = oven.command(&["cp", "-", "live:/tmp"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&packed.stdout).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(oven.ok(&["exec", "live", "cat", "/tmp/data/file"]), "from the image");
    assert_eq!(oven.ok(&["exec", "live", "stat", "-c", "%u %a", "/tmp/data/file"]), "1000 640");
}

#[test]
fn events_tell_of_a_whole_life() {
    let oven = Oven::new("events");
    assert_eq!(oven.run(&["run", "--name", "short", "-v", "data:/d", NONE, "box", "sh", "-c", "exit 3"]).code, 3);
    oven.ok(&["rename", "short", "brief"]);
    oven.ok(&["rm", "brief"]);
    oven.ok(&["volume", "rm", "data"]);
    let told = |filter: &str| {
        let args = ["events", "--since", "1h", "--until", "0s", "--filter", filter, "--format", "{{.Action}}"];
        oven.ok(&args).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told("type=container"), ["create", "start", "die", "rename", "destroy"]);
    assert_eq!(told("type=volume"), ["create", "destroy"]);
    let line = oven.ok(&["events", "--since", "1h", "--until", "0s", "--filter", "event=die"]);
    assert!(line.contains(" container die ") && line.contains("exitCode=3") && line.contains("image=box"), "{line}");
}

#[test]
fn stats_show_what_is_used() {
    let oven = Oven::new("stats");
    oven.ok(&["run", "-d", "--name", "busy", "--memory", "64m", NONE, "box", "sh", "-c", "while :; do :; done"]);
    let out = oven.ok(&["stats", "--no-stream"]);
    assert!(out.starts_with("CONTAINER ID") && out.lines().next().unwrap().ends_with("PIDS"), "{out}");
    let row = oven.ok(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.CPUPerc}} {{.MemUsage}}", "busy"]);
    let words: Vec<&str> = row.split(' ').collect();
    assert_eq!((words[0], words[1], words[5]), ("busy", "1", "64MiB"), "{row}");
    assert!(words[2].trim_end_matches('%').parse::<f64>().unwrap() > 1.0, "{row}");
    oven.fails(1, &["stats", "--no-stream", "nosuch"], "No such container");
}

#[test]
fn info_and_version_tell_of_this_machine() {
    let oven = Oven::new("info");
    oven.ok(&["create", "--name", "one", NONE, "box", "true"]);
    assert_eq!(oven.ok(&["info", "-f", "{{.Containers}} {{.ContainersStopped}} {{.Images}}"]), "1 1 1");
    assert!(oven.ok(&["system", "info"]).contains("\nKernelVersion: "));
    assert_eq!(oven.ok(&["version", "--format", "{{.Client.Version}}"]), env!("CARGO_PKG_VERSION"));
    assert!(oven.ok(&["version"]).contains("Runtime: bolo "));
}

#[test]
fn system_shows_what_takes_room_and_makes_some() {
    let oven = Oven::new("system");
    oven.ok(&["run", "--name", "old", "-v", "named:/n", "-v", "/anonymous", NONE, "box", "touch", "/new"]);
    oven.ok(&["run", "-d", "--name", "live", NONE, "box", "sleep", "1000"]);
    let rows = oven.ok(&["system", "df", "--format", "{{.Type}}:{{.TotalCount}}:{{.Active}}"]);
    assert_eq!(rows, "Images:1:1\nContainers:2:1\nLocal Volumes:2:2\nBuild Cache:0:0");
    oven.ok(&["system", "prune", "-f"]);
    assert_eq!(oven.ok(&["ps", "-a", "--format", "{{.Names}}"]), "live");
    assert_eq!(oven.ok(&["volume", "ls", "-q"]).lines().count(), 2);
    oven.ok(&["system", "prune", "-f", "--volumes"]);
    assert_eq!(oven.ok(&["volume", "ls", "-q"]), "named");
    oven.ok(&["rm", "-f", "live"]);
    oven.ok(&["system", "prune", "-a", "-f", "--volumes"]);
    assert_eq!(oven.ok(&["images", "-q"]), "");
    assert_eq!(oven.ok(&["volume", "ls", "-q"]), "named", "who gave it a name wants it back");
}

#[test]
fn units_start_at_boot_what_its_policy_wants() {
    let oven = Oven::new("generate");
    for (name, policy) in [("a", "always"), ("u", "unless-stopped"), ("n", "no")] {
        oven.ok(&["run", "-d", "--name", &format!("{name}1"), "--restart", policy, NONE, "box", "sleep", "1000"]);
    }
    let unit = oven.ok(&["generate", "systemd", "--name", "a1"]);
    for line in ["Type=forking", "WantedBy=multi-user.target"] {
        assert!(unit.lines().any(|found| found == line), "{unit}");
    }
    assert!(unit.contains(" start a1\n") && unit.contains(" stop a1\n"), "{unit}");
    assert!(oven.ok(&["generate", "systemd"]).contains(" start --boot\n"));
    // What the user has stopped stays so, unless it is to run always.
    oven.ok(&["stop", "-t", "0", "--all"]);
    assert_eq!(oven.ok(&["ps", "-q"]), "");
    oven.ok(&["start", "--boot"]);
    assert_eq!(oven.ok(&["ps", "--format", "{{.Names}}"]), "a1");
    oven.ok(&["update", "--restart", "no", "a1"]);
    oven.ok(&["kill", "a1"]);
    oven.ok(&["start", "--boot"]);
    assert_eq!(oven.ok(&["ps", "-q"]), "");
}
