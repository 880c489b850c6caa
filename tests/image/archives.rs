//! Images as archives and directories, for us and for others; room, and who takes it.

use crate::image::kit::*;
use std::ffi::OsStr;
use std::fs;

fn id(kitchen: &Kitchen, image: &str) -> String {
    kitchen.forno(["inspect", "-f", "{{.Id}}", image]).ok().stdout.trim().to_owned()
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

#[test]
fn every_form_comes_back_as_it_went() {
    let kitchen = Kitchen::new();
    let image = kitchen.busybox("team/app:1");
    kitchen.forno(["tag", "team/app:1", "team/app:2"]).ok();
    let digest = kitchen.forno(["inspect", "-f", "{{.Manifest.digest}}", "team/app:1"]).ok().stdout;
    for (format, compress) in
        [("docker-archive", "none"), ("docker", "gzip"), ("oci-archive", "zstd"), ("oci", "none"), ("oci-dir", "none")]
    {
        let file = text(&kitchen.path(&format!("saved-{format}-{compress}")));
        let args = ["save", "--format", format, "--compress", compress, "-o", &file, "team/app:1", "team/app:2"];
        kitchen.forno(args).ok().stdout_is("");
        kitchen.forno(["rmi", "team/app:1", "team/app:2"]).ok();
        assert!(!kitchen.files().iter().any(|file| file.starts_with("blobs/sha256/")));
        let loaded = "Loaded image: team/app:1\nLoaded image: team/app:2\n";
        kitchen.forno(["load", "-i", &file]).ok().stdout_is(loaded);
        assert_eq!(id(&kitchen, "team/app:2"), image, "{format}");
        kitchen.forno(["inspect", "-f", "{{.Manifest.digest}}", "team/app:1"]).ok().stdout_is(&digest);
    }
    let first = kitchen.forno(["save", "team/app:1", "-o", &text(&kitchen.path("one"))]).ok();
    assert_eq!(first.stderr, "");
    kitchen.forno(["save", "team/app:1", "-o", &text(&kitchen.path("two"))]).ok();
    assert!(fs::read(kitchen.path("one")).unwrap() == fs::read(kitchen.path("two")).unwrap());
    let input = fs::read(kitchen.path("one")).unwrap();
    kitchen.forno_stdin(["load"], &input).ok().stdout_is("Loaded image: team/app:1\n");
}

#[test]
fn others_read_what_we_save_and_we_what_they_do() {
    if !has("skopeo") {
        return;
    }
    let kitchen = Kitchen::new();
    let image = kitchen.busybox("app:1");
    let saved = text(&kitchen.path("app.tar"));
    kitchen.forno(["save", "-o", &saved, "app:1"]).ok();
    let skopeo = |args: &[&str]| run("skopeo", [&["--insecure-policy", "copy", "-q"], args].concat()).ok();
    // As what docker loads, and as a layout.
    let layout = text(&kitchen.path("layout"));
    skopeo(&[&format!("docker-archive:{saved}"), &format!("oci:{layout}:a")]);
    skopeo(&[&format!("oci-archive:{saved}:app:1"), &format!("oci:{layout}:b")]);
    let listed = run("skopeo", ["inspect", "--config", &format!("oci:{layout}:a")]).ok().json();
    assert_eq!(listed["config"], json!({}));
    // What skopeo writes, as docker did and as OCI.
    let old = text(&kitchen.path("old.tar"));
    skopeo(&[&format!("oci:{}:app:1", text(&kitchen.store())), &format!("docker-archive:{old}:old/app:1")]);
    kitchen.forno(["load", "-i", &old]).ok().stdout_is("Loaded image: old/app:1\n");
    kitchen.forno(["bundle", "--copy", "old/app:1", "bundle", "/bin/true"]).ok();
    assert_eq!(fs::read_to_string(kitchen.path("bundle/rootfs/srv/data/file")).unwrap(), "from the image\n");
    kitchen.forno(["rmi", "app:1"]).ok();
    kitchen.forno(["load", "-i", &layout]).ok();
    assert_eq!(id(&kitchen, "b"), image);
}

#[test]
fn an_archive_of_docker_s_old_kind_is_loaded() {
    let kitchen = Kitchen::new();
    let layer = tar(&[("file", b"data")]);
    let config = json!({"architecture": architecture(), "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}})
    .to_string();
    let manifest =
        |layer: &str| json!([{"Config": "config.json", "RepoTags": ["old:1"], "Layers": [layer]}]).to_string();
    let archive = |manifest: &str| {
        tar(&[("config.json", config.as_bytes()), ("aa/layer.tar", &layer), ("manifest.json", manifest.as_bytes())])
    };
    kitchen.forno_stdin(["load"], &archive(&manifest("aa/layer.tar"))).ok().stdout_is("Loaded image: old:1\n");
    kitchen.forno(["rmi", "old:1"]).ok();
    kitchen.forno_stdin(["load"], &archive(&manifest("../../../etc/passwd"))).fails(&["is not in the archive"]);
    kitchen.forno_stdin(["load"], &archive(&manifest("config.json"))).fails(&["the configuration says sha256:"]);
    kitchen.forno_stdin(["load"], &tar(&[("x", b"y")])).fails(&["it is no image", "forno import"]);
    kitchen.forno_stdin(["load"], b"").fails(&["load"]);
    assert!(!kitchen.files().iter().any(|file| file.starts_with("blobs/sha256/")), "{:?}", kitchen.files());
}

#[test]
fn lxd_gets_metadata_and_a_root_file_system() {
    if !is_root() {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("app:1");
    let file = text(&kitchen.path("lxd.tar.gz"));
    kitchen.forno(["save", "--format", "lxd", "--compress", "gzip", "-o", &file, "app:1"]).ok();
    let list = run("tar", ["tzf", &file]).ok().stdout;
    assert!(list.starts_with("metadata.yaml\nrootfs/\nrootfs/bin/\n"), "{list}");
    assert!(list.contains("\nrootfs/srv/data/file\n"), "{list}");
    let metadata = run("tar", ["xzfO", &file, "metadata.yaml"]).ok();
    assert!(
        metadata.stdout.starts_with("architecture: \"") && metadata.stdout.contains("\ncreation_date: "),
        "{metadata:?}"
    );
}

#[test]
fn a_container_s_files_are_exported_as_it_sees_them() {
    if !is_root() {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("app:1");
    let container = kitchen.forno(["create", "app:1", "/bin/true"]).ok().stdout.trim().to_owned();
    let file = text(&kitchen.path("root.tar"));
    kitchen.forno(["export", "-o", &file, &container]).ok();
    let list = run("tar", ["tf", &file]).ok().stdout;
    assert!(list.contains("bin/busybox\n") && list.contains("srv/data/file\n"), "{list}");
    let imported = kitchen.forno(["import", &file, "again:1"]).ok();
    assert!(imported.stdout.starts_with("sha256:"));
    kitchen.forno(["rmi", "app:1"]).fails(&["conflict", "must be forced", "(stopped)"]);
    kitchen.forno(["rm", &container]).ok();
    kitchen.forno(["rmi", "app:1"]).ok();
}

#[test]
fn room_is_counted_and_freed() {
    let kitchen = Kitchen::new();
    kitchen.busybox("app:1");
    kitchen.busybox("app2:1");
    let bytes = |kitchen: &Kitchen| -> u64 {
        let of = |path: &str| run("du", [OsStr::new("-sb"), kitchen.store().join(path).as_os_str()]).ok().stdout;
        ["blobs", "layers", "downloads", "tmp"]
            .iter()
            .map(|path| of(path).split('\t').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    let df = kitchen.forno(["df", "--format", "{{.Type}}: {{.TotalCount}} {{.Active}}"]).ok();
    df.stdout_is("Images: 2 0\nContainers: 0 0\nLocal Volumes: 0 0\nBuild Cache: 0 0\n");
    kitchen
        .forno(["system", "df"])
        .ok()
        .stdout_has("TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\nImages ");
    // What a pull that died has left.
    fs::write(kitchen.store().join("downloads").join("a".repeat(64)), vec![0; 100_000]).unwrap();
    kitchen.forno(["df"]).ok().stdout_has("Unfinished").stdout_has("100kB");
    kitchen.forno(["image", "prune", "-f"]).ok().stdout_is("Total reclaimed space: 100kB\n");
    let full = bytes(&kitchen);
    kitchen.forno(["import", "rootfs-app-1", "app2:1"]).ok();
    kitchen.forno(["image", "prune", "-f"]).ok().stdout_has("Deleted Images:\ndeleted: sha256:");
    assert!(bytes(&kitchen) <= full);
    kitchen.forno(["prune", "-af"]).ok().stdout_has("untagged: app:1\n").stdout_has("Total reclaimed space: ");
    kitchen.forno(["images", "-q"]).ok().stdout_is("");
    let left: Vec<String> = kitchen.files().into_iter().filter(|file| file.matches('/').count() > 1).collect();
    assert!(left.is_empty(), "{left:?}");
}
