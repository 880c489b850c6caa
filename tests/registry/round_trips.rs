//! Images there and back between us, skopeo, podman and umoci, by Debian's docker-registry in each of the ways in which
//! it lets people in: contents, metadata and digests are the same.

use super::docker::{Login, Registry};
use super::kit::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of every kind, of several owners, all with times in whole seconds, because not every tool keeps more.
const TREE: &str = r#"set -e; cd "$1"
    mkdir -p bin a/deep/directory 'two words' empty sticky
    echo program >bin/program; chmod 6755 bin/program; ln bin/program bin/hard; ln -s program bin/soft
    ln -s /no/such/place a/dangling; mkfifo -m 620 a/fifo; mknod -m 640 a/null c 1 3
    head -c 100000 /dev/zero >a/zeros; printf x >"a/$(printf 'n%.0s' $(seq 150))"; printf x >'two words/ünï'
    chown 1000:2000 a/zeros; chown -h 33:34 bin/soft; chown 70000:70000 empty; chmod 1777 sticky; chmod 700 a/deep
    setfattr -n user.note -v kept a/zeros
    setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= bin/program || true
    find . -exec touch -h -d @1600000000 {} +"#;

/// Everything about every file below the root but the sizes of directories, which are the file system's.
fn listing(root: &Path) -> String {
    let script = r#"cd "$1"; export LC_ALL=C
        find . -mindepth 1 -type d -printf '%P %y %m %U:%G %Ts\n' | sort
        find . ! -type d -printf '%P %y %m %U:%G %s %Ts %n %l\n' | sort
        find . -type f -exec sha256sum {} + | sort; stat -c '%n %t %T' a/null 2>/dev/null || true
        find . -type f -exec getfattr --absolute-names -h -d -m '^(user|security.capability)' {} + | grep . | sort"#;
    run("sh", ["-c", script, "sh", root.to_str().unwrap()]).ok().stdout
}

fn tree(kitchen: &Kitchen, name: &str) -> PathBuf {
    let root = kitchen.path(name);
    fs::create_dir(&root).unwrap();
    run("sh", ["-c", TREE, "sh", root.to_str().unwrap()]).ok();
    root
}

/// The files of an image of ours.
fn of_image(kitchen: &Kitchen, image: &str) -> String {
    let bundle = kitchen.path("listed");
    kitchen.forno(["bundle", "--copy", image, bundle.to_str().unwrap(), "/bin/program"]).ok();
    let files = listing(&bundle.join("rootfs"));
    fs::remove_dir_all(bundle).unwrap();
    files
}

/// The files of an image in a layout, as umoci unpacks them.
fn by_umoci(kitchen: &Kitchen, layout: &Path, tag: &str) -> String {
    let bundle = kitchen.path("unpacked");
    run("umoci", ["unpack", "--image", &format!("{}:{tag}", layout.display()), bundle.to_str().unwrap()]).ok();
    let files = listing(&bundle.join("rootfs"));
    fs::remove_dir_all(bundle).unwrap();
    files
}

fn inspect(kitchen: &Kitchen, image: &str, what: &str) -> String {
    kitchen.forno(["inspect", "-f", what, image]).ok().stdout.trim().to_owned()
}

fn podman(kitchen: &Kitchen, args: &[&str]) -> Output {
    let policy = kitchen.path("home/.config/containers/policy.json");
    fs::create_dir_all(policy.parent().unwrap()).unwrap();
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let (root, state) = (kitchen.path("podman"), kitchen.path("podman-run"));
    let own = ["--root", root.to_str().unwrap(), "--runroot", state.to_str().unwrap(), "--storage-driver", "vfs"];
    Output::of(Command::new("podman").env("HOME", kitchen.path("home")).args(own).args(args), None)
}

fn all_tools() -> bool {
    is_root() && ["skopeo", "umoci", "podman", "setfattr"].into_iter().all(has)
}

/// What each program has to be told to get in.
struct Door {
    login: Login,
    tls: bool,
    authority: String,
}

impl Door {
    fn flags(&self, prefix: &str) -> Vec<String> {
        let mut flags = Vec::new();
        if self.login != Login::None {
            flags.push(format!("--{prefix}creds=ana:secret"));
        }
        flags.push(match self.tls {
            true => format!("--{prefix}cert-dir={}", self.authority),
            false => format!("--{prefix}tls-verify=false"),
        });
        flags
    }
}

#[track_caller]
fn copy(flags: &[String], from: &str, to: &str) {
    let words = ["--insecure-policy", "copy", "-q"].map(str::to_owned);
    run("skopeo", [&words[..], flags, &[from.to_owned(), to.to_owned()]].concat()).ok();
}

fn through(login: Login, tls: bool) {
    let kitchen = Kitchen::new();
    if !all_tools() {
        return;
    }
    let Some(registry) = Registry::start(&kitchen, login, tls) else { return };
    let door = Door { login, tls, authority: registry.authority().display().to_string() };
    let name = registry.name("team/app:1");
    let root = tree(&kitchen, "tree");
    let expected = listing(&root);
    kitchen.forno(["import", root.to_str().unwrap(), &name]).ok();
    assert_eq!(of_image(&kitchen, &name), expected);
    let forno = |verb: &str, name: &str| {
        let words = [&[verb.to_owned()][..], &door.flags(""), &[name.to_owned()]].concat();
        kitchen.forno(words).ok().stdout
    };
    let pushed = forno("push", &name);
    let digest = pushed.split(' ').nth(2).unwrap().trim().to_owned();

    // To skopeo, and on to umoci.
    let layout = kitchen.path("layout");
    copy(&door.flags("src-"), &format!("docker://{name}"), &format!("oci:{}:app", layout.display()));
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest.as_str());
    assert_eq!(by_umoci(&kitchen, &layout, "app"), expected);

    // From skopeo.
    let other = registry.name("team/from-skopeo:1");
    copy(&door.flags("dest-"), &format!("oci:{}:app", layout.display()), &format!("docker://{other}"));
    forno("pull", &other);
    assert_eq!(inspect(&kitchen, &other, "{{.Manifest.digest}}"), digest);
    assert_eq!(inspect(&kitchen, &other, "{{.Id}}"), inspect(&kitchen, &name, "{{.Id}}"));
    assert_eq!(of_image(&kitchen, &other), expected);

    // To podman, and from it.
    let flags = |verb: &str, names: &[&str]| {
        let flags = door.flags("");
        let words = [verb, "-q"].into_iter().chain(flags.iter().map(String::as_str)).chain(names.iter().copied());
        podman(&kitchen, &words.collect::<Vec<_>>()).ok().stdout
    };
    flags("pull", &[&name]);
    let known = podman(&kitchen, &["inspect", "-f", "{{.Id}} {{.Digest}}", &name]).ok().stdout;
    assert_eq!(known.trim(), format!("{} {digest}", &inspect(&kitchen, &name, "{{.Id}}")["sha256:".len()..]));
    let third = registry.name("team/from-podman:1");
    flags("push", &[&name, &third]);
    forno("pull", &third);
    assert_eq!(of_image(&kitchen, &third), expected);
    assert_eq!(inspect(&kitchen, &third, "{{.Id}}"), inspect(&kitchen, &name, "{{.Id}}"));
}

#[test]
fn by_plain_http() {
    through(Login::None, false);
}

#[test]
fn by_tls_with_an_authority_of_its_own() {
    through(Login::None, true);
}

#[test]
fn by_a_password() {
    through(Login::Basic, true);
}

#[test]
fn by_tokens() {
    through(Login::Token, false);
}

/// Layers of umoci's own, with things removed and replaced, over the registry to us.
#[test]
fn an_image_that_umoci_made() {
    let kitchen = Kitchen::new();
    if !all_tools() {
        return;
    }
    let Some(registry) = Registry::start(&kitchen, Login::None, false) else { return };
    let (layout, bundle) = (kitchen.path("layout"), kitchen.path("bundle"));
    let image = format!("{}:app", layout.display());
    run("umoci", ["init", "--layout", layout.to_str().unwrap()]).ok();
    run("umoci", ["new", "--image", &image]).ok();
    let changes = [
        TREE,
        // A file, a link and a whole directory go; a directory comes back empty of what it had; a file becomes another.
        r#"set -e; cd "$1"; rm a/zeros bin/soft; rm -r 'two words' a/deep; mkdir a/deep; echo new >a/deep/new
            rm -r sticky; echo file >sticky; rm bin/program; mkdir bin/program
            find . -exec touch -h -d @1600000100 {} +"#,
        r#"set -e; cd "$1"; chmod 711 a; echo more >>a/deep/new; mkdir -p 'two words/again'
            find . -exec touch -h -d @1600000200 {} +"#,
    ];
    for change in changes {
        run("umoci", ["unpack", "--image", &image, bundle.to_str().unwrap()]).ok();
        run("sh", ["-c", change, "sh", bundle.join("rootfs").to_str().unwrap()]).ok();
        run("umoci", ["repack", "--image", &image, bundle.to_str().unwrap()]).ok();
        fs::remove_dir_all(&bundle).unwrap();
    }
    run("umoci", ["config", "--image", &image, "--config.user", "1000:2000", "--config.env", "A=b c"]).ok();
    run("umoci", ["config", "--image", &image, "--config.cmd", "/bin/hard", "--config.label", "x=y"]).ok();
    let expected = by_umoci(&kitchen, &layout, "app");
    let name = registry.name("umoci/app:1");
    let flags = ["--dest-tls-verify=false".to_owned()];
    copy(&flags, &format!("oci:{image}"), &format!("docker://{name}"));
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();

    kitchen.forno(["pull", &name]).ok().stdout_has(&digest);
    assert_eq!(inspect(&kitchen, &name, "{{.Manifest.digest}}"), digest);
    let config =
        "{{.Config.User}} {{json .Config.Env}} {{json .Config.Cmd}} {{.Config.Labels.x}} {{len .RootFS.Layers}}";
    let shown = inspect(&kitchen, &name, config);
    assert!(shown.starts_with("1000:2000 ") && shown.contains(r#""A=b c""#), "{shown}");
    assert!(shown.ends_with(r#"["/bin/hard"] y 3"#), "{shown}");
    assert_eq!(of_image(&kitchen, &name), expected);

    // As it came it goes on, and umoci has what it made.
    let other = registry.name("umoci/back:1");
    kitchen.forno(["push", &name, &other]).ok().stdout_has(&digest);
    let back = kitchen.path("back");
    copy(&["--src-tls-verify=false".to_owned()], &format!("docker://{other}"), &format!("oci:{}:app", back.display()));
    let index: Value = serde_json::from_slice(&fs::read(back.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest.as_str());
    assert_eq!(by_umoci(&kitchen, &back, "app"), expected);
}
