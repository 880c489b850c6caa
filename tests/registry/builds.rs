//! What builds have to do with registries: images go there when they are done, and steps are kept there for others.

use super::docker::{Login, Registry};
use super::kit::*;
use super::words::LastWords;
use std::fs;

const TEXT: &str = "FROM bb AS one\nRUN head -c 8 /dev/urandom > /r\nFROM bb\nCOPY --from=one /r /r\nCOPY a /a\n";

/// With the base image, so that steps can be the same, and the context c.
fn kitchen(rootfs: Option<&str>) -> Kitchen {
    let kitchen = Kitchen::new();
    match rootfs {
        Some(rootfs) => drop(kitchen.forno(["import", rootfs, "bb"]).ok()),
        None => drop(kitchen.busybox("bb")),
    }
    fs::create_dir(kitchen.path("c")).unwrap();
    fs::write(kitchen.path("c/Dockerfile"), TEXT).unwrap();
    fs::write(kitchen.path("c/a"), "A\n").unwrap();
    kitchen
}

fn build(kitchen: &Kitchen, options: &[&str]) -> Output {
    kitchen.forno([&["build", "--progress", "plain", "-t", "cake", "c"], options].concat()).ok()
}

fn diff_ids(kitchen: &Kitchen) -> String {
    kitchen.forno(["inspect", "-f", "{{json .RootFS}}", "cake"]).ok().stdout
}

#[test]
fn steps_are_kept_in_a_registry() {
    if !is_root() {
        return;
    }
    let first = kitchen(None);
    let Some(registry) = Registry::start(&first, Login::None, false) else { return };
    let rootfs = first.path("rootfs-bb").display().to_string();
    for (number, compression) in ["gzip", "zstd", "uncompressed"].into_iter().enumerate() {
        let name = registry.name(&format!("cache:{number}"));
        let to = format!("type=registry,ref={name},mode=max,compression={compression}");
        build(&first, &["--cache-to", &to]);
        let second = kitchen(Some(&rootfs));
        let output = build(&second, &["--cache-from", &name]);
        assert_eq!(output.stderr.matches("CACHED").count(), 3, "{compression}: {output:?}");
        assert_eq!(diff_ids(&second), diff_ids(&first), "{compression}");
        // What came can be laid out, and be kept again.
        second.forno(["run", "--rm", "--network", "none", "cake", "cat", "/a"]).ok().stdout_is("A\n");
        build(&second, &["--cache-to", &format!("type=registry,ref={name}")]);
    }
    // A cache that is not there, or is something else, is no reason to fail.
    let third = kitchen(Some(&rootfs));
    build(&third, &["--cache-from", &registry.name("cache:none")]);
    third.forno(["build", "--push", "-t", &registry.name("cake:1"), "c"]).ok();
    let output = build(&third, &["--no-cache", "--cache-from", &registry.name("cake:1")]);
    assert!(!output.stderr.contains("--cache-from"), "nothing is asked for in vain: {output:?}");
    let fourth = kitchen(Some(&rootfs));
    let output = build(&fourth, &["--cache-from", &format!("type=registry,ref={}", registry.name("cake:1"))]);
    assert_eq!(output.stderr.matches("WARNING --cache-from: ").count(), 1, "{output:?}");
    for (option, words) in [("type=registry", "ref"), ("type=local,ref=x", "dest"), ("type=gha,ref=x", "type=registry")]
    {
        third.forno(["build", "c", "--cache-to", option]).fails(&["--cache-to", words]);
    }
    third.forno(["build", "c", "--cache-to", "localhost:1/nobody/there"]).gives_up(&["--cache-to", "localhost:1"]);
}

#[test]
fn an_image_goes_to_its_registry_when_it_is_done() {
    if !is_root() {
        return;
    }
    let kitchen = kitchen(None);
    let Some(registry) = Registry::start(&kitchen, Login::None, false) else { return };
    for (number, (output, kept)) in [
        (&["--push"] as &[&str], true),
        (&["--output", "type=registry"], false),
        (&["--output", "type=image,push=true,compression=zstd"], true),
        (&["--output", "type=registry", "--load"], true),
    ]
    .into_iter()
    .enumerate()
    {
        let name = registry.name(&format!("team/cake:{number}"));
        kitchen.forno([&["build", "-t", &name, "c"], output].concat()).ok();
        assert_eq!(kitchen.forno(["inspect", &name]).code == 0, kept, "{output:?}");
        if kept {
            kitchen.forno(["rmi", &name]).ok();
        }
        kitchen.forno(["run", "--rm", "--network", "none", &name, "cat", "/a"]).ok().stdout_is("A\n");
    }
    kitchen.forno(["build", "--push", "c"]).fails(&["--tag"]);
    kitchen.forno(["build", "--push", "-t", "localhost:1/nobody/there", "c"]).gives_up(&["localhost:1"]);
    kitchen.forno(["build", "-o", "type=registry,compression=lzma", "-t", "x", "c"]).fails(&["compression", "lzma"]);
}
