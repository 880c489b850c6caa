//! Points 1 to 15: how text becomes instructions.

use super::*;

#[track_caller]
fn env(dockerfile: &str, expected: &[(&str, &str)]) {
    let Some(cake) = bake(&format!("FROM scratch\n{dockerfile}"), "") else { return };
    for (name, value) in expected {
        assert_eq!(cake.env(name).as_deref(), Some(*value), "{name} of {dockerfile:?}");
    }
}

#[test]
fn p01_directives_stand_at_the_very_top() {
    let Some(cake) = bake("# Syntax=docker/dockerfile:1\n# ESCAPE=`\nFROM scratch\nENV A=a`\n  B=b\\c\n", "") else {
        return;
    };
    assert_eq!((cake.env("A").unwrap(), cake.env("B").unwrap()), ("a".to_owned(), "b\\c".to_owned()));
    for top in ["# a comment\n# escape=`\n", "# else=x\n# escape=`\n", "\n# escape=`\n", "ARG X=1\n# escape=`\n"] {
        let cake = bake(&format!("{top}FROM scratch\nENV A=a\\\n  B=b`c\n"), "").unwrap();
        assert_eq!(cake.env("B").unwrap(), "b`c", "{top:?}");
    }
    refused(
        "",
        &[
            ("# escape=`\n# escape=`\nFROM scratch\n", &["Dockerfile:2", "escape", "twice"]),
            ("# syntax=a\n# syntax=b\nFROM scratch\n", &["Dockerfile:2", "syntax", "twice"]),
            ("# escape=x\nFROM scratch\n", &["Dockerfile:1", "escape"]),
        ],
    );
}

#[test]
fn p02_byte_order_mark_carriage_returns_and_long_lines() {
    let Some(cake) = bake("\u{feff}# escape=`\r\nFROM scratch\r\nENV A=1 `\r\n B=2\r\nLABEL x=y\r\n", "") else {
        return;
    };
    assert_eq!((cake.env("A").unwrap(), cake.env("B").unwrap()), ("1".to_owned(), "2".to_owned()));
    assert_eq!(cake.config("/config/Labels/x"), "y");
    let line = |length: usize| format!("FROM scratch\nENV A={}", "x".repeat(length - 6));
    assert_eq!(bake(&line(65_535), "").unwrap().env("A").unwrap().len(), 65_529);
    refused("", &[(&line(65_536), &["Dockerfile:2", "65535"])]);
}

#[test]
fn p03_comments_and_blank_lines_inside_an_instruction_vanish() {
    let text = "FROM scratch\n   ENV A=\"a\\\n   # a comment\n\n  b\" \\\n\t# another\n  C=c\n";
    let Some(cake) = bake(text, "") else { return };
    assert_eq!(cake.env("A").unwrap(), "a  b", "later lines keep their indent");
    assert_eq!(cake.env("C").unwrap(), "c");
    assert!(cake.said.contains("NoEmptyContinuation"), "{}", cake.said);
}

#[test]
fn p04_what_continues_a_line() {
    env("ENV A=a \\ \t\n B=b\\\\\nENV C=c\\\n\nD=d\n", &[("A", "a"), ("B", "b\\"), ("C", "cD=d")]);
    let text = "FROM scratch\nCOPY <<'E' /f\na \\\n# no comment\n\n  $B `\nE\n";
    let Some(cake) = bake(text, "") else { return };
    assert_eq!(cake.text("/f"), "a \\\n# no comment\n\n  $B `\n");
}

#[test]
fn p05_what_is_no_json_is_for_the_shell() {
    let Some(cake) = bake("FROM scratch\nENTRYPOINT ['echo', 'a']\nCMD [ \"a\" , \"b\" ]\n", "") else { return };
    assert_eq!(cake.config("/config/Entrypoint"), json!(["/bin/sh", "-c", "['echo', 'a']"]));
    assert_eq!(cake.config("/config/Cmd"), json!(["a", "b"]));
    refused("", &[("FROM scratch\nCMD [\"echo\", 1]\n", &["Dockerfile:2", "CMD", "string"])]);
}

#[test]
fn p06_the_old_form_of_env_and_label() {
    let text = "FROM scratch\nENV A a  b=c \"d\"\nLABEL l m n=o\nENV B=1 C=2\nARG X Y=3\nENV D=$Y\n";
    let Some(cake) = bake_with(text, "", &["--build-arg", "X=x"]) else { return };
    assert_eq!(cake.env("A").unwrap(), "a  b=c d");
    assert_eq!(cake.config("/config/Labels/l"), "m n=o");
    assert_eq!(
        (cake.env("B").unwrap(), cake.env("C").unwrap(), cake.env("D").unwrap()),
        ("1".into(), "2".into(), "3".into())
    );
    refused("", &[("FROM scratch\nENV A=1 B\n", &["Dockerfile:2", "B"]), ("FROM scratch\nENV A\n", &["Dockerfile:2"])]);
}

#[test]
fn p07_words_are_split_before_quotes_are_taken_away() {
    env(
        r#"ENV V=v
ENV A=x\ty B="x\ty" C="a\"b\$c\\" D='$V\n' E=a\ b F="a b"'c d'e G='"' H="'$V'" I=\$V
"#,
        &[
            ("A", "xty"),
            ("B", "x\\ty"),
            ("C", "a\"b$c\\"),
            ("D", "$V\\n"),
            ("E", "a b"),
            ("F", "a bc de"),
            ("G", "\""),
            ("H", "'v'"),
            ("I", "$V"),
        ],
    );
}

#[test]
fn p08_variables_and_their_operators() {
    env(
        r#"ENV V=value E=
ENV A=$1x B=[$NOTHING] C=${N1:-${N2:-c}} D=${V:+yes} F=${E:-empty} G=${E-set} H=${N-unset} I=${V#v*l} J=${V##*[a-l]} \
    K=${V%u*} L=${V%%a*} M=${V/l/L} N=${V//[ae]/_} O=${E+set} P=${V/v?l/x}
"#,
        &[
            ("A", "x"),
            ("B", "[]"),
            ("C", "c"),
            ("D", "yes"),
            ("F", "empty"),
            ("G", ""),
            ("H", "unset"),
            ("I", "ue"),
            ("K", "val"),
            ("L", "v"),
            ("M", "vaLue"),
            ("O", "set"),
            ("P", "xue"),
        ],
    );
    refused(
        "",
        &[
            ("FROM scratch\nENV A=${}\n", &["Dockerfile:2", "ENV"]),
            ("FROM scratch\nENV A=${:x}\n", &["Dockerfile:2", "ENV"]),
            ("FROM scratch\nENV A=\"${N:?say what}\"\n", &["Dockerfile:2", "N", "say what"]),
            ("FROM scratch\nENV A=${N\n", &["Dockerfile:2", "ENV"]),
        ],
    );
}

#[test]
fn p09_one_instruction_sees_one_snapshot_but_args_follow_each_other() {
    env("ENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n", &[("abc", "bye"), ("def", "hello"), ("ghi", "bye")]);
    env("ARG A=1 B=$A\nENV C=$B D=$C\n", &[("C", "1"), ("D", "")]);
}

#[test]
fn p10_where_variables_are_replaced() {
    let text = r#"FROM bb
ARG V=v
ENV W=w
LABEL l=$V
EXPOSE ${P:-80}
STOPSIGNAL ${S:-SIGINT}
USER $W
VOLUME /$V
WORKDIR /$W/$V
COPY $W.txt /copied/$V
ADD $W.txt /added/$V
RUN --mount=type=tmpfs,target=/$V echo '$V' $V > /dev/null && /bin/busybox grep " /$V " /proc/mounts > /tmp/m
SHELL ["/$W"]
CMD ["$W"]
HEALTHCHECK CMD ["$W"]
ENTRYPOINT ["$W"]
"#;
    let Some(kitchen) = kitchen(text, "echo W > w.txt") else { return };
    let plan = kitchen.forno(["build", "--plan", "c"]).ok();
    plan.stdout_has("USER w")
        .stdout_has("WORKDIR /w/v")
        .stdout_has("COPY w.txt /copied/v")
        .stdout_has("ADD w.txt /added/v");
    // The user w does not exist: without that line it can be built.
    fs::write(kitchen.path("c/Dockerfile"), text.replace("USER $W\n", "")).unwrap();
    let cake = Cake::of(kitchen, &[]);
    cake.has(&[("/copied/v", "file 644 0:0 W"), ("/added/v", "file 644 0:0 W"), ("/w/v", "dir 755 0:0")]);
    assert!(cake.text("/tmp/m").starts_with("tmpfs /v tmpfs"), "{}", cake.text("/tmp/m"));
    for (pointer, value) in [
        ("/config/Labels", json!({"l": "v"})),
        ("/config/ExposedPorts", json!({"80/tcp": {}})),
        ("/config/StopSignal", json!("SIGINT")),
        ("/config/Volumes", json!({"/v": {}})),
        ("/config/Shell", json!(["/$W"])),
        ("/config/Cmd", Value::Null),
        ("/config/Healthcheck/Test", json!(["CMD", "$W"])),
        ("/config/Entrypoint", json!(["$W"])),
    ] {
        if pointer != "/config/Cmd" {
            assert_eq!(cake.config(pointer), value, "{pointer}");
        }
    }
    assert_eq!(cake.config("/config/Cmd"), json!(["$W"]));
}

#[test]
fn p11_where_args_live() {
    let text = "ARG G=global\nARG BASE=bb\nFROM $BASE\nENV A=[$G]\nARG G\nENV B=[$G] C=[$TARGETARCH] P=[$http_proxy]\n\
        ARG TARGETARCH\nARG TARGETPLATFORM\nENV D=[$TARGETARCH] E=$TARGETPLATFORM\nRUN echo \"$http_proxy\" > /p\n";
    let Some(cake) = bake_with(text, "", &["--build-arg", "http_proxy=http://me@proxy", "--platform", "linux/amd64"])
    else {
        return;
    };
    let get = |name: &str| cake.env(name).unwrap();
    assert_eq!((get("A"), get("B"), get("C"), get("P")), ("[]".into(), "[global]".into(), "[]".into(), "[]".into()));
    assert_eq!((get("D"), get("E")), ("[amd64]".into(), "linux/amd64".into()));
    assert_eq!(cake.text("/p"), "http://me@proxy\n", "undeclared, and yet there");
    assert!(!cake.history().concat().contains("me@proxy"), "{:?}", cake.history());
    let layer = cake.config("/rootfs/diff_ids/1");
    // Another proxy, the same step.
    let cake = cake.again(&["--build-arg", "http_proxy=http://other"]);
    assert_eq!(cake.config("/rootfs/diff_ids/1"), layer);
}

/// docker's documentation says that ENV always overrides ARG; its builder lets the later one count.
#[test]
fn p12_the_later_of_env_and_arg_counts() {
    let text = "FROM bb\nENV X=env\nARG X=arg\nRUN echo $X > /x\nARG Y=arg\nENV Y=env\nRUN echo $Y > /y\nENV Z=$X\n";
    let Some(cake) = bake(text, "") else { return };
    assert_eq!((cake.text("/x").trim(), cake.text("/y").trim()), ("arg", "env"));
    assert_eq!(
        (cake.env("X").unwrap(), cake.env("Y").unwrap(), cake.env("Z").unwrap()),
        ("env".into(), "env".into(), "arg".into())
    );
}

#[test]
fn p13_run_sees_all_args_and_so_does_its_cache_key() {
    let text = "FROM bb\nARG A=1\nARG B\nRUN env > /env; head -c 8 /dev/urandom > /r\n";
    let Some(cake) = bake(text, "") else { return };
    assert!(cake.text("/env").contains("\nA=1\n"), "{}", cake.text("/env"));
    assert!(cake.history().last().unwrap().starts_with("RUN |2 A=1 B= /bin/sh -c env"), "{:?}", cake.history());
    let first = cake.config("/rootfs/diff_ids/1");
    let cake = cake.again(&[]);
    assert_eq!(cake.config("/rootfs/diff_ids/1"), first);
    // It is not used in the command, and yet it is another environment.
    let cake = cake.again(&["--build-arg", "A=2"]);
    assert_ne!(cake.config("/rootfs/diff_ids/1"), first);
}

#[test]
fn p14_heredocs() {
    let text = r#"FROM bb
ENV V=value
COPY <<A <<-"B" /d/
 $V
A
	stripped $V
	B
RUN <<E
echo $V ${N:-of the shell} > /said
read a < /d/A; echo "$a" >> /said
E
RUN <<E
#!/bin/busybox cat
the script is its own input
E
RUN <<SCRIPT
#!/bin/sh
ls -l "$0" > /script; echo $0 >> /script
SCRIPT
RUN cat <<ONE - > /one && cat <<TWO > /two
1 $V
ONE
2
TWO
"#;
    let Some(cake) = bake(text, "") else { return };
    cake.has(&[("/d/A", "file 644 0:0  value"), ("/d/B", "file 644 0:0 stripped $V")]);
    assert_eq!(cake.text("/said"), "value of the shell\nvalue\n");
    let script = cake.text("/script");
    assert!(script.starts_with("-rwxr-xr-x") && script.ends_with("/dev/pipes/SCRIPT\n"), "{script}");
    assert_eq!((cake.text("/one"), cake.text("/two")), ("1 value\n".to_owned(), "2\n".to_owned()));
    cake.has(&[("/dev/pipes", "nothing")]);
    refused(
        "",
        &[
            ("FROM bb\nRUN <<E\necho\n", &["Dockerfile:2", "E"]),
            ("FROM bb\nCOPY <<../x /d/\nE\n../x\n", &["Dockerfile:2"]),
        ],
    );
}

#[test]
fn p14_json_takes_no_heredoc_and_onbuild_keeps_it() {
    let text = "FROM bb AS base\nONBUILD COPY <<E /from-trigger\nbody\nE\nONBUILD RUN <<E\necho ran > /ran\nE\n\
        FROM base\nRUN [\"/bin/busybox\", \"touch\", \"<<E\"]\n";
    let Some(cake) = bake(text, "") else { return };
    assert_eq!((cake.text("/from-trigger").trim(), cake.text("/ran").trim()), ("body", "ran"));
    cake.has(&[("/<<E", "file 644 0:0 ")].map(|(path, what)| (path, what)));
}

#[test]
fn p15_flags_end_at_the_first_other_word() {
    let Some(cake) = bake("FROM bb\nRUN --network=none echo --mount=type=x > /said\n", "") else { return };
    assert_eq!(cake.text("/said"), "--mount=type=x\n");
    refused(
        "echo a > a",
        &[
            ("FROM bb\nCOPY --form=x a /\n", &["Dockerfile:2", "--form", "from"]),
            ("FROM bb\nCOPY a --chown=1 /x\n", &["Dockerfile:2", "more than one source"]),
            ("FROM bb\nRUN --mont=type=tmpfs,target=/x true\n", &["Dockerfile:2", "--mont", "mount"]),
            ("FROM bb\nENV --x A=1\n", &["Dockerfile:2"]),
        ],
    );
}
