//! What grows, never ends, or is no ordinary file: stopped in time, in little memory, and nothing of it stays.

use super::docker::{Login, Registry};
use super::honest::{CONFIG, Content, LAYER, MANIFEST};
use super::kit::*;
use super::server::{Answer, Server};
use super::words::LastWords;
use std::fs;
use std::process::Command;

/// Megabytes more than for a small and honest layer: what is on its way from one thread to the next.
const MORE_MEMORY_MAX: u64 = 40;

/// A pull, and how many megabytes it had at most.
fn pull(kitchen: &Kitchen, options: &[&str], name: &str) -> (Output, u64) {
    let mut command = Command::new("busybox");
    command.args(["time", "-v"]).arg(program()).arg("--root").arg(kitchen.store());
    let mut output = Output::of(command.args(["pull", "--retry", "0"]).args(options).arg(name), None);
    let measured = output.stderr.find("Command exited").or(output.stderr.find("\tCommand being timed"));
    let (said, measured) = output.stderr.split_at(measured.unwrap_or(output.stderr.len()));
    let line = measured.lines().find_map(|line| line.split_once("Maximum resident set size (kbytes): "));
    let kilobytes: u64 = line.expect("busybox time -v").1.trim().parse().unwrap();
    output.stderr = said.to_owned();
    (output, kilobytes / 1024)
}

/// One image with one layer as it is.
fn with_layer(blob: &[u8], plain: &[u8]) -> Content {
    let mut content = Content::default();
    let config = json!({"architecture": architecture(), "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256(plain)]}});
    let config = content.blob(CONFIG, config.to_string().as_bytes());
    let layer = content.blob(LAYER, blob);
    content.manifest("1", MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": [layer]}));
    content
}

/// A frame of zstd with this many bytes of history (2^bits), in one raw block.
fn zstd_with_window(bits: u8, plain: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (bits - 10) << 3];
    frame.extend_from_slice(&(1 | (plain.len() as u32) << 3).to_le_bytes()[..3]);
    frame.extend_from_slice(plain);
    frame
}

/// An entry whose extended header says so many bytes of itself.
fn header_of(kind: u8, size: u64) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_size(size);
    header.set_cksum();
    [header.as_bytes().to_vec(), vec![b'x'; 1 << 20]].concat()
}

#[test]
fn what_grows_is_stopped_in_little_memory() {
    if !has("busybox") {
        return;
    }
    let zeros = tar(&[("zeros", &vec![0; 300 << 20])]);
    let many: Vec<String> = (0..5000).map(|number| format!("d/{number}")).collect();
    let many = tar(&many.iter().map(|name| (name.as_str(), &b""[..])).collect::<Vec<_>>());
    let small = tar(&[("file", b"x")]);
    let trailing = [small.clone(), vec![0; 300 << 20]].concat();
    let honest = Kitchen::new();
    let server = with_layer(&gzip(&small), &small).serve(|_| None);
    let (output, usual) = pull(&honest, &[], &format!("{}/a/b:1", server.host()));
    output.ok();
    for (what, layer, plain, options, words) in [
        ("gzip", gzip(&zeros), &zeros, &["--max-layer-bytes", "100000000"][..], "the limit of 100000000"),
        ("zstd", zstd(&zeros), &zeros, &["--max-layer-bytes", "100000000"], "the limit of 100000000"),
        (
            "zeros behind the end",
            gzip(&trailing),
            &trailing,
            &["--max-layer-bytes", "100000000"],
            "larger than 100000000 bytes",
        ),
        ("entries", gzip(&many), &many, &["--max-layer-entries", "1000"], "more than 1000 entries"),
        ("window", zstd_with_window(31, &small), &small, &[], "inflate"),
        ("long name", gzip(&header_of(b'L', 1 << 40)), &small, &[], "extended header of more than"),
        ("long pax", gzip(&header_of(b'x', 1 << 30)), &small, &[], "extended header of more than"),
        ("long file", gzip(&header_of(b'0', 1 << 62)), &small, &[], "the limit of"),
    ] {
        let kitchen = Kitchen::new();
        let server = with_layer(&layer, plain).serve(|_| None);
        let (output, megabytes) = pull(&kitchen, options, &format!("{}/a/b:1", server.host()));
        output.gives_up(&["pull ", words]);
        assert!(megabytes < usual + MORE_MEMORY_MAX, "{what}: {megabytes} MB, {usual} as usual");
        let left = kitchen.files();
        assert!(!left.iter().any(|file| file.starts_with("layers/") || file.starts_with("tmp/")), "{what}: {left:?}");
        kitchen.forno(["images", "-q"]).ok().stdout_is("");
    }
    // The same window is fine where it is one that can be given.
    let kitchen = Kitchen::new();
    let server = with_layer(&zstd_with_window(27, &small), &small).serve(|_| None);
    kitchen.forno(["pull", &format!("{}/a/b:1", server.host())]).ok();
}

#[test]
fn a_configuration_or_a_manifest_without_end_is_refused_before_it_is_read() {
    let kitchen = Kitchen::new();
    let mut content = Content::default();
    let noise = vec![b' '; 9 << 20];
    let config = content.blob(CONFIG, &noise);
    content.manifest("1", MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": []}));
    let long = "x".repeat(5 << 20);
    content.manifest(
        "2",
        MANIFEST,
        &json!({"schemaVersion": 2, "config": config, "layers": [], "annotations": {"a": long}}),
    );
    let server = content.serve(|_| None);
    kitchen.forno(["pull", "--retry", "0", &format!("{}/a/b:1", server.host())]).gives_up(&["8388608"]);
    kitchen.forno(["pull", "--retry", "0", &format!("{}/a/b:2", server.host())]).gives_up(&["4194304"]);
    assert!(!server.requests().iter().any(|request| request.target.contains("/blobs/")));
}

#[test]
fn places_that_a_layer_says_it_is_at_are_not_visited() {
    let elsewhere = Server::on("127.0.0.2", |_| Answer::new(200).bytes("layer"));
    let archive = tar(&[("file", b"x")]);
    for kind in [LAYER, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"] {
        let kitchen = Kitchen::new();
        let mut content = Content::default();
        let config = json!({"architecture": architecture(), "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256(&archive)]}});
        let config = content.blob(CONFIG, config.to_string().as_bytes());
        let mut layer = content.blob(kind, &gzip(&archive));
        layer["urls"] = json!([format!("http://{}/layer", elsewhere.host())]);
        // What the registry itself does not have.
        content.blobs.remove(layer["digest"].as_str().unwrap());
        content.manifest("1", MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": [layer]}));
        let server = content.serve(|_| None);
        kitchen.forno(["pull", "--retry", "0", &format!("{}/a/b:1", server.host())]).gives_up(&["pull "]);
        assert!(elsewhere.requests().is_empty());
    }
}

/// Credentials that came over TLS do not go on without: Debian's registry names a token server at plain http here.
#[test]
fn credentials_for_tls_are_not_sent_without() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::Token, true) else { return };
    let (name, authority) = (registry.name("private/app:1"), registry.authority().display().to_string());
    kitchen.busybox(&name);
    kitchen.forno(["push", "--creds", "ana:secret", "--cert-dir", &authority, &name]).gives_up(&["http"]);
    assert!(registry.token_requests().is_empty());
}

fn special(kind: u8, path: &str, link: &str, device: (u32, u32)) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(0);
    header.set_path(path).unwrap();
    if !link.is_empty() {
        header.set_link_name(link).unwrap();
    }
    header.set_device_major(device.0).unwrap();
    header.set_device_minor(device.1).unwrap();
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Nobody waits at a pipe for somebody at its other end, or writes into what is no file.
#[test]
fn pipes_and_devices_in_the_way_of_files_are_none() {
    if !is_root() {
        return;
    }
    let kitchen = Kitchen::new();
    let end = vec![0; 1024];
    let lower = [special(b'6', "pipe", "", (0, 0)), special(b'3', "null", "", (1, 3))];
    let file = |path: &str| {
        let archive = tar(&[(path, b"new")]);
        archive[..archive.len() - 1024].to_vec()
    };
    let upper = [
        file("pipe"),
        file("null"),
        special(b'6', "again", "", (0, 0)),
        file("again"),
        special(b'1', "hard", "pipe", (0, 0)),
    ];
    let mut content = Content::default();
    content.image("1", architecture(), &[[lower.concat(), end.clone()].concat(), [upper.concat(), end].concat()]);
    let server = content.serve(|_| None);
    let name = format!("{}/a/b:1", server.host());
    kitchen.forno(["pull", &name]).ok();
    let bundle = kitchen.path("bundle");
    kitchen.forno(["bundle", "--copy", &name, bundle.to_str().unwrap(), "/x"]).ok();
    for file in ["pipe", "null", "again", "hard"] {
        let path = bundle.join("rootfs").join(file);
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{file}");
        assert_eq!(fs::read(path).unwrap(), b"new");
    }
}
