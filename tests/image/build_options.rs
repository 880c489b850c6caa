//! What `forno build` can be told besides a Dockerfile.

use crate::image::kit::*;
use crate::image::semantics::{Cake, bake_with, kitchen};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The names in an archive.
fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
fn files_instead_of_an_image() {
    let Some(kitchen) =
        kitchen("FROM bb\nRUN mkdir /d && echo 1 > /d/f && rm /etc/group\nFROM scratch\nCOPY --from=0 /d /d\n", "")
    else {
        return;
    };
    kitchen.forno(["build", "-o", "out", "c"]).ok();
    assert_eq!(fs::read_to_string(kitchen.path("out/d/f")).unwrap(), "1\n");
    // Again, over what is there.
    kitchen.forno(["build", "--output", "type=local,dest=out", "c"]).ok();
    kitchen.forno(["build", "-o", "type=tar,dest=out.tar", "c"]).ok();
    assert_eq!(names(&fs::read(kitchen.path("out.tar")).unwrap()), ["d/", "d/f"]);
    let mut command = kitchen.command();
    let output = command.args(["build", "-o", "-", "--target", "0", "c"]).stdin(Stdio::null()).output().unwrap();
    let names = names(&output.stdout);
    assert!(names.contains(&"d/f".to_owned()) && names.contains(&"bin/busybox".to_owned()), "{names:?}");
    assert!(!names.contains(&"etc/group".to_owned()), "{names:?}");
    // Nothing of that is an image.
    assert_eq!(kitchen.forno(["images", "-q"]).ok().stdout.lines().count(), 1);
    kitchen.forno(["build", "-o", "type=local", "c"]).fails(&["--output", "dest"]);
    kitchen.forno(["build", "-o", "type=cake,dest=x", "c"]).fails(&["--output", "cake"]);
}

#[test]
fn archives_and_layouts_that_others_read() {
    let Some(kitchen) = kitchen("FROM bb\nCOPY a /a\nCMD [\"cat\", \"/a\"]\n", "echo A > a") else { return };
    kitchen
        .forno([
            "build",
            "-t",
            "cake:1",
            "-o",
            "type=oci,dest=oci.tar",
            "-o",
            "type=docker,dest=docker.tar",
            "-o",
            "type=oci,tar=false,dest=layout",
            "c",
        ])
        .ok();
    assert_eq!(kitchen.forno(["images", "-q", "cake"]).stdout, "");
    let top = kitchen.path("");
    let path = |name: &str| top.join(name).display().to_string();
    if has("skopeo") {
        for source in [
            format!("oci-archive:{}:1", path("oci.tar")),
            format!("docker-archive:{}:cake:1", path("docker.tar")),
            format!("oci:{}:1", path("layout")),
        ] {
            let config = run("skopeo", ["inspect", "--config", &source]).ok().json();
            assert_eq!(config["config"]["Cmd"], json!(["cat", "/a"]), "{source}");
        }
    }
    // It comes back as the context of another build.
    fs::write(kitchen.path("c/Dockerfile"), "FROM base\nCOPY --from=other /a /b\n").unwrap();
    let context = |name: &str| format!("{name}=oci-layout://{}", path("layout"));
    let cake = Cake::of(kitchen, &["--build-context", &context("base"), "--build-context", &(context("other") + ":1")]);
    cake.has(&[("/b", "file 644 0:0 A"), ("/a", "file 644 0:0 A")]);
    let wrong = context("base") + ":nosuch";
    cake.kitchen.forno(["build", "--build-context", &wrong, "c"]).fails(&["--build-context", "no such image"]);
}

#[test]
fn other_contexts() {
    let text = "FROM base AS one\nCOPY --from=files /f /f\nRUN --mount=type=bind,from=files,target=/m cat /m/f > /g\nFROM tree\nCOPY --from=one /g /g\n";
    let Some(kitchen) = kitchen(
        text,
        "mkdir ../files ../tree; echo F > ../files/f; echo no > ../files/hidden; echo hidden > ../files/.dockerignore; echo T > ../tree/t",
    ) else {
        return;
    };
    let options =
        ["--build-context", "base=docker-image://bb", "--build-context", "files=files", "--build-context", "tree=tree"];
    let cake = Cake::of(kitchen, &options);
    cake.has(&[("/t", "file 644 0:0 T"), ("/g", "file 644 0:0 F")]);
    let cake = cake.again(&[&options[..], &["--target", "one"]].concat());
    cake.has(&[("/f", "file 644 0:0 F")]);
    fs::write(cake.kitchen.path("c/Dockerfile"), "FROM bb\nCOPY --from=files /hidden /h\n").unwrap();
    let output = cake.kitchen.forno([&["build", "c"], &options[..]].concat());
    assert!(output.code == 1 && output.stderr.contains("Dockerfile:2"), "{output:?}");
}

#[test]
fn what_is_said_of_the_image() {
    let text = "FROM bb\nARG A\nARG B\nLABEL l=file\nENV R=$A$B\n";
    let Some(kitchen) = kitchen(text, "printf '# comment\\nA=1\\n\\nB=2\\n' > ../args") else { return };
    let options = [
        "--build-arg-file",
        "args",
        "--build-arg",
        "B=3",
        "--label",
        "l=given",
        "--label",
        "m=n",
        "--annotation",
        "org.example.a=b",
        "-t",
        "second:2",
        "--iidfile",
        "id",
        "--metadata-file",
        "meta.json",
        "--platform",
        "linux/amd64",
    ];
    let cake = Cake::of(kitchen, &options);
    assert_eq!(cake.env("R").unwrap(), "13");
    assert_eq!(cake.config("/config/Labels"), json!({"l": "given", "m": "n"}));
    let id = fs::read_to_string(cake.kitchen.path("id")).unwrap();
    let meta: Value = serde_json::from_slice(&fs::read(cake.kitchen.path("meta.json")).unwrap()).unwrap();
    assert_eq!(meta["containerimage.config.digest"], id);
    assert_eq!(meta["image.name"], "docker.io/library/cake:latest,docker.io/library/second:2");
    let digest = meta["containerimage.digest"].as_str().unwrap();
    let manifest = fs::read(cake.kitchen.store().join("blobs/sha256").join(&digest[7..])).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&manifest).unwrap()["annotations"], json!({"org.example.a": "b"}));
    let quiet = cake.kitchen.forno([&["build", "-q"], &options[..], &["c"]].concat()).ok();
    assert_eq!((quiet.stdout.trim(), quiet.stderr.as_str()), (id.as_str(), ""));
}

#[test]
fn the_world_of_steps() {
    let text = "FROM bb\nRUN ulimit -n > /n; cat /etc/hosts > /h; grep ' /dev/shm ' /proc/mounts > /s; cat /proc/net/dev | grep -c : > /i\n";
    let options =
        ["--ulimit", "nofile=100:200", "--add-host", "oven:10.1.2.3", "--shm-size", "1m", "--network", "none"];
    let Some(cake) = bake_with(text, "", &options) else { return };
    assert_eq!((cake.text("/n").trim(), cake.text("/i").trim()), ("100", "1"));
    assert!(cake.text("/h").contains("10.1.2.3\toven"), "{}", cake.text("/h"));
    assert!(cake.text("/s").contains("size=1024k"), "{}", cake.text("/s"));
}

#[test]
fn one_layer_of_all() {
    let Some(cake) =
        bake_with("FROM bb\nRUN echo 1 > /f && rm /etc/group\nRUN rm /f && echo 2 > /g\nENV A=1\n", "", &["--squash"])
    else {
        return;
    };
    assert_eq!(cake.layers.len(), 1);
    cake.has(&[("/g", "file 644 0:0 2"), ("/f", "nothing"), ("/etc/group", "nothing")]);
    let history = cake.config("/history");
    assert_eq!(history.as_array().unwrap().iter().filter(|entry| entry["empty_layer"] != true).count(), 1);
    assert!(!cake.layers.concat().iter().any(|name| name.contains(".wh.")), "{:?}", cake.layers);
}

#[test]
fn a_cache_that_travels() {
    let text = "FROM bb\nRUN head -c 8 /dev/urandom > /r\nCOPY a /a\n";
    let Some(first) = bake_with(text, "echo A > a", &["--cache-to", "type=local,dest=carried,mode=max"]) else {
        return;
    };
    let second = kitchen(text, "echo A > a").unwrap();
    // The same base, or nothing could be the same.
    let rootfs = first.kitchen.path("rootfs-bb");
    second.forno(["import", rootfs.to_str().unwrap(), "bb"]).ok();
    let carried = first.kitchen.path("carried").display().to_string();
    let second = Cake::of(second, &["--cache-from", &carried]);
    assert_eq!(second.config("/rootfs/diff_ids"), first.config("/rootfs/diff_ids"));
    assert_eq!(second.said.matches("CACHED").count(), 2, "{}", second.said);
    // What somebody has changed on the way is not believed.
    let third = kitchen(text, "echo A > a").unwrap();
    third.forno(["import", rootfs.to_str().unwrap(), "bb"]).ok();
    for blob in fs::read_dir(first.kitchen.path("carried/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let third = Cake::of(third, &["--cache-from", &carried]);
    assert!(!third.said.contains("CACHED"), "{}", third.said);
}

#[test]
fn some_stages_without_the_cache() {
    let text = "FROM bb AS one\nRUN head -c 8 /dev/urandom > /r\nFROM bb AS two\nRUN head -c 8 /dev/urandom > /s\nFROM scratch\nCOPY --from=one /r /\nCOPY --from=two /s /\n";
    let Some(cake) = bake_with(text, "", &[]) else { return };
    let layers = |cake: &Cake| (cake.config("/rootfs/diff_ids/0"), cake.config("/rootfs/diff_ids/1"));
    let before = layers(&cake);
    let cake = cake.again(&["--no-cache-filter", "TWO"]);
    let after = layers(&cake);
    assert!(before.0 == after.0 && before.1 != after.1);
}

#[test]
fn json_for_programs() {
    let Some(cake) = bake_with("FROM bb\nRUN echo said\n", "", &[]) else { return };
    let output = cake.kitchen.forno(["build", "--no-cache", "--progress", "rawjson", "c"]).ok();
    let lines: Vec<Value> = output.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["logs"][0]["data"] == "c2FpZAo="), "{output:?}");
    assert!(lines.iter().any(|line| line["vertexes"][0]["completed"].is_string()), "{output:?}");
}

/// Independent stages go on at the same time: each waits for a sign of the other.
#[test]
fn stages_run_side_by_side() {
    if std::thread::available_parallelism().map_or(1, |n| n.get()) < 2 {
        return skip("this machine: one processor");
    }
    let wait = |own: &str, other: &str| {
        format!(
            "RUN --mount=type=cache,target=/k touch /k/{own}; i=0; until test -e /k/{other} || test $i = 300; do sleep 0.1; i=$((i+1)); done; test -e /k/{other}\n"
        )
    };
    let text = format!(
        "FROM bb AS one\n{}FROM bb AS two\n{}FROM scratch\nCOPY --from=one /etc/passwd /1\nCOPY --from=two /etc/passwd /2\n",
        wait("a", "b"),
        wait("b", "a")
    );
    let Some(cake) = bake_with(&text, "", &[]) else { return };
    assert_eq!(cake.below("/"), ["1", "2"]);
}

#[test]
fn a_failing_stage_stops_the_others() {
    let text = "FROM bb AS slow\nRUN --mount=type=cache,target=/k touch /k/go; sleep 1000\nFROM bb AS bad\nRUN --mount=type=cache,target=/k until test -e /k/go; do sleep 0.1; done; exit 3\n\
        FROM scratch\nCOPY --from=slow /etc/passwd /1\nCOPY --from=bad /etc/passwd /2\n";
    if std::thread::available_parallelism().map_or(1, |n| n.get()) < 2 {
        return skip("this machine: one processor");
    }
    let Some(kitchen) = kitchen(text, "") else { return };
    let output = kitchen.forno(["build", "c"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.lines().last().unwrap().starts_with("forno: Dockerfile:4: RUN --mount"), "{output:?}");
    assert_eq!(left(&kitchen), "");
}

/// Processes of containers whose root is in the kitchen's store.
fn left(kitchen: &Kitchen) -> String {
    let mut found = String::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let comm = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if comm.contains("sleep\0") && mounts.contains(kitchen.store().to_str().unwrap()) {
            found += &comm;
        }
    }
    found
}

#[test]
fn whoever_stops_a_build_leaves_no_container() {
    let text = "FROM bb\nRUN echo begun; exec sleep 1000\n";
    for (signal, code) in [("TERM", Some(143)), ("INT", Some(130)), ("KILL", None)] {
        let Some(kitchen) = kitchen(text, "") else { return };
        let mut command: Command = kitchen.command();
        command
            .args(["build", "--progress", "plain", "c"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        let mut buffer = [0; 4096];
        while !said.contains(" begun\n") {
            let count = stderr.read(&mut buffer).unwrap();
            assert!(count > 0, "{said}");
            said += &String::from_utf8_lossy(&buffer[..count]);
        }
        run("kill", ["-s", signal, &child.id().to_string()]).ok();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), code, "{signal}");
        // The guard needs a moment; it has the other end of our pipe, too.
        let _ = stderr.read_to_end(&mut Vec::new());
        while !left(&kitchen).is_empty() {
            std::thread::yield_now();
        }
        // Somebody else takes away what is left, when the guard is gone too, and nothing of it stays.
        let tmp = kitchen.store().join("tmp");
        fs::write(kitchen.path("c/Dockerfile"), "FROM scratch\n").unwrap();
        while fs::read_dir(&tmp).unwrap().count() > 0 {
            kitchen.forno(["build", "-q", "c"]).ok();
        }
    }
}

/// Two builds in two stores give one image.
#[test]
fn two_kitchens_bake_the_same() {
    let text = "FROM bb AS one\nRUN mkdir -p /d/e && echo 1 > /d/f && ln /d/f /d/g\nFROM bb\nCOPY --from=one /d /new/d\nCOPY . /c/\nWORKDIR /w/x\nRUN touch t && mkdir u\nLABEL l=m\n";
    let script = "echo A > a; mkdir s; echo B > s/b; ln -s a l";
    let Some(first) = kitchen(text, script) else { return };
    let rootfs = first.path("rootfs-bb").display().to_string();
    let mut images = Vec::new();
    for kitchen in [first, kitchen(text, script).unwrap()] {
        let mut import = kitchen.command();
        Output::of(import.env("SOURCE_DATE_EPOCH", "1000").args(["import", &rootfs, "bb"]), None).ok();
        let mut build = kitchen.command();
        build.env("SOURCE_DATE_EPOCH", "1000").args(["build", "--metadata-file", "m", "c"]);
        Output::of(&mut build, None).ok();
        images.push((fs::read_to_string(kitchen.path("m")).unwrap(), kitchen));
    }
    assert_eq!(images[0].0, images[1].0);
    assert!(images[0].0.contains("sha256:"));
}
