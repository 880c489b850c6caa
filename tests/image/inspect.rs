use crate::image::kit::*;

#[test]
fn what_the_configuration_says_is_shown_and_kept() {
    let kitchen = Kitchen::new();
    let config = json!({"Cmd": ["x"], "Labels": {"a.b": "c"}, "Unknown": {"kept": [1]}});
    let layout = kitchen.image_with("x:1", config.clone());
    std::fs::rename(layout.path(), kitchen.store()).unwrap();
    let object = kitchen.forno(["inspect", "x:1"]).ok().json();
    assert_eq!(object[0]["Config"], config);
    assert_eq!(object[0]["RepoTags"], json!(["x:1"]));
    kitchen.forno(["inspect", "--format", "{{index .Config.Labels \"a.b\"}}", "x:1"]).ok().stdout_is("c\n");
    kitchen.forno(["inspect", "-f", "{{json .Config.Cmd}}", "x:1", "x:1"]).ok().stdout_is("[\"x\"]\n[\"x\"]\n");
    kitchen.forno(["inspect", "-f", "{{.Conf}}", "x:1"]).fails(&["there is no field .Conf"]);
    kitchen.forno(["inspect", "-f", "{{", "x:1"]).fails(&["--format", "without }}"]);
}

#[test]
fn history_has_a_line_per_step_with_the_newest_first() {
    let kitchen = Kitchen::new();
    let layout = Layout::new(&kitchen.store());
    let layer = tar(&[("file", &[7; 5000])]);
    let config = json!({"architecture": architecture(), "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "ADD root.tar / # and a comment that is too long to be shown"},
            {"created_by": "CMD [\"x\"]", "empty_layer": true}]});
    let config = layout.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar", &layer);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    layout.enter("x", layout.blob(media_type, manifest.to_string().as_bytes()));
    let id = config["digest"].as_str().unwrap();
    let lines = kitchen.forno(["history", "x"]).ok().stdout;
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("IMAGE "), "{lines:#?}");
    assert!(
        lines[1].starts_with(&id[7..19]) && lines[1].contains("CMD [\"x\"]") && lines[1].contains(" 0B"),
        "{lines:#?}"
    );
    assert!(
        lines[2].starts_with("<missing>") && lines[2].contains("years ago") && lines[2].contains("too l…"),
        "{lines:#?}"
    );
    kitchen.forno(["history", "--no-trunc", "x"]).ok().stdout_has("long to be shown").stdout_has(id);
    kitchen.forno(["history", "-q", "x"]).ok().stdout_is(&format!("{}\n<missing>\n", &id[7..19]));
}
