//! What forno writes is read by others.

use crate::image::kit::*;
use std::fs;

#[test]
fn skopeo_reads_the_store() {
    if !has("skopeo") {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb:1");
    let name = format!("oci:{}:bb:1", kitchen.store().display());
    let object = run("skopeo", ["inspect", &name]).ok().json();
    assert_eq!(object["Architecture"], architecture());
    let copy = format!("oci:{}:bb", kitchen.path("copy").display());
    run("skopeo", ["--insecure-policy", "copy", "-q", &name, &copy]).ok();
    // And the other way: what skopeo writes is a store.
    let ours = kitchen.forno(["inspect", "-f", "{{.Id}}", "bb:1"]).ok().stdout;
    let copied = Output::of(
        std::process::Command::new(program()).args([
            "--root",
            kitchen.path("copy").to_str().unwrap(),
            "inspect",
            "-f",
            "{{.Id}}",
            "bb",
        ]),
        None,
    );
    copied.ok().stdout_is(&ours);
}

#[test]
fn umoci_unpacks_what_was_imported() {
    if !is_root() || !has("umoci") {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    kitchen.forno(["tag", "bb", "bb:umoci"]).ok();
    // umoci's names have no colon in them.
    let store = kitchen.store();
    let index = fs::read_to_string(store.join("index.json")).unwrap().replace("bb:umoci", "umoci");
    fs::write(store.join("index.json"), index).unwrap();
    let unpacked = kitchen.path("unpacked");
    run("umoci", ["unpack", "--image", &format!("{}:umoci", store.display()), unpacked.to_str().unwrap()]).ok();
    let same =
        run("diff", ["-r", kitchen.path("rootfs-bb").to_str().unwrap(), unpacked.join("rootfs").to_str().unwrap()]);
    same.ok().stdout_is("");
}
