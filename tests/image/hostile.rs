//! What strangers send: nothing outside of the store changes, and nothing half-made is left in it.

use crate::image::kit::*;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Everything about the sentinel directory that a trick could change.
fn sentinel(kitchen: &Kitchen) -> String {
    let mut text = String::new();
    for name in ["sentinel", "sentinel/file"] {
        let stat = fs::symlink_metadata(kitchen.path(name)).unwrap();
        text += &format!(
            "{name} {} {} {} {} {} {}\n",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.mtime(),
            stat.mtime_nsec()
        );
    }
    text + &fs::read_to_string(kitchen.path("sentinel/file")).unwrap()
}

fn entry(kind: u8, path: &str, link: &str) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_mode(0o777);
    header.set_size(0);
    header.set_mtime(1);
    let bytes = header.as_mut_bytes();
    bytes[..path.len()].copy_from_slice(path.as_bytes());
    bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn no_archive_reaches_outside() {
    let kitchen = Kitchen::new();
    fs::create_dir(kitchen.path("sentinel")).unwrap();
    fs::write(kitchen.path("sentinel/file"), "untouched").unwrap();
    kitchen.forno(["images"]).ok();
    let before = sentinel(&kitchen);
    let absolute = kitchen.path("sentinel").display().to_string();
    let up = format!("{}{absolute}", "../".repeat(12)).replace("//", "/");
    let deep = |path: &str| format!("{up}{path}");
    for archive in [
        [entry(b'0', &deep("/file"), "")].concat(),
        [entry(b'0', &format!("{absolute}/file"), "")].concat(),
        [entry(b'2', "link", &absolute), entry(b'0', "link/file", "")].concat(),
        [entry(b'2', "link", &up), entry(b'0', "link/file", "")].concat(),
        [entry(b'2', "link", &absolute), entry(b'5', "link", "")].concat(),
        [entry(b'2', "link", &absolute), entry(b'5', "link/", ""), entry(b'0', "link/new", "")].concat(),
        [entry(b'1', "hard", &format!("{absolute}/file")), entry(b'0', "hard", "")].concat(),
        [entry(b'2', "link", &absolute), entry(b'1', "hard", "link/file")].concat(),
        [entry(b'2', "a", ".."), entry(b'2', "b", "a/.."), entry(b'0', "b/sentinel/file", "")].concat(),
        [entry(b'2', ".", &absolute)].concat(),
        [entry(b'2', "/", &absolute)].concat(),
        [entry(b'2', "a/..", &absolute)].concat(),
        [entry(b'2', "link", &absolute), entry(b'0', "link/.wh.file", "")].concat(),
        [entry(b'2', "link", &absolute), entry(b'0', "link/.wh..wh..opq", "")].concat(),
        [entry(b'0', ".wh...", "")].concat(),
        [entry(b'0', &format!(".wh.{}", "../sentinel"), "")].concat(),
    ] {
        let archive = [archive, vec![0; 1024]].concat();
        // Refused, or laid out inside: both are right.
        let output = kitchen.forno_stdin(["import", "-", "x"], &archive);
        assert!(output.code == 0 || output.code == 1, "{output:#?}");
        assert_eq!(sentinel(&kitchen), before);
        assert_eq!(fs::read_dir(kitchen.path("sentinel")).unwrap().count(), 1);
    }
}

/// A layout in which something is wrong, used as the store.
fn refused(change: impl FnOnce(&Layout), words: &[&str]) {
    let kitchen = Kitchen::new();
    let layout = Layout::new(&kitchen.store());
    change(&layout);
    let output = kitchen.forno(["bundle", "x", "b", "true"]).code_is(1);
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in {output:#?}");
    }
    assert!(!kitchen.path("b").exists());
    let layers = fs::read_dir(kitchen.store().join("layers")).unwrap().count();
    assert_eq!(layers, 0, "a layer that was not verified is visible");
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn config_of(layout: &Layout, diff_ids: &[String]) -> Value {
    let config =
        json!({"architecture": architecture(), "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    layout.blob(CONFIG, config.to_string().as_bytes())
}

fn enter(layout: &Layout, manifest: &Value) {
    layout.enter("x", layout.blob(MANIFEST, manifest.to_string().as_bytes()));
}

#[test]
fn bytes_that_are_not_what_their_digest_says_are_refused() {
    let layer = tar(&[("f", b"data")]);
    refused(
        |layout| {
            layout.image("x", json!({}), std::slice::from_ref(&layer));
            fs::write(layout.path().join("blobs/sha256").join(&sha256(&layer)[7..]), tar(&[("g", b"data")])).unwrap();
        },
        &["digest is"],
    );
    refused(
        |layout| {
            let config = config_of(layout, &[sha256(b"something else")]);
            enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": [layout.blob(LAYER, &layer)]}));
        },
        &["diff id is"],
    );
    refused(
        |layout| {
            let mut descriptor = layout.blob(LAYER, &layer);
            descriptor["size"] = 1.into();
            let config = config_of(layout, &[sha256(&layer)]);
            enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": [descriptor]}));
        },
        &["bytes came, the descriptor says 1"],
    );
    refused(
        |layout| {
            let config = config_of(layout, &[]);
            enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": [layout.blob(LAYER, &layer)]}));
        },
        &["configuration has 0 layers, manifest 1"],
    );
}

#[test]
fn a_document_of_two_kinds_or_with_impossible_digests_is_refused() {
    refused(
        |layout| {
            let config = config_of(layout, &[]);
            enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": []}));
        },
        &["both at once"],
    );
    for digest in ["sha256:../../../etc/passwd", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:"] {
        refused(
            |layout| {
                let config = json!({"mediaType": CONFIG, "digest": digest, "size": 2});
                enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": []}));
            },
            &["digest"],
        );
    }
    refused(
        |layout| {
            let config = json!({"mediaType": CONFIG, "digest": sha256(b""), "size": -1});
            enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": []}));
        },
        &["-1"],
    );
    refused(
        |layout| {
            let config = json!({"mediaType": CONFIG, "digest": sha256(b""), "size": 1u64 << 40});
            enter(layout, &json!({"schemaVersion": 2, "config": config, "layers": []}));
        },
        &["more than the limit"],
    );
}
