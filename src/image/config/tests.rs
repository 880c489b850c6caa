use super::*;
use serde_json::json;

fn digest() -> Digest {
    Digest::of(b"x")
}

#[test]
fn docker_extensions_and_unknown_fields_survive() {
    let text = json!({
        "architecture": "amd64", "os": "linux", "os.version": "1", "container_config": {"Image": "x"},
        "config": {
            "Cmd": ["a"], "Entrypoint": [], "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000i64, "New": 1},
            "OnBuild": ["RUN x"], "Shell": ["/bin/bash", "-c"], "ArgsEscaped": true, "ExposedPorts": {"80/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest()]},
        "history": [{"created_by": "x", "empty_layer": true}],
    });
    let config = ImageConfig::parse(text.to_string().as_bytes()).unwrap();
    assert_eq!(config.config.entrypoint, Some(vec![]));
    assert_eq!(config.config.on_build, ["RUN x"]);
    let again: Value = serde_json::from_slice(&config.to_bytes().unwrap()).unwrap();
    assert_eq!(again, text);
}

#[test]
fn null_is_an_empty_list() {
    let text = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": null, "Cmd": null, "Volumes": null, "Labels": null, "OnBuild": null, "ExposedPorts": null},
        "rootfs": {"type": "layers", "diff_ids": null}, "history": null,
    });
    let config = ImageConfig::parse(text.to_string().as_bytes()).unwrap();
    assert_eq!(config.config, Config::default());
}

#[test]
fn a_rootfs_of_another_type_is_refused() {
    let text = json!({"rootfs": {"type": "windows", "diff_ids": []}}).to_string();
    assert!(ImageConfig::parse(text.as_bytes()).unwrap_err().to_string().contains("rootfs.type"));
}

fn manifest() -> Value {
    let descriptor = json!({"mediaType": media_type::CONFIG, "digest": digest(), "size": 1});
    json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "config": descriptor, "layers": []})
}

#[test]
fn a_manifest_that_is_also_an_index_is_refused() {
    let mut both = manifest();
    assert!(matches!(Document::parse(media_type::MANIFEST, both.to_string().as_bytes()), Ok(Document::Manifest(_))));
    both["manifests"] = json!([]);
    assert!(Document::parse(media_type::MANIFEST, both.to_string().as_bytes()).is_err());
    both["mediaType"] = json!(media_type::INDEX);
    assert!(Document::parse(media_type::INDEX, both.to_string().as_bytes()).is_err());
}

#[test]
fn a_manifest_under_another_media_type_is_refused() {
    let text = manifest().to_string();
    for declared in [media_type::INDEX, media_type::DOCKER_MANIFEST, "application/json"] {
        assert!(Document::parse(declared, text.as_bytes()).is_err(), "{declared}");
    }
}

#[test]
fn negative_sizes_and_wrong_digests_are_refused() {
    for (key, value) in [("size", json!(-1)), ("size", json!(1.5)), ("digest", json!("sha256:../../x"))] {
        let mut text = manifest();
        text["config"][key] = value;
        assert!(Document::parse(media_type::MANIFEST, text.to_string().as_bytes()).is_err(), "{key}");
    }
}

#[test]
fn a_variable_keeps_its_place() {
    let mut config = Config { env: vec!["A=1".into(), "AB=2".into()], ..Config::default() };
    config.set_env("A", "3");
    config.set_env("C", "4");
    assert_eq!(config.env, ["A=3", "AB=2", "C=4"]);
    assert_eq!((config.env("AB"), config.env("B")), (Some("2"), None));
}
