//! What a hostile registry says changes nothing outside of the store, stays out of it, and brings no secrets out.

use super::docker::base64;
use super::honest::{CONFIG, Content, INDEX, LAYER, MANIFEST};
use super::kit::*;
use super::server::{Answer, Body, Server};
use super::words::LastWords;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};

/// Whether a store has nothing in it that a pull would have brought.
#[track_caller]
fn assert_empty(kitchen: &Kitchen) {
    let files = kitchen.files();
    let left: Vec<_> = files
        .iter()
        .filter(|f| ["blobs/sha256/", "layers/", "tmp/", "leases/"].iter().any(|p| f.starts_with(p)))
        .collect();
    // A manifest, its configuration and a layer that were all right may wait for the next sweep; nothing leads to them.
    assert!(left.iter().all(|file| file.starts_with("blobs/")), "{left:?}");
    kitchen.forno(["images", "-q"]).ok().stdout_is("");
    for file in left {
        let digest = sha256(&fs::read(kitchen.store().join(file)).unwrap());
        assert_eq!(file.rsplit('/').next(), digest.strip_prefix("sha256:"));
    }
}

#[test]
fn bytes_that_are_not_what_the_digest_says_stay_out() {
    let lie = |find: &'static str, change: fn(Vec<u8>) -> Body| {
        let kitchen = Kitchen::new();
        let content = Content::simple(&[("file", b"data")]);
        let honest = content.clone();
        let server = content.serve(move |request| {
            let layer = request.target.contains("/blobs/");
            let manifest = request.target.contains("/manifests/");
            let wanted = (find == "blobs" && layer) || (find == "manifests" && manifest && request.method == "GET");
            let answer = honest.answer(request);
            let Body::Bytes(bytes) = answer.body else { return None };
            wanted.then(|| Answer { body: change(bytes), ..answer })
        });
        let digest = honest_digest(&server, &kitchen);
        let name = if find == "manifests" {
            format!("{}/a/b@{digest}", server.host())
        } else {
            format!("{}/a/b:1", server.host())
        };
        let output = kitchen.forno(["pull", "--retry", "0", &name]);
        assert_empty(&kitchen);
        output
    };
    let flipped = |mut bytes: Vec<u8>| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        Body::Bytes(bytes)
    };
    lie("blobs", flipped).gives_up(&["pull "]);
    lie("manifests", flipped).gives_up(&["digest is sha256:"]);
    lie("blobs", |bytes| Body::Short(bytes[..bytes.len() / 2].to_vec(), bytes.len())).gives_up(&["pull "]);
    lie("blobs", |bytes| Body::Bytes(bytes[..bytes.len() - 1].to_vec())).gives_up(&["pull "]);
    lie("blobs", |bytes| Body::Bytes([bytes, vec![0]].concat())).gives_up(&["pull "]);
    lie("blobs", |_| Body::Endless).gives_up(&["pull "]);
    lie("manifests", |_| Body::Endless).gives_up(&["more than 4194304 bytes"]);
}

fn honest_digest(server: &Server, _: &Kitchen) -> String {
    let content = Content::simple(&[("file", b"data")]);
    let _ = server;
    content.manifests.keys().find(|key| key.starts_with("sha256:")).unwrap().clone()
}

#[test]
fn documents_that_can_be_read_in_two_ways_are_refused() {
    let (config, layer) = (
        json!({"mediaType": CONFIG, "digest": sha256(b"c"), "size": 1}),
        json!({"mediaType": LAYER, "digest": sha256(b"l"), "size": 1}),
    );
    let both = json!({"schemaVersion": 2, "config": config, "layers": [layer], "manifests": []});
    let descriptor = |digest: &str| json!({"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": digest, "size": 1}, "layers": []});
    let huge = json!({"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": sha256(b"c"), "size": u64::MAX}, "layers": []});
    let inside = json!({"schemaVersion": 2, "mediaType": INDEX, "config": config, "layers": []});
    for (kind, document) in [
        (MANIFEST, both.clone()),
        (INDEX, both),
        (MANIFEST, inside),
        (INDEX, json!({"schemaVersion": 2, "config": config, "layers": []})),
        (MANIFEST, descriptor("sha256:../../../etc/x")),
        (MANIFEST, descriptor("md5:d41d8cd98f00b204e9800998ecf8427e")),
        (MANIFEST, descriptor("")),
        (MANIFEST, huge),
        (
            MANIFEST,
            json!({"schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": sha256(b"c"), "size": -1}, "layers": []}),
        ),
        (MANIFEST, json!({"schemaVersion": 1})),
        (MANIFEST, json!([])),
        (MANIFEST, json!("x")),
        ("text/html", json!({})),
    ] {
        let kitchen = Kitchen::new();
        let mut content = Content::default();
        content.manifest("1", kind, &document);
        let server = content.serve(|_| None);
        kitchen.forno(["pull", &format!("{}/a/b:1", server.host())]).gives_up(&["pull "]);
        assert_empty(&kitchen);
    }
}

#[test]
fn a_configuration_that_does_not_fit_the_layers_is_refused() {
    let archive = tar(&[("file", b"x")]);
    let other = sha256(b"other");
    for diff_ids in [vec![], vec![other.clone()], vec![sha256(&archive), sha256(&archive)]] {
        let kitchen = Kitchen::new();
        let mut content = Content::default();
        let config =
            json!({"architecture": architecture(), "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = content.blob(CONFIG, config.to_string().as_bytes());
        let layer = content.blob(LAYER, &gzip(&archive));
        content.manifest("1", MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": [layer]}));
        let server = content.serve(|_| None);
        kitchen.forno(["pull", &format!("{}/a/b:1", server.host())]).gives_up(&["pull "]);
        assert_empty(&kitchen);
    }
}

fn entry(kind: u8, path: &str, link: &str) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_mode(0o4777);
    header.set_size(0);
    header.set_mtime(1);
    let bytes = header.as_mut_bytes();
    bytes[..path.len()].copy_from_slice(path.as_bytes());
    bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn no_layer_reaches_outside() {
    let kitchen = Kitchen::new();
    fs::create_dir(kitchen.path("sentinel")).unwrap();
    fs::write(kitchen.path("sentinel/file"), "untouched").unwrap();
    let state = || {
        let of = |name: &str| {
            let stat = fs::symlink_metadata(kitchen.path(name)).unwrap();
            (stat.mode(), stat.uid(), stat.gid(), stat.nlink(), stat.mtime(), stat.mtime_nsec(), stat.size())
        };
        (of("sentinel"), of("sentinel/file"), fs::read_dir(kitchen.path("sentinel")).unwrap().count())
    };
    let before = state();
    let absolute = kitchen.path("sentinel").display().to_string();
    let up = format!("{}{absolute}", "../".repeat(12)).replace("//", "/");
    let lower = [entry(b'2', "link", &absolute), entry(b'2', "up", "../../../../.."), entry(b'5', "dir", "")].concat();
    for upper in [
        entry(b'0', "link/file", ""),
        entry(b'0', &format!("{up}/file"), ""),
        entry(b'0', "link/.wh.file", ""),
        entry(b'0', "link/.wh..wh..opq", ""),
        entry(b'0', "dir/.wh...", ""),
        entry(b'0', ".wh...", ""),
        entry(b'1', "hard", &format!("{absolute}/file")),
        entry(b'1', "hard", "link/file"),
        [entry(b'1', "hard", "link/file"), entry(b'0', "hard", "")].concat(),
        entry(b'5', "link", ""),
        entry(b'5', "link/", ""),
        entry(b'2', ".", &absolute),
        entry(b'2', "/.", &absolute),
        entry(b'2', "dir/..", &absolute),
        entry(b'0', &format!("up{absolute}/file"), ""),
    ] {
        let mut content = Content::default();
        let end = vec![0; 1024];
        content.image("1", architecture(), &[[lower.clone(), end.clone()].concat(), [upper, end].concat()]);
        let server = content.serve(|_| None);
        // Some are refused, others stay inside; either is right.
        kitchen.forno(["pull", &format!("{}/a/b:1", server.host())]);
        assert_eq!(state(), before);
    }
}

/// Credentials for a host in a file that `forno` is shown.
fn authfile(kitchen: &Kitchen, host: &str) -> String {
    let file = kitchen.path("auth.json");
    let auth = base64(b"ana:hunter2", false);
    fs::write(&file, json!({"auths": {host: {"auth": auth}}}).to_string()).unwrap();
    file.display().to_string()
}

fn wants_basic(authorization: Option<&str>) -> Option<Answer> {
    authorization.is_none().then(|| Answer::new(401).header("WWW-Authenticate", "Basic realm=\"x\""))
}

#[test]
fn a_redirect_to_another_host_sees_no_credentials() {
    for foreign in ["127.0.0.1", "127.0.0.2"] {
        let kitchen = Kitchen::new();
        let content = Content::simple(&[("file", b"data")]);
        let blobs = content.clone();
        let storage = Server::on(foreign, move |request| blobs.answer(request));
        let target = storage.host();
        let server = content.serve(move |request| {
            wants_basic(request.header("authorization")).or_else(|| {
                let location = format!("http://{target}{}", request.target);
                request.target.contains("/blobs/").then(|| Answer::new(307).header("Location", location))
            })
        });
        let file = authfile(&kitchen, &server.host());
        kitchen.forno(["pull", "--authfile", &file, &format!("{}/a/b:1", server.host())]).ok();
        assert!(!server.authorizations().is_empty() && !storage.requests().is_empty());
        assert_eq!(storage.authorizations(), Vec::<String>::new());
    }
}

#[test]
fn a_realm_on_another_host_gets_no_credentials() {
    let kitchen = Kitchen::new();
    let thief = Server::on("127.0.0.2", |_| Answer::new(200).bytes(r#"{"token":"t"}"#));
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", thief.host());
    let content = Content::simple(&[("file", b"data")]);
    let server = content.serve(move |request| match request.header("authorization") {
        Some("Bearer t") => None,
        _ => Some(Answer::new(401).header("WWW-Authenticate", realm.clone())),
    });
    let file = authfile(&kitchen, &server.host());
    let name = format!("{}/a/b:1", server.host());
    kitchen.forno(["pull", "--authfile", &file, &name]).gives_up(&["somebody else's host"]);
    assert!(
        thief.authorizations().is_empty() && thief.requests().iter().all(|request| !request.target.contains("ana"))
    );
    // Without credentials there is nothing to steal.
    kitchen.forno(["pull", &name]).ok();
}

#[test]
fn an_identity_token_stays_with_its_host_too() {
    let kitchen = Kitchen::new();
    let thief = Server::on("127.0.0.3", |_| Answer::new(200).bytes(r#"{"access_token":"t"}"#));
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", thief.host());
    let server = Server::start(move |_| Answer::new(401).header("WWW-Authenticate", realm.clone()));
    let file = kitchen.path("auth.json");
    fs::write(&file, json!({"auths": {server.host(): {"identitytoken": "hunter2"}}}).to_string()).unwrap();
    kitchen
        .forno(["pull", "--authfile", file.to_str().unwrap(), &format!("{}/a/b:1", server.host())])
        .gives_up(&["somebody else's host"]);
    assert!(thief.requests().is_empty());
}

#[test]
fn an_upload_elsewhere_sees_no_credentials() {
    let kitchen = Kitchen::new();
    let storage = Server::on("127.0.0.2", |_| Answer::new(201));
    let location = format!("http://{}/put-it-here", storage.host());
    let server = Server::start(move |request| {
        wants_basic(request.header("authorization")).unwrap_or_else(|| match request.method.as_str() {
            "HEAD" => Answer::new(404),
            "POST" => Answer::new(202).header("Location", location.clone()),
            _ => Answer::new(201),
        })
    });
    let file = authfile(&kitchen, &server.host());
    kitchen.busybox("busybox:1");
    kitchen.forno(["push", "--authfile", &file, "busybox:1", &format!("{}/a/b:1", server.host())]).ok();
    assert!(storage.requests().iter().any(|request| request.method == "PUT"));
    assert_eq!(storage.authorizations(), Vec::<String>::new());
    assert!(!server.authorizations().is_empty());
}

#[test]
fn a_ring_of_redirects_and_strange_locations_end() {
    for location in [
        "/v2/a/b/manifests/1",
        "file:///etc/passwd",
        "gopher://x/",
        "http://",
        "//",
        "\u{1b}[31m",
        "http://u:p@127.0.0.1:1/",
    ] {
        let kitchen = Kitchen::new();
        let location = location.to_owned();
        let server = Server::start(move |_| Answer::new(302).header("Location", location.clone()));
        kitchen.forno(["pull", "--retry", "0", &format!("{}/a/b:1", server.host())]).gives_up(&["pull "]);
        assert!(server.requests().len() < 40);
    }
}

#[test]
fn what_a_registry_says_stays_one_harmless_line() {
    let kitchen = Kitchen::new();
    let said = Arc::new(Mutex::new(String::new()));
    let body =
        json!({"errors": [{"code": "DENIED", "message": "\u{1b}]0;title\u{7}no\nforno: all is well\r"}]}).to_string();
    *said.lock().unwrap() = body.clone();
    let server = Server::start(move |_| Answer::new(403).bytes(body.clone()));
    let output = kitchen.forno(["pull", &format!("{}/a/b:1", server.host())]).gives_up(&["403", "no"]);
    assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains('\u{7}'), "{output:?}");
}
