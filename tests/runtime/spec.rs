//! `spec`: writes a config.json to begin with.

use crate::kit::*;
use std::path::Path;

fn spec(dir: &Path, flags: &[&str]) -> Value {
    Scene::new().call([&["spec"], flags].concat()).cwd(dir).run().ok().stdout_is("");
    read(dir)
}

fn read(dir: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir.join("config.json")).unwrap()).unwrap()
}

#[test]
fn writes_into_the_current_directory() {
    let scene = Scene::new();
    let config = spec(&scene.host_dir("here"), &[]);
    assert_eq!(config["process"]["args"], json!(["sh"]));
    assert_eq!(config["process"]["terminal"], true);
    assert_eq!(config["root"], json!({"path": "rootfs", "readonly": true}));
    assert!(config["ociVersion"].as_str().unwrap().starts_with("1."));
}

#[test]
fn writes_into_a_bundle() {
    let scene = Scene::new();
    for flag in ["--bundle", "-b"] {
        let dir = scene.host_dir(flag.trim_start_matches('-'));
        scene.call(["spec", flag, dir.to_str().unwrap()]).run().ok();
        assert_eq!(read(&dir)["process"]["cwd"], "/");
    }
}

#[test]
fn never_overwrites() {
    let scene = Scene::new();
    let dir = scene.host_dir("here");
    std::fs::write(dir.join("config.json"), "mine").unwrap();
    scene.call(["spec"]).cwd(&dir).run().fails().stderr_has("config.json");
    assert_eq!(std::fs::read_to_string(dir.join("config.json")).unwrap(), "mine");
}

#[test]
fn grants_no_inheritable_capabilities() {
    let scene = Scene::new();
    let config = spec(&scene.host_dir("here"), &[]);
    let sets = &config["process"]["capabilities"];
    assert_eq!(sets["bounding"], json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]));
    assert!(sets["inheritable"].is_null() || sets["inheritable"] == json!([]));
    assert_eq!(config["process"]["noNewPrivileges"], true);
}

#[test]
fn is_the_same_as_that_of_runc() {
    not_on!("crun", "another beginning");
    needs!(host::program("runc"), "no runc to compare with");
    let scene = Scene::new();
    for flags in [&[][..], &["--rootless"]] {
        let ours = spec(&scene.host_dir(&format!("ours{}", flags.len())), flags);
        let dir = scene.host_dir(&format!("runcs{}", flags.len()));
        let status = std::process::Command::new("runc").arg("spec").args(flags).current_dir(&dir).status().unwrap();
        assert!(status.success());
        let theirs = read(&dir);
        // runc dropped the ambient capabilities later.
        let mut theirs = theirs;
        theirs["process"]["capabilities"].as_object_mut().unwrap().shift_remove("ambient");
        for key in ["process", "root", "mounts"] {
            assert_eq!(ours[key], theirs[key], "{key} with {flags:?}");
        }
        for key in ["namespaces", "maskedPaths", "readonlyPaths", "uidMappings", "gidMappings", "resources"] {
            // runc counts what it masks differently from version to version; ours may mask more.
            let (ours, theirs) = (&ours["linux"][key], &theirs["linux"][key]);
            match (ours.as_array(), theirs.as_array()) {
                (Some(ours), Some(theirs)) => {
                    let missing: Vec<_> = theirs.iter().filter(|item| !ours.contains(item)).collect();
                    assert!(missing.is_empty(), "linux.{key} lacks {missing:?}");
                }
                _ => assert_eq!(ours, theirs, "linux.{key} with {flags:?}"),
            }
        }
    }
}

#[test]
fn rootless_maps_the_caller() {
    let scene = Scene::new();
    let config = spec(&scene.host_dir("here"), &["--rootless"]);
    let linux = &config["linux"];
    assert_eq!(linux["uidMappings"], json!([{"containerID": 0, "hostID": 0, "size": 1}]));
    let kinds: Vec<_> = linux["namespaces"].as_array().unwrap().iter().map(|ns| ns["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"user") && !kinds.contains(&"network"), "{kinds:?}");
    let sys = config["mounts"].as_array().unwrap().iter().find(|mount| mount["destination"] == "/sys").unwrap();
    assert!(sys["options"].as_array().unwrap().contains(&json!("ro")));
}

#[test]
fn what_it_writes_runs() {
    let bundle = Bundle::sh("true");
    let text = {
        let dir = bundle.host_dir("spec");
        let mut config = spec(&dir, &[]);
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/bin/sh", "-c", "hostname; id -u; touch /x 2>&1"]);
        config["linux"]["cgroupsPath"] = json!(bundle.cgroup());
        config.to_string()
    };
    let bundle = bundle.text(text);
    let output = bundle.run();
    assert_eq!(output.code, 1, "{output}");
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(lines[1], "0");
    assert!(lines[2].contains("Read-only file system"), "{output}");
}

/// As runc writes it, and engines do: asks for ambient capabilities that are not inheritable.
#[test]
fn the_usual_configuration_runs_without_a_word() {
    let names = ["CAP_AUDIT_WRITE", "CAP_KILL"];
    let bundle = Bundle::sh("echo baked");
    let bundle =
        ["bounding", "permitted", "effective", "ambient"].iter().fold(bundle, |b, set| b.capability_set(set, &names));
    bundle.run().ok().stdout_is("baked").stderr_is_empty();
}
