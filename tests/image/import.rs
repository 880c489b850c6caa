use crate::image::kit::*;
use std::fs;

fn only_layer(kitchen: &Kitchen) -> Value {
    let object = kitchen.forno(["inspect", "x"]).ok().json();
    let manifest =
        fs::read(kitchen.store().join("blobs/sha256").join(&object[0]["Manifest"]["digest"].as_str().unwrap()[7..]));
    let manifest: Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
    manifest["layers"][0].clone()
}

#[test]
fn an_archive_of_any_compression_has_the_same_diff_id() {
    let plain = tar(&[("etc/os-release", b"ID=x\n"), ("file", b"data")]);
    for (bytes, kind) in [(plain.clone(), "tar"), (gzip(&plain), "tar+gzip"), (zstd(&plain), "tar+zstd")] {
        let kitchen = Kitchen::new();
        fs::write(kitchen.path("root.tar"), &bytes).unwrap();
        let id = kitchen.forno(["import", "root.tar", "x"]).ok().stdout;
        let object = kitchen.forno(["inspect", "x"]).ok().json();
        assert_eq!(object[0]["RootFS"]["Layers"], json!([sha256(&plain)]));
        assert_eq!(object[0]["Id"], id.trim());
        let layer = only_layer(&kitchen);
        assert_eq!(layer["mediaType"], format!("application/vnd.oci.image.layer.v1.{kind}"));
        assert_eq!(layer["digest"], sha256(&bytes));
        assert_eq!(fs::read(kitchen.store().join("blobs/sha256").join(&sha256(&bytes)[7..])).unwrap(), bytes);
    }
}

#[test]
fn standard_input_is_an_archive_too() {
    let kitchen = Kitchen::new();
    let plain = tar(&[("file", b"data")]);
    kitchen.forno_stdin(["import", "-", "x"], &gzip(&plain)).ok();
    kitchen
        .forno(["inspect", "-f", "{{index .RootFS.Layers 0}}", "x"])
        .ok()
        .stdout_is(&format!("{}\n", sha256(&plain)));
    // Docker's habit: without a name there is only the id.
    let id = kitchen.forno_stdin(["import", "-"], &tar(&[("other", b"")])).ok().stdout;
    kitchen.forno(["images", "-q", "--no-trunc"]).ok().stdout_has(id.trim());
}

#[test]
fn the_same_directory_and_time_give_the_same_image() {
    let kitchen = Kitchen::new();
    kitchen.rootfs("tree");
    let import =
        || Output::of(kitchen.command().args(["import", "tree", "x"]).env("SOURCE_DATE_EPOCH", "1000000000"), None);
    let first = import().ok().stdout;
    assert_eq!(import().ok().stdout, first);
    kitchen
        .forno(["inspect", "-f", "{{.Created}} {{.Os}} {{.Architecture}}", "x"])
        .ok()
        .stdout_is(&format!("2001-09-09T01:46:40Z linux {}\n", architecture()));
    let wrong = Output::of(kitchen.command().args(["import", "tree", "x"]).env("SOURCE_DATE_EPOCH", "soon"), None);
    wrong.fails(&["SOURCE_DATE_EPOCH", "soon"]);
}

#[test]
fn the_message_is_in_the_history() {
    let kitchen = Kitchen::new();
    fs::write(kitchen.path("t"), tar(&[("f", b"")])).unwrap();
    kitchen.forno(["import", "-m", "from the oven", "t", "x"]).ok();
    kitchen.forno(["history", "--format", "{{.Comment}}|{{.CreatedSince}}", "x"]).ok().stdout_has("from the oven|");
}

#[test]
fn what_cannot_be_imported_leaves_nothing() {
    let kitchen = Kitchen::new();
    kitchen.forno(["images"]).ok();
    let before = kitchen.files();
    let plain = tar(&[("a", &[7; 4096]), ("b", b"x")]);
    let bomb = zstd(&vec![0; 64 << 20]);
    fs::create_dir(kitchen.path("empty")).unwrap();
    for (name, bytes) in
        [("cut", &gzip(&plain)[..40]), ("noise", &[0xa5; 3000][..]), ("plain", &plain), ("bomb", &bomb)]
    {
        fs::write(kitchen.path(name), bytes).unwrap();
    }
    for (args, words) in [
        (vec!["import", "missing", "x"], vec!["import missing", "no such file or directory"]),
        (vec!["import", "cut", "x"], vec!["import cut", "inflate"]),
        (vec!["import", "noise", "x"], vec!["import noise"]),
        (vec!["import", "empty", "x"], vec!["import empty", "nothing in it"]),
        (vec!["import", "plain", &"x@sha256:0".replace('0', &"0".repeat(64))], vec!["cannot have a digest"]),
        (vec!["import", "--max-layer-bytes", "4000", "plain", "x"], vec!["larger than 4000 bytes"]),
        (vec!["import", "--max-layer-entries", "1", "plain", "x"], vec!["1"]),
        (vec!["import", "--max-layer-bytes", "1000000", "bomb", "x"], vec!["larger than 1000000 bytes"]),
    ] {
        kitchen.forno(&args).code_is(1).fails(&words);
        assert_eq!(kitchen.files(), before, "{args:?}");
    }
}
