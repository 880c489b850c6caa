//! Images go to a registry and come back the same, from us and from others.

use super::docker::{Login, Registry};
use super::honest::{CONFIG, Content, INDEX, MANIFEST, ranged};
use super::kit::*;
use super::server::{Answer, Body};
use super::words::LastWords;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What an image's files are, by a tool of the house: path, mode, owner, size.
fn files(kitchen: &Kitchen, image: &str) -> String {
    let bundle = kitchen.path(&format!("bundle-{}", image.replace([':', '/', '@'], "-")));
    kitchen.forno(["bundle", "--copy", image, bundle.to_str().unwrap(), "/bin/true"]).ok();
    let script = "cd \"$1\" && find . -printf '%p %m %U %G %s %T@ %l\\n' | sort";
    let files = run("sh", ["-c", script, "sh", bundle.join("rootfs").to_str().unwrap()]).ok().stdout;
    std::fs::remove_dir_all(bundle).unwrap();
    files
}

fn id(kitchen: &Kitchen, image: &str) -> String {
    kitchen.forno(["inspect", "-f", "{{.Id}}", image]).ok().stdout.trim().to_owned()
}

fn manifest_digest(kitchen: &Kitchen, image: &str) -> String {
    kitchen.forno(["inspect", "-f", "{{.Manifest.digest}}", image]).ok().stdout.trim().to_owned()
}

#[test]
fn an_image_comes_back_as_it_went() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::None, false) else { return };
    let name = registry.name("team/busybox:1");
    let image = kitchen.busybox(&name);
    let before = files(&kitchen, &name);
    let pushed = kitchen.forno(["push", &name]).ok();
    let digest = pushed.stdout.split(' ').nth(2).unwrap().to_owned();
    assert!(pushed.stdout.starts_with("1: digest: sha256:"), "{pushed:?}");
    // Nothing is sent twice.
    let again = kitchen.forno(["push", &name]).ok();
    assert!(again.stderr.contains("Layer already exists") && !again.stderr.contains("Pushed"), "{again:?}");
    kitchen.forno(["rmi", &name]).ok();
    let pulled = kitchen.forno(["pull", &name]).ok();
    assert!(
        pulled.stdout.contains(&format!("Digest: {digest}\nStatus: Downloaded newer image for {name}\n")),
        "{pulled:?}"
    );
    assert_eq!(id(&kitchen, &name), image);
    assert_eq!(manifest_digest(&kitchen, &name), digest);
    assert_eq!(files(&kitchen, &name), before);
    kitchen.forno(["pull", &name]).ok().stdout_has("Status: Image is up to date");
    kitchen.forno(["pull", "-q", &name]).ok().stdout_is(&format!("{name}\n"));
    // By its digest, under which it then is known, too.
    let by_digest = format!("{}@{digest}", registry.name("team/busybox"));
    kitchen.forno(["pull", &by_digest]).ok();
    assert_eq!(id(&kitchen, &by_digest), image);
    kitchen.forno(["pull", &registry.name("team/busybox:none")]).gives_up(&["manifest", "404"]);
    kitchen.forno(["pull", &registry.name("none/none")]).gives_up(&["404"]);
}

#[test]
fn what_another_repository_has_is_mounted() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::Token, false) else { return };
    let (first, second) = (registry.name("one/app:1"), registry.name("two/app:1"));
    kitchen.busybox(&first);
    kitchen.forno(["push", "--creds", "ana:secret", &first]).ok();
    kitchen.forno(["tag", &first, &second]).ok();
    let pushed = kitchen.forno(["push", "--creds", "ana:secret", &second]).ok();
    assert!(pushed.stderr.contains("Mounted from one/app"), "{pushed:?}");
}

#[test]
fn each_compression_arrives_at_others() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::None, false) else { return };
    if !has("skopeo") || !has("umoci") {
        return;
    }
    for (how, kind) in [("gzip", "tar+gzip"), ("zstd", "tar+zstd"), ("none", "v1.tar\"")] {
        let name = registry.name(&format!("app:{how}"));
        let image = kitchen.busybox(&name);
        kitchen.forno(["push", "--compression", how, &name]).ok();
        let source = format!("docker://{name}");
        let raw = run("skopeo", ["inspect", "--tls-verify=false", "--raw", &source]).ok();
        assert!(raw.stdout.contains(kind) && raw.stdout.contains(&image), "{raw:?}");
        let layout = kitchen.path(&format!("layout-{how}"));
        let target = format!("oci:{}:x", layout.display());
        run("skopeo", ["--insecure-policy", "copy", "--src-tls-verify=false", &source, &target]).ok();
        // The umoci of Debian does not know zstd.
        if how == "zstd" || !is_root() {
            continue;
        }
        let bundle = kitchen.path(&format!("umoci-{how}"));
        run("umoci", ["unpack", "--image", &format!("{}:x", layout.display()), bundle.to_str().unwrap()]).ok();
        let differences = run(
            "diff",
            [
                "-r",
                "--no-dereference",
                bundle.join("rootfs").to_str().unwrap(),
                kitchen.path(&format!("rootfs-{}", name.replace([':', '/'], "-"))).to_str().unwrap(),
            ],
        );
        differences.ok().stdout_is("");
    }
}

#[test]
fn others_images_are_pulled_with_their_digests() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::None, false) else { return };
    if !has("skopeo") {
        return;
    }
    let image = kitchen.busybox("busybox:1");
    let source = format!("oci:{}:busybox:1", kitchen.store().display());
    for (format, compression) in [("v2s2", "gzip"), ("oci", "gzip"), ("oci", "zstd")] {
        let name = registry.name(&format!("skopeo/{format}-{compression}:1"));
        let target = format!("docker://{name}");
        let digest_file = kitchen.path("digest");
        run(
            "skopeo",
            [
                "--insecure-policy",
                "copy",
                "--dest-tls-verify=false",
                "--format",
                format,
                "--dest-compress-format",
                compression,
                "--digestfile",
                digest_file.to_str().unwrap(),
                &source,
                &target,
            ],
        )
        .ok();
        kitchen.forno(["pull", &name]).ok();
        let digest = std::fs::read_to_string(&digest_file).unwrap();
        assert_eq!(manifest_digest(&kitchen, &name), digest, "{format} {compression}");
        assert_eq!(files(&kitchen, &name), files(&kitchen, "busybox:1"), "{format} {compression}");
        if format == "oci" {
            assert_eq!(id(&kitchen, &name), image);
        }
        // It goes back as it came.
        let other = registry.name("back:1");
        kitchen.forno(["push", &name, &other]).ok().stdout_has(&digest);
    }
}

#[test]
fn podman_pulls_and_pushes() {
    let kitchen = Kitchen::new();
    let Some(registry) = Registry::start(&kitchen, Login::None, false) else { return };
    if !has("podman") || !is_root() {
        return;
    }
    let policy = kitchen.path("home/.config/containers/policy.json");
    std::fs::create_dir_all(policy.parent().unwrap()).unwrap();
    std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let podman = |args: &[&str]| {
        let (root, state) = (kitchen.path("podman"), kitchen.path("podman-run"));
        let own = ["--root", root.to_str().unwrap(), "--runroot", state.to_str().unwrap(), "--storage-driver", "vfs"];
        let mut command = std::process::Command::new("podman");
        Output::of(command.env("HOME", kitchen.path("home")).args(own).args(args), None)
    };
    let name = registry.name("app:1");
    let image = kitchen.busybox(&name);
    kitchen.forno(["push", &name]).ok();
    podman(&["pull", "--tls-verify=false", &name]).ok();
    podman(&["inspect", "-f", "{{.Id}}", &name]).ok().stdout_has(&image["sha256:".len()..]);
    let other = registry.name("from-podman:1");
    podman(&["push", "--tls-verify=false", &name, &other]).ok();
    kitchen.forno(["pull", &other]).ok();
    assert_eq!(files(&kitchen, &other), files(&kitchen, &name));
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let kitchen = Kitchen::new();
    let mut content = Content::default();
    let mut entries = Vec::new();
    for (architecture, variant) in [("amd64", ""), ("arm64", "v8"), ("arm", "v7"), ("arm", "v6")] {
        let archive = tar(&[("which", format!("{architecture}{variant}").as_bytes())]);
        let mut entry = content.image(&format!("{architecture}{variant}"), architecture, &[archive]);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        if !variant.is_empty() {
            entry["platform"]["variant"] = json!(variant);
        }
        entries.push(entry);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    let digest = content.manifest("all", INDEX, &index)["digest"].as_str().unwrap().to_owned();
    let server = content.serve(|_| None);
    let name = format!("{}/a/b:all", server.host());
    for (platform, which) in
        [("linux/arm64", "arm64v8"), ("linux/arm", "armv7"), ("linux/arm/v6", "armv6"), ("linux/amd64", "amd64")]
    {
        kitchen.forno(["pull", "--platform", platform, &name]).ok().stdout_has(&format!("Digest: {digest}\n"));
        let bundle = kitchen.path(&format!("bundle-{which}"));
        kitchen.forno(["bundle", "--copy", &name, bundle.to_str().unwrap()]).ok();
        assert_eq!(std::fs::read_to_string(bundle.join("rootfs/which")).unwrap(), which);
    }
    kitchen.forno(["pull", "--platform", "linux/s390x", &name]).gives_up(&["no image for linux/s390x", "linux/arm/v6"]);
    kitchen
        .forno(["pull", "--platform", "linux/arm64", &format!("{}/a/b:amd64", server.host())])
        .gives_up(&["is for linux/amd64, not for linux/arm64"]);
    // The index's digest names the image, too.
    let by_digest = format!("{}/a/b@{digest}", server.host());
    kitchen.forno(["pull", &by_digest]).ok();
    kitchen.forno(["inspect", &by_digest]).ok();
}

/// An image whose layer does not fit into a few packets.
fn large() -> (Content, String, Vec<u8>) {
    let noise: Vec<u8> = (0..2_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let content = Content::simple(&[("noise", &noise)]);
    let (digest, layer) = content.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let (digest, layer) = (digest.clone(), layer.clone());
    (content, digest, layer)
}

#[test]
fn a_body_that_breaks_off_goes_on_where_it_did() {
    let kitchen = Kitchen::new();
    let (content, digest, layer) = large();
    let size = layer.len();
    let server = content.serve(move |request| {
        let honest = ranged(request, &layer);
        let Body::Bytes(bytes) = &honest.body else { return None };
        // A third at a time.
        let part = bytes.len().min(size / 3);
        request.target.ends_with(&digest).then(|| {
            let body = Body::Short(bytes[..part].to_vec(), bytes.len());
            Answer { status: honest.status, headers: honest.headers.clone(), body }
        })
    });
    let name = format!("{}/a/b:1", server.host());
    kitchen.forno(["pull", &name]).ok();
    let ranges: Vec<_> =
        server.requests().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
    assert!(ranges.len() >= 2 && ranges.iter().all(|range| *range != "bytes=0-"), "{ranges:?}");
    kitchen.forno(["inspect", &name]).ok();
}

#[test]
fn a_pull_that_failed_leaves_its_part_to_the_next() {
    let kitchen = Kitchen::new();
    let (content, digest, layer) = large();
    let half = layer.len() / 2;
    let broken = std::sync::Arc::new(AtomicUsize::new(1));
    let switch = std::sync::Arc::clone(&broken);
    let server = content.serve(move |request| {
        let ours = request.target.ends_with(&digest) && switch.load(Ordering::SeqCst) == 1;
        ours.then(|| match request.header("range") {
            None => Answer::new(200).body(Body::Short(layer[..half].to_vec(), layer.len())),
            Some(_) => Answer::new(404),
        })
    });
    let name = format!("{}/a/b:1", server.host());
    kitchen.forno(["pull", "--retry", "1", &name]).gives_up(&["layer sha256:", "404"]);
    kitchen.forno(["inspect", &name]).code_is(1);
    broken.store(0, Ordering::SeqCst);
    let before = server.requests().len();
    kitchen.forno(["pull", &name]).ok();
    let after = server.requests().split_off(before);
    let ranges: Vec<_> = after.iter().filter_map(|request| request.header("range")).collect();
    assert_eq!(ranges, [format!("bytes={half}-")], "{after:?}");
    // A part that was damaged meanwhile is not believed.
    kitchen.forno(["rmi", &name]).ok();
    broken.store(1, Ordering::SeqCst);
    kitchen.forno(["pull", "--retry", "0", &name]).code_is(1);
    let part = std::fs::read_dir(kitchen.store().join("downloads")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    broken.store(0, Ordering::SeqCst);
    kitchen.forno(["pull", &name]).ok();
    kitchen.forno(["inspect", &name]).ok();
}

#[test]
fn a_busy_registry_is_asked_again_when_it_says() {
    let kitchen = Kitchen::new();
    let content = Content::simple(&[("file", b"x")]);
    let count = AtomicUsize::new(0);
    let server = content.serve(move |request| {
        match (request.target.contains("/manifests/"), count.fetch_add(1, Ordering::SeqCst)) {
            (true, 0) => Some(Answer::new(429).header("Retry-After", "1")),
            (true, 1) => Some(Answer::new(503)),
            _ => None,
        }
    });
    let begin = Instant::now();
    kitchen.forno(["pull", &format!("{}/a/b:1", server.host())]).ok();
    assert!(begin.elapsed().as_millis() >= 1000);
    let other = Content::simple(&[("file", b"x")]).serve(|request| {
        request.target.contains("/manifests/").then(|| Answer::new(429).header("Retry-After", "86400"))
    });
    kitchen.forno(["pull", &format!("{}/a/b:1", other.host())]).gives_up(&["429"]);
}

#[test]
fn an_upload_that_breaks_off_goes_on_in_pieces() {
    let kitchen = Kitchen::new();
    let uploads = std::sync::Arc::new(std::sync::Mutex::new(Vec::<u8>::new()));
    let (have, broken) = (std::sync::Arc::clone(&uploads), AtomicUsize::new(0));
    let server = super::server::Server::start(move |request| {
        let digest = || request.target.split("digest=").nth(1).map(super::docker::unescape);
        let mut have = have.lock().unwrap();
        match request.method.as_str() {
            "HEAD" => Answer::new(404),
            "POST" => {
                have.clear();
                Answer::new(202).header("Location", "/v2/a/b/blobs/uploads/1?state=x")
            }
            // The first time only a part arrives.
            "PUT"
                if request.target.contains("/uploads/1?")
                    && request.body.len() > 1000
                    && broken.fetch_add(1, Ordering::SeqCst) == 0 =>
            {
                *have = request.body[..request.body.len() / 2].to_vec();
                Answer::new(500)
            }
            "GET" if request.target.contains("/uploads/1") => {
                Answer::new(204).header("Range", format!("0-{}", have.len() - 1))
            }
            "PATCH" => {
                let start =
                    request.header("content-range").unwrap().split('-').next().unwrap().parse::<usize>().unwrap();
                assert_eq!(start, have.len());
                have.extend_from_slice(&request.body);
                Answer::new(202).header("Location", "/v2/a/b/blobs/uploads/2")
            }
            "PUT" if request.target.contains("/uploads/") => {
                have.extend_from_slice(&request.body);
                let right = digest().is_some_and(|digest| digest == sha256(&have));
                Answer::new(if right { 201 } else { 400 })
            }
            "PUT" => Answer::new(201),
            _ => Answer::new(404),
        }
    });
    kitchen.busybox("busybox:1");
    kitchen.forno(["push", "busybox:1", &format!("{}/a/b:1", server.host())]).ok();
    let methods: Vec<String> = server.requests().iter().map(|request| request.method.clone()).collect();
    assert!(methods.contains(&"PATCH".to_owned()), "{methods:?}");
}

#[test]
fn verbs_that_need_an_image_get_it() {
    if !is_root() {
        return;
    }
    let kitchen = Kitchen::new();
    let content = Content::simple(&[("file", b"x")]);
    let server = content.serve(|_| None);
    let name = format!("{}/a/b:1", server.host());
    kitchen.forno(["create", "--pull", "never", &name]).gives_up(&["No such image"]).code_is(125);
    assert!(server.requests().is_empty());
    let created = kitchen.forno(["create", &name]).ok();
    assert!(created.stderr.contains(&format!("Unable to find image '{name}' locally")), "{created:?}");
    let before = server.requests().len();
    kitchen.forno(["create", &name]).ok();
    assert_eq!(server.requests().len(), before, "an image that is here is not asked for");
    kitchen.forno(["create", "--pull", "always", &name]).ok();
    assert!(server.requests().len() > before);
    let containers = kitchen.forno(["ps", "-aq"]).ok().stdout;
    kitchen.forno([vec!["rm", "-v"], containers.lines().collect()].concat()).ok();
    kitchen.forno(["rmi", &name]).ok();
    std::fs::create_dir(kitchen.path("context")).unwrap();
    std::fs::write(
        kitchen.path("context/Dockerfile"),
        format!("FROM {name}\nCOPY --from={name} /file /copy\nENV a=b\n"),
    )
    .unwrap();
    kitchen.forno(["build", "-q", "-t", "built", "context"]).ok();
    kitchen.forno(["inspect", "-f", "{{.Config.Env}}", "built"]).ok().stdout_has("a=b");
}

#[test]
fn what_is_no_image_is_called_by_its_name() {
    let kitchen = Kitchen::new();
    let mut content = Content::default();
    let config = content.blob("application/vnd.cncf.helm.config.v1+json", b"{}");
    content.manifest(
        "chart",
        MANIFEST,
        &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}),
    );
    let config = content.blob(CONFIG, b"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
    let layer = json!({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": sha256(b"x"), "size": 1, "urls": ["http://127.0.0.2/x"]});
    content.manifest("foreign", MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": [layer]}));
    let old = json!({"schemaVersion": 1, "name": "a/b", "tag": "old", "fsLayers": []});
    content.manifest("old", "application/vnd.docker.distribution.manifest.v1+prettyjws", &old);
    let server = content.serve(|_| None);
    for (tag, words) in [("chart", "helm"), ("foreign", "nondistributable"), ("old", "schema 1")] {
        kitchen.forno(["pull", &format!("{}/a/b:{tag}", server.host())]).gives_up(&[words]);
    }
}
