//! Dockerfiles and contexts that strangers send: nothing of this machine is read or changed, and nothing hangs.

use crate::image::kit::*;
use crate::image::semantics::{Cake, bake, bake_with, kitchen, refused};
use std::fs;
use std::os::unix::fs::MetadataExt;

const SECRET: &str = "of the host";

/// A kitchen with a directory `victim` beside the context, that nobody may read or change. `VICTIM` in the Dockerfile
/// and in the script is its path.
fn scene(dockerfile: &str, script: &str) -> Option<(Kitchen, String)> {
    let kitchen = kitchen("", "mkdir ../victim; mkdir ../victim/empty")?;
    let victim = kitchen.path("victim");
    fs::write(victim.join("file"), SECRET).unwrap();
    let path = victim.to_str().unwrap();
    fs::write(kitchen.path("c/Dockerfile"), dockerfile.replace("VICTIM", path)).unwrap();
    let script = script.replace("VICTIM", path);
    run("sh", ["-e", "-c", &format!("cd {}; {script}", kitchen.path("c").display())]).ok();
    let before = state(&kitchen);
    Some((kitchen, before))
}

fn state(kitchen: &Kitchen) -> String {
    let mut text = String::new();
    for name in ["victim", "victim/file", "victim/empty"] {
        let stat = fs::symlink_metadata(kitchen.path(name)).unwrap();
        text += &format!(
            "{name} {:o} {} {} {} {} {}\n",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.mtime(),
            stat.mtime_nsec()
        );
    }
    text + &fs::read_to_string(kitchen.path("victim/file")).unwrap()
}

/// Builds, with any result; the victim is as before, and its secret in no blob.
#[track_caller]
fn harmless(dockerfile: &str, script: &str) {
    let Some((kitchen, before)) = scene(dockerfile, script) else { return };
    let output = kitchen.forno(["build", "-t", "cake", "c"]);
    assert!(
        output.code == 0 || output.stderr.lines().last().is_some_and(|line| line.starts_with("forno: Dockerfile:")),
        "{output:#?}"
    );
    assert_eq!(state(&kitchen), before, "{dockerfile}: {output:#?}");
    for blob in fs::read_dir(kitchen.store().join("blobs/sha256")).unwrap() {
        let bytes = fs::read(blob.unwrap().path()).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{dockerfile}: {output:#?}");
    }
}

/// CVE-2024-1753, CVE-2020-10696.
#[test]
fn a_bound_link_leads_nowhere_else() {
    for (source, command) in
        [("/lnk", "cat /m/file"), ("/lnk/..", "ls /m"), ("/deep/lnk", "cat /m/file"), ("/lnk", "touch /m/new")]
    {
        harmless(
            &format!(
                "FROM bb AS x\nRUN mkdir /deep && ln -s VICTIM /lnk && ln -s ../../../../../..VICTIM /deep/lnk\nFROM bb\nRUN --mount=type=bind,from=x,source={source},target=/m,rw {command} > /out\n"
            ),
            "true",
        );
    }
    harmless("FROM bb\nRUN --mount=type=bind,source=lnk,target=/m cat /m/file > /out\n", "ln -s VICTIM lnk");
    harmless("FROM bb\nRUN --mount=type=bind,source=../victim,target=/m cat /m/file > /out\n", "true");
}

/// CVE-2024-9675.
#[test]
fn the_name_of_a_cache_is_no_path() {
    for id in ["../../../../../../..VICTIM", "VICTIM", "..", "a/../../../b", "/"] {
        harmless(
            &format!(
                "FROM bb\nRUN --mount=type=cache,id={id},target=/k touch /k/new; chmod 777 /k; cat /k/file > /out\n"
            ),
            "true",
        );
    }
    harmless(
        "FROM bb AS x\nRUN ln -s VICTIM /lnk\nFROM bb\nRUN --mount=type=cache,from=x,source=/lnk,target=/k touch /k/new; cat /k/file > /out\n",
        "true",
    );
}

#[test]
fn links_of_the_context_and_of_stages_stay_inside() {
    harmless("FROM bb\nCOPY lnk /a\nCOPY lnk/file /b\nCOPY d /d\n", "ln -s VICTIM lnk; mkdir d; ln -s VICTIM d/lnk");
    harmless("FROM bb\nCOPY l*/file /b\n", "ln -s VICTIM lnk");
    harmless("FROM bb\nCOPY --parents ./lnk/./file /b\n", "ln -s VICTIM lnk");
    harmless(
        "FROM bb AS x\nRUN ln -s VICTIM /lnk\nFROM bb\nCOPY --from=x /lnk/ /a/\nCOPY --from=x /lnk/file /b\n",
        "true",
    );
    harmless(
        "FROM bb\nRUN ln -s VICTIM /lnk\nCOPY a /lnk/a\nADD t.tar /lnk/\nWORKDIR /lnk/w\nRUN touch x\n",
        "echo A > a; tar -cf t.tar a",
    );
    harmless("FROM bb\nCOPY . /all/\n", "ln -s VICTIM/file .dockerignore");
}

#[test]
fn archives_stay_inside() {
    let script = "mkdir t; ln -s VICTIM t/lnk; tar -C t -cf one.tar lnk; rm t/lnk; mkdir t/lnk; echo bad > t/lnk/file; tar -C t -rf one.tar lnk/file; \
        echo bad > x; tar -Pcf two.tar --transform 's,^,../../../..VICTIM/,' x; tar -Pcf three.tar --transform 's,^,VICTIM/,' x; \
        ln -s VICTIM/file h; tar -cf four.tar h; rm h; echo bad > h; tar -rf four.tar h";
    for archive in ["one.tar", "two.tar", "three.tar", "four.tar"] {
        harmless(&format!("FROM bb\nADD {archive} /\nRUN cat /h > /out; true\n"), script);
        harmless(&format!("FROM scratch\nADD {archive} /new/\n"), script);
    }
}

/// buildah 2026-44517: the Dockerfile of an archive is a link to a file of the host.
#[test]
fn the_dockerfile_of_an_archive_is_in_it() {
    let Some((kitchen, before)) = scene("", "ln -s VICTIM/file Dockerfile.lnk; ln -s VICTIM d") else { return };
    for (name, inside) in [("Dockerfile", "Dockerfile.lnk"), ("d", "d")] {
        let transform = format!("s,^{inside}$,{name},");
        let archive = kitchen.path("context.tar").display().to_string();
        run("tar", ["-C", kitchen.path("c").to_str().unwrap(), "--transform", &transform, "-cf", &archive, inside])
            .ok();
        let bytes = fs::read(&archive).unwrap();
        let file = if name == "d" { "d/file" } else { "Dockerfile" };
        let output = kitchen.forno_stdin(["build", "-f", file, "-"], &bytes);
        assert!(output.code != 0 && !output.stderr.contains(SECRET), "{output:?}");
    }
    assert_eq!(state(&kitchen), before);
}

/// CVE-2024-23652, CVE-2024-23651: what a step puts where something was mounted is not ours to follow.
#[test]
fn places_of_mounts_that_a_step_has_exchanged() {
    harmless("FROM bb\nRUN --mount=type=tmpfs,target=/a/empty mv /a /moved; ln -s VICTIM /a; true\n", "true");
    harmless(
        "FROM bb\nRUN --mount=type=secret,id=none,target=/a/file --mount=type=cache,target=/a/empty mv /a /b; ln -s VICTIM /a; true\n",
        "true",
    );
    harmless("FROM bb\nRUN mv /etc /etc2 2>/dev/null; ln -s VICTIM /etc; true\nRUN echo x > /y\n", "true");
    harmless("FROM bb\nRUN rm -rf /tmp && ln -s VICTIM /tmp\nRUN --mount=type=tmpfs,target=/tmp/empty true\n", "true");
    harmless(
        "FROM bb\nRUN rm -rf /dev /proc /sys; ln -s VICTIM /dev; ln -s VICTIM /proc; true\nRUN echo x > /y\n",
        "true",
    );
    harmless(
        "FROM bb\nRUN ln -s VICTIM/new /run\nRUN --mount=type=bind,source=Dockerfile,target=/run/x true\n",
        "true",
    );
}

#[test]
fn users_of_the_image_are_read_with_care() {
    harmless(
        "FROM bb\nRUN rm /etc/passwd && busybox mkfifo /etc/passwd || /bin/busybox mkfifo /etc/passwd\nUSER x\nRUN true\n",
        "true",
    );
    harmless(
        "FROM bb\nRUN rm /etc/passwd && ln -s VICTIM/file /etc/passwd\nCOPY --chown=root a /a\nUSER root\nRUN true\n",
        "echo A > a",
    );
    harmless("FROM bb\nRUN rm /etc/passwd && ln -s /dev/zero /etc/passwd\nUSER x\nRUN true\n", "true");
}

#[test]
fn files_that_never_end_or_are_none() {
    let Some((kitchen, _)) = scene("FROM scratch\n", "true") else { return };
    run(
        "sh",
        ["-c", &format!("cd {}; mkfifo p; ln -s /dev/zero z; mkfifo p.dockerignore", kitchen.path("c").display())],
    )
    .ok();
    kitchen.forno(["build", "-f", "c/p", "c"]).fails(&["p: is no regular file"]);
    kitchen.forno(["build", "-f", "/dev/zero", "c"]).fails(&["/dev/zero: is no regular file"]);
    let big = vec![b'#'; (4 << 20) + 1];
    kitchen.forno_stdin(["build", "-f", "-", "c"], &big).fails(&["standard input", "larger"]);
    fs::remove_file(kitchen.path("c/Dockerfile")).unwrap();
    run("mkfifo", [kitchen.path("c/Dockerfile").to_str().unwrap()]).ok();
    kitchen.forno(["build", "c"]).fails(&["Dockerfile: is no regular file"]);
}

#[test]
fn texts_that_grow() {
    let mut doubling = String::from("FROM scratch\nARG A=xxxxxxxxxxxxxxxx\n");
    for _ in 0..40 {
        doubling += "ENV A=$A$A\n";
    }
    let nested = format!("FROM scratch\nENV A={}x{}\n", "${A:-".repeat(12_000), "}".repeat(12_000));
    let many = format!("FROM scratch\n{}", "ENV A=1\n".repeat(6000));
    let ports = format!("FROM scratch\n{}", "EXPOSE 1-65535 1-65535/udp 1-65535/sctp\n".repeat(20));
    for text in [doubling, nested, many, ports] {
        let Some(kitchen) = kitchen(&text, "") else { return };
        let output = kitchen.forno(["build", "c"]);
        assert!(output.code == 1, "{}: {output:?}", &text[..60]);
        assert!(output.stderr.lines().last().unwrap().len() < 1000, "{}", &output.stderr[..1000]);
    }
}

#[test]
fn secrets_are_nowhere() {
    let text = "FROM bb\nRUN --mount=type=secret,id=a --mount=type=secret,id=b,env=B,target=/s test -n \"$B\"; cat /run/secrets/a /s > /dev/null; ls -l /run/secrets/a > /l\nRUN test ! -e /run/secrets/a; test -z \"$B\"\n";
    let Some(kitchen) = kitchen(text, "printf hush-one > ../one") else { return };
    let mut command = kitchen.command();
    command.env("TWO", "hush-two").args([
        "build",
        "-t",
        "cake",
        "--secret",
        "id=a,src=one",
        "--secret",
        "id=b,env=TWO",
        "c",
    ]);
    let said = Output::of(&mut command, None).ok().stderr;
    assert!(!said.contains("hush"), "{said}");
    for name in kitchen.files() {
        let path = kitchen.store().join(name);
        if fs::symlink_metadata(&path).is_ok_and(|stat| stat.is_file()) {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(5).any(|window| window == b"hush-"), "{}", path.display());
        }
    }
    let cake = Cake::of(kitchen, &["--secret", "id=a,src=one", "--secret", "id=b,src=one"]);
    assert!(cake.text("/l").starts_with("-r--------"), "{}", cake.text("/l"));
}

#[test]
fn what_must_be_allowed() {
    let text = "FROM bb\nRUN --security=insecure grep CapEff /proc/self/status > /c\n";
    refused("", &[(text, &["Dockerfile:2", "--allow security.insecure"])]);
    let Some(cake) = bake_with(text, "", &["--allow", "security.insecure"]) else { return };
    let plain = bake("FROM bb\nRUN grep CapEff /proc/self/status > /c\n", "").unwrap();
    assert_ne!(cake.text("/c"), plain.text("/c"));
}
