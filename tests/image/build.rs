//! `forno build`, end to end.

use crate::image::kit::*;
use serde_json::{Value, json};
use std::fs;

/// A kitchen with the image bb and a context in c; None where steps cannot run.
fn kitchen(dockerfile: &str, files: &[(&str, &str)]) -> Option<Kitchen> {
    if !is_root() {
        skip("RUN needs root");
        return None;
    }
    let kitchen = Kitchen::new();
    kitchen.busybox("bb");
    fs::create_dir(kitchen.path("c")).unwrap();
    fs::write(kitchen.path("c/Dockerfile"), dockerfile).unwrap();
    for (name, text) in files {
        let path = kitchen.path("c").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Some(kitchen)
}

impl Output {
    /// Behind the progress of the steps before, one line.
    #[track_caller]
    fn says(self, words: &[&str]) -> Output {
        assert_ne!(self.code, 0, "{self:?}");
        let line = self.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("forno: ") && words.iter().all(|word| line.contains(word)), "{words:?}: {self:?}");
        self
    }
}

impl Kitchen {
    fn build(&self, more: &[&str]) -> Output {
        self.forno([&["build", "-t", "cake"], more, &["c"]].concat())
    }

    fn config(&self, pointer: &str) -> Value {
        let described = self.forno(["inspect", "cake"]).ok().json();
        described[0].pointer(pointer).cloned().unwrap_or_default()
    }

    /// What a file of the image holds.
    fn file(&self, path: &str) -> String {
        self.forno(["run", "--rm", "--network", "none", "--entrypoint", "", "cake", "/bin/busybox", "cat", path])
            .ok()
            .stdout
    }

    fn leaves_nothing(&self) {
        let snapshots = fs::read_dir(self.store().join("snapshots")).map_or(0, Iterator::count);
        assert_eq!(snapshots, 0, "snapshots are left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.store().to_str().unwrap()), "mounts are left");
    }
}

#[test]
fn every_instruction_has_its_effect() {
    let dockerfile = r#"
ARG BASE=bb
FROM ${BASE} AS mill
RUN mkdir -p /flour && echo rye > /flour/kind
RUN ["/bin/busybox", "sh", "-c", "ln -s kind /flour/link; ln /flour/kind /flour/hard"]

FROM bb
LABEL baker="me" "shelf life"=7
ARG GRAIN=wheat
ENV HEAT=230 PLACE="the oven"
WORKDIR /bake/loaf
COPY --from=mill /flour /bake/flour
COPY a b/ /bake/
ADD one.tar /bake/unpacked/
RUN echo "$GRAIN $HEAT $PLACE $(pwd)" > /bake/said
USER 1000:1000
RUN id > /dev/shm/who; busybox cat /dev/shm/who > /dev/null; test $(busybox id -u):$(busybox id -g) = 1000:1000
EXPOSE 80 53/udp
VOLUME /keep
STOPSIGNAL SIGINT
SHELL ["/bin/busybox", "sh", "-c"]
ENTRYPOINT ["/bin/busybox", "echo"]
CMD ["done"]
"#;
    let Some(kitchen) = kitchen(dockerfile, &[("a", "A"), ("b/c", "C")]) else { return };
    fs::write(kitchen.path("c/one.tar"), tar(&[("inside", b"I")])).unwrap();
    kitchen.build(&["--build-arg", "GRAIN=spelt"]).ok();
    kitchen.leaves_nothing();
    assert_eq!(kitchen.file("/bake/said"), "spelt 230 the oven /bake/loaf\n");
    assert_eq!(kitchen.file("/bake/flour/link"), "rye\n");
    assert_eq!(kitchen.file("/bake/flour/hard"), "rye\n");
    assert_eq!(kitchen.file("/bake/a"), "A");
    assert_eq!(kitchen.file("/bake/c"), "C");
    assert_eq!(kitchen.file("/bake/unpacked/inside"), "I");
    for (pointer, value) in [
        ("/Config/Labels", json!({"baker": "me", "shelf life": "7"})),
        ("/Config/User", json!("1000:1000")),
        ("/Config/WorkingDir", json!("/bake/loaf")),
        ("/Config/ExposedPorts", json!({"80/tcp": {}, "53/udp": {}})),
        ("/Config/Volumes", json!({"/keep": {}})),
        ("/Config/StopSignal", json!("SIGINT")),
        ("/Config/Shell", json!(["/bin/busybox", "sh", "-c"])),
        ("/Config/Entrypoint", json!(["/bin/busybox", "echo"])),
        ("/Config/Cmd", json!(["done"])),
    ] {
        assert_eq!(kitchen.config(pointer), value, "{pointer}");
    }
    let env = kitchen.config("/Config/Env");
    let env: Vec<&str> = env.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.contains(&"HEAT=230") && env.contains(&"PLACE=the oven"), "{env:?}");
    assert!(!env.iter().any(|entry| entry.starts_with("GRAIN=")), "{env:?}");
    kitchen.forno(["run", "--rm", "--network", "none", "cake"]).ok().stdout_is("done\n");
}

#[test]
fn what_did_not_change_comes_from_the_cache() {
    let Some(kitchen) =
        kitchen("FROM bb\nRUN head -c 8 /dev/urandom > /r\nCOPY a /a\nRUN cat /a > /b\n", &[("a", "1")])
    else {
        return;
    };
    kitchen.build(&[]).ok();
    let (first, random) = (kitchen.config("/Id"), kitchen.config("/RootFS/Layers/1"));
    kitchen.build(&[]).ok();
    assert_eq!(kitchen.config("/Id"), first);
    fs::write(kitchen.path("c/a"), "2").unwrap();
    kitchen.build(&[]).ok();
    assert_eq!(kitchen.file("/b"), "2");
    assert_eq!(kitchen.config("/RootFS/Layers/1"), random, "the step before COPY ran again");
    kitchen.build(&["--no-cache"]).ok();
    assert_ne!(kitchen.config("/RootFS/Layers/1"), random);
}

#[test]
fn what_a_step_removes_is_gone() {
    let dockerfile = "FROM bb\nRUN mkdir -p /d/e && echo x > /d/e/f && echo y > /g\nRUN rm -r /d /g && mkdir /d && echo z > /d/n\n\
        RUN test ! -e /d/e && test ! -e /g && ls /d > /list\n";
    let Some(kitchen) = kitchen(dockerfile, &[]) else { return };
    kitchen.build(&[]).ok();
    assert_eq!(kitchen.file("/list"), "n\n");
}

#[test]
fn the_ignore_file_hides() {
    let files = [
        (".dockerignore", "secret\n*.log\n!keep.log\n"),
        ("secret", "s"),
        ("x.log", "x"),
        ("keep.log", "k"),
        ("y", "y"),
    ];
    let Some(kitchen) = kitchen("FROM bb\nCOPY . /all/\nRUN ls /all > /list\n", &files) else { return };
    kitchen.build(&[]).ok();
    assert_eq!(kitchen.file("/list"), "Dockerfile\nkeep.log\ny\n");
}

#[test]
fn a_step_that_fails_is_named_and_leaves_nothing() {
    let Some(kitchen) = kitchen("FROM bb\n\nRUN true\nRUN echo so; exit 7\n", &[]) else { return };
    kitchen.build(&[]).says(&["Dockerfile:4: RUN echo so; exit 7: exit status 7"]);
    kitchen.leaves_nothing();
    kitchen.forno(["inspect", "cake"]).fails(&["No such object"]);
    kitchen.forno(["ps", "-a", "-q"]).ok().stdout_is("");
}

/// Each says in one line what is wrong and where.
#[test]
fn broken_dockerfiles_are_refused_by_line() {
    for (dockerfile, words) in [
        ("", &["Dockerfile"][..]),
        ("RUN true\n", &["Dockerfile:1", "FROM"]),
        ("FROM\n", &["Dockerfile:1", "FROM"]),
        ("FROM bb\nRNU true\n", &["Dockerfile:2", "RNU"]),
        ("FROM bb\nCOPY a\n", &["Dockerfile:2", "COPY"]),
        ("FROM bb\nCOPY missing /x\n", &["Dockerfile:2", "missing"]),
        ("FROM bb\nCOPY --form=x a /\n", &["Dockerfile:2", "--form"]),
        ("FROM bb\nCOPY --from=9 a /\n", &["Dockerfile:2"]),
        ("FROM bb\nENV\n", &["Dockerfile:2", "ENV"]),
        ("FROM bb\nEXPOSE eighty\n", &["Dockerfile:2", "eighty"]),
        ("FROM bb\nSTOPSIGNAL SIGBAKE\n", &["Dockerfile:2", "SIGBAKE"]),
        ("FROM bb\nRUN <<END\necho\n", &["Dockerfile:2", "END"]),
        ("FROM bb\nCOPY a b /file\n", &["Dockerfile:2", "/file"]),
        ("FROM nosuchimage\n", &["Dockerfile:1", "nosuchimage"]),
        ("FROM bb\nSHELL sh\n", &["Dockerfile:2", "SHELL"]),
        ("FROM bb\nUSER nobodyhere\nRUN true\n", &["nobodyhere"]),
    ] {
        let Some(kitchen) = kitchen(dockerfile, &[("a", "A"), ("b", "B")]) else { return };
        let output = kitchen.build(&[]).says(words);
        let said = output.stderr.lines().filter(|line| line.starts_with("forno: ")).count();
        assert_eq!(said, 1, "{dockerfile:?}: {output:?}");
        kitchen.leaves_nothing();
    }
}
