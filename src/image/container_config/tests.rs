use super::*;
use oci_spec::runtime::Spec;

fn image(config: Value) -> ImageConfig {
    let document = json!({"architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": []}});
    ImageConfig::parse(document.to_string().as_bytes()).unwrap()
}

fn container(config: Value, args: &[&str]) -> Result<Container> {
    let root = Root::open(std::path::Path::new("/proc/self/fdinfo")).unwrap();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Container::of_image(&image(config), &root, &args)
}

#[test]
fn entrypoint_and_command_make_the_arguments() {
    for (config, args, wanted) in [
        (json!({"Cmd": ["a", "b"]}), vec![], vec!["a", "b"]),
        (json!({"Cmd": ["a", "b"]}), vec!["c"], vec!["c"]),
        (json!({"Entrypoint": ["e"], "Cmd": ["a"]}), vec![], vec!["e", "a"]),
        (json!({"Entrypoint": ["e"], "Cmd": ["a"]}), vec!["c", "d"], vec!["e", "c", "d"]),
    ] {
        assert_eq!(container(config, &args).unwrap().args, wanted);
    }
    assert!(container(json!({}), &[]).unwrap_err().to_string().contains("no command"));
}

#[test]
fn the_document_is_one_that_others_read_too() {
    let config = json!({"Cmd": ["x"], "User": "7:8", "WorkingDir": "srv//a/../b", "Env": ["A=1"],
        "ExposedPorts": {"80/tcp": {}}, "Labels": {"run.oci.handler": "krun"}, "StopSignal": "SIGQUIT"});
    let container = container(config, &[]).unwrap();
    let spec: Spec = serde_json::from_value(container.to_json()).unwrap();
    let process = spec.process().as_ref().unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (7, 8));
    assert_eq!(process.cwd().to_str(), Some("/srv/b"));
    let env = process.env().as_ref().unwrap();
    assert!(env[0].starts_with("PATH=") && env[1] == "A=1" && env[2] == "HOME=/");
    let capabilities = process.capabilities().as_ref().unwrap();
    assert!(capabilities.effective().as_ref().unwrap().is_empty());
    assert_eq!(capabilities.bounding().as_ref().unwrap().len(), DEFAULT_CAPABILITIES.len());
    let annotations = spec.annotations().as_ref().unwrap();
    assert_eq!(annotations["org.opencontainers.image.stopSignal"], "SIGQUIT");
    assert_eq!(annotations["org.opencontainers.image.exposedPorts"], "80/tcp");
    assert!(!annotations.keys().any(|key| key.starts_with("run.oci")));
}

#[test]
fn root_has_the_usual_capabilities_and_options_change_the_rest() {
    let mut container = container(json!({"Cmd": ["x"], "Env": ["PATH=/p", "A=1", "HOME=/h"]}), &[]).unwrap();
    container.set_env("A", "2");
    container.network = Network::At("/run/netns/x".to_owned());
    container.hostname = Some("h".to_owned());
    container.resources.insert("devices".to_owned(), json!([{"allow": true, "type": "c", "major": 10, "minor": 229}]));
    let json = container.to_json();
    assert_eq!(json["process"]["env"], json!(["PATH=/p", "A=2", "HOME=/h"]));
    assert_eq!(json["process"]["capabilities"]["effective"].as_array().unwrap().len(), 14);
    assert_eq!(json["hostname"], "h");
    let namespaces = json["linux"]["namespaces"].as_array().unwrap();
    assert_eq!(namespaces.last().unwrap(), &json!({"type": "network", "path": "/run/netns/x"}));
    let devices = json["linux"]["resources"]["devices"].as_array().unwrap();
    assert_eq!((devices[0]["allow"].as_bool(), devices.last().unwrap()["major"].as_i64()), (Some(false), Some(10)));
}

#[test]
fn paths_are_made_absolute() {
    for (path, wanted) in [("", "/"), ("a", "/a"), ("/a//b/", "/a/b"), ("/../../a/./b/..", "/a"), ("..", "/")] {
        assert_eq!(absolute(path), wanted);
    }
}
