//! `list`

use crate::kit::*;

fn list(scene: &Scene, flags: &[&str]) -> Output {
    scene.call([&["list"], flags].concat()).run().ok()
}

#[test]
fn a_table() {
    let first = Bundle::idle().start();
    let scene = first.scene();
    let second = scene.idle().create();
    let lines = list(scene, &[]).lines();
    let words: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(words[..5], ["ID", "PID", "STATUS", "BUNDLE", "CREATED"]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (container, status) in [(&first, "running"), (&second, "created")] {
        let line = lines.iter().find(|line| line.split_whitespace().next() == Some(container.id())).expect("a line");
        let words: Vec<_> = line.split_whitespace().collect();
        let (pid, bundle) = (container.pid().to_string(), container.bundle_dir().to_str().unwrap());
        assert_eq!(words[1..4], [&pid, status, bundle]);
        assert_eq!(words[5], "root");
    }
}

#[test]
fn json_that_engines_read() {
    let container = Bundle::idle().set("/annotations", json!({"bread": "rye"})).start();
    let all = list(container.scene(), &["--format", "json"]).json();
    assert_eq!(all.as_array().expect("an array").len(), 1);
    let state = container.state();
    for key in ["id", "pid", "status", "bundle", "created"] {
        assert_eq!(all[0][key], state[key], "{key}");
    }
    assert_eq!(all[0]["owner"], "root");
    not_on!("crun", "fewer fields");
    for key in ["ociVersion", "rootfs", "annotations"] {
        assert_eq!(all[0][key], state[key], "{key}");
    }
}

#[test]
fn only_ids() {
    let first = Bundle::idle().start();
    let second = first.scene().idle().create();
    for flag in ["-q", "--quiet"] {
        let mut lines = list(first.scene(), &[flag]).lines();
        lines.sort();
        let mut expected = [first.id(), second.id()];
        expected.sort();
        assert_eq!(lines, expected);
    }
}

#[test]
fn of_an_empty_root() {
    let scene = Scene::new();
    list(&scene, &["-q"]).stdout_is("");
    list(&scene, &[]).stdout_has("ID");
    not_on!("crun", "[]");
    list(&scene, &["-f", "json"]).stdout_is("null");
}

#[test]
fn of_a_root_that_does_not_exist() {
    let scene = Scene::new();
    std::fs::remove_dir(scene.root()).unwrap();
    list(&scene, &["-q"]).stdout_is("");
    not_on!("crun", "[]");
    list(&scene, &["-f", "json"]).stdout_is("null");
    let _ = std::fs::remove_dir(scene.root());
}

#[test]
fn an_unknown_format_is_refused() {
    let scene = Scene::new();
    scene.call(["list", "--format", "toast"]).run().fails();
    let container = scene.idle().create();
    container.call(["list", "--format", "toast"]).run().fails();
}

#[test]
fn a_stopped_container_is_listed() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    let all = list(container.scene(), &["-f", "json"]).json();
    assert_eq!(all[0]["status"], "stopped");
    assert_eq!(all[0]["pid"], 0);
}

#[test]
fn torn_neighbours_do_not_hide_the_others() {
    let container = Bundle::idle().start();
    let root = container.root();
    let state = find_state_file(&root.join(container.id()));
    let good = std::fs::read(&state).unwrap();
    let torn: [(&str, &[u8]); 4] =
        [("torn-half", &good[..good.len() / 2]), ("torn-empty", b""), ("torn-zeros", &[0; 4096]), ("torn-list", b"[]")];
    for (id, bytes) in torn {
        std::fs::create_dir(root.join(id)).unwrap();
        std::fs::write(root.join(id).join(state.file_name().unwrap()), bytes).unwrap();
    }
    std::fs::create_dir(root.join("torn-nothing")).unwrap();
    std::fs::write(root.join("a-file"), "crumbs").unwrap();
    let output = container.call(["list", "--format", "json"]).run();
    let quiet = container.call(["list"]).run();
    for entry in ["torn-half", "torn-empty", "torn-zeros", "torn-list", "torn-nothing"] {
        std::fs::remove_dir_all(root.join(entry)).unwrap();
    }
    std::fs::remove_file(root.join("a-file")).unwrap();
    let all = output.ok().json();
    assert!(all.as_array().unwrap().iter().any(|entry| entry["id"] == container.id()), "{all}");
    quiet.ok().stdout_has(container.id());
}

/// The file with the container's state in its state directory.
pub fn find_state_file(dir: &std::path::Path) -> std::path::PathBuf {
    let names = ["state.json", "status", "state"];
    let found = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no state file in {dir:?}"))
}
