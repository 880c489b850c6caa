use crate::image::kit::*;
use std::fs;

#[test]
fn a_bundle_runs_with_what_the_image_says() {
    if !is_root() || !has("runc") {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    let script = "id -u; id -g; id -G; pwd; echo $HOME $A; echo new > /etc/passwd; cat /etc/passwd; ls /sys/class/net";
    let bundle = Bundle::of(&kitchen, &["bb", "--env=A=1", "sh", "-c", script]);
    bundle.run().ok().stdout_is("0\n0\n0\n/\n/root 1\nnew\nlo\n");
    assert!(fs::read_to_string(kitchen.path("rootfs-bb/etc/passwd")).unwrap().starts_with("root:"));
}

#[test]
fn what_is_written_stays_in_its_bundle() {
    if !is_root() || !has("runc") {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    for _ in 0..2 {
        let bundle = Bundle::of(&kitchen, &["bb", "sh", "-c", "ls /tmp; touch /tmp/made; ls /tmp"]);
        bundle.run().ok().stdout_is("made\n");
    }
}

/// The image of busybox with another configuration.
fn configured(kitchen: &Kitchen, config: Value) {
    kitchen.busybox("bb");
    let layout = Layout::new(&kitchen.store());
    let layer = kitchen.forno(["inspect", "-f", "{{index .RootFS.Layers 0}}", "bb"]).ok().stdout;
    let layer = fs::read(kitchen.store().join("blobs/sha256").join(&layer.trim()[7..])).unwrap();
    layout.image("configured", config, &[layer]);
}

#[test]
fn the_user_is_looked_up_in_the_image() {
    if !is_root() || !has("runc") {
        return;
    }
    let kitchen = Kitchen::new();
    configured(
        &kitchen,
        json!({"User": "web", "WorkingDir": "/new/place", "Entrypoint": ["sh", "-c"], "Cmd": ["false"]}),
    );
    let bundle = Bundle::of(&kitchen, &["configured", "id -u; id -G; pwd; echo $HOME; grep CapEff /proc/self/status"]);
    bundle.run().ok().stdout_is("33\n34 4\n/new/place\n/srv\nCapEff:\t0000000000000000\n");
}

#[test]
fn volumes_begin_with_the_images_files_and_are_outside_of_its_layers() {
    if !is_root() || !has("runc") {
        return;
    }
    let kitchen = Kitchen::new();
    configured(
        &kitchen,
        json!({"Volumes": {"/srv/data": {}, "/none": {}}, "Cmd": ["sh", "-c", "cat /srv/data/file; echo new > /srv/data/new; ls /none"]}),
    );
    let bundle = Bundle::of(&kitchen, &["configured"]);
    bundle.run().ok().stdout_is("from the image\n");
    let volumes: Vec<_> =
        fs::read_dir(bundle.path.join("volumes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(volumes.len(), 2);
    assert!(volumes.iter().any(|volume| volume.join("new").is_file()));
    assert!(!bundle.path.join("rootfs/srv/data/new").exists());
}

#[test]
fn a_copy_needs_no_mount() {
    if !is_root() || !has("runc") {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    let bundle =
        Bundle::of(&kitchen, &["bb", "--copy", "sh", "-c", "cat /srv/data/file; stat -c %a /tmp /bin/busybox"]);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(bundle.path.to_str().unwrap()));
    kitchen.forno(["rmi", "bb"]).ok();
    bundle.run().ok().stdout_has("from the image\n");
}

#[test]
fn the_layers_of_a_bundle_outlive_the_image() {
    if !is_root() || !has("runc") {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    let bundle = Bundle::of(&kitchen, &["bb", "cat", "/srv/data/file"]);
    kitchen.forno(["rmi", "bb"]).ok();
    bundle.run().ok().stdout_is("from the image\n");
    drop(bundle);
    kitchen.forno(["rmi", "-f", "bb"]).ok();
    let left: Vec<String> =
        kitchen.files().into_iter().filter(|file| file.contains('/') && file != "blobs/sha256").collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn what_cannot_be_bundled_leaves_nothing() {
    if !is_root() {
        return;
    }
    let kitchen = Kitchen::new();
    configured(&kitchen, json!({"User": "stranger", "Cmd": ["x"]}));
    fs::create_dir(kitchen.path("full")).unwrap();
    fs::write(kitchen.path("full/file"), "").unwrap();
    for (args, words) in [
        (["bundle", "none", "b"], vec!["No such image: none"]),
        (["bundle", "bb", "b"], vec!["bundle b", "no command"]),
        (["bundle", "configured", "b"], vec!["user \"stranger\"", "/etc/passwd"]),
        (["bundle", "bb", "full"], vec!["create full", "something in it"]),
        (["bundle", "bb", "no/where"], vec!["create no/where", "no such file"]),
        (["unbundle", "full", "full"], vec!["unbundle full", "forno.json"]),
    ] {
        kitchen.forno(args).code_is(1).fails(&words);
        assert!(!kitchen.path("b").exists());
        assert_eq!(fs::read_dir(kitchen.store().join("snapshots")).unwrap().count(), 0, "{args:?}");
    }
    assert!(kitchen.path("full/file").exists());
}

#[test]
fn unbundle_does_not_touch_what_somebody_mounted_in_it() {
    if !is_root() {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    kitchen.forno(["bundle", "bb", "b", "true"]).ok();
    fs::create_dir_all(kitchen.path("precious")).unwrap();
    fs::write(kitchen.path("precious/file"), "x").unwrap();
    let target = kitchen.path("b/mounted");
    fs::create_dir(&target).unwrap();
    let (precious, target) = (kitchen.path("precious"), target.to_str().unwrap());
    run("mount", ["--bind", precious.to_str().unwrap(), target]).ok();
    kitchen.forno(["unbundle", "b"]).code_is(1).fails(&["unbundle b", "mounted"]);
    assert!(kitchen.path("precious/file").exists());
    run("umount", [target]).ok();
    kitchen.forno(["unbundle", "b"]).ok();
}
