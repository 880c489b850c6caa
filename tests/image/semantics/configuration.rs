//! Points 40 to 52: the configuration, RUN, the cache and history.

use super::*;

#[test]
fn p40_workdir() {
    let text = "FROM bb\nWORKDIR /a/b\nRUN pwd > /said\nUSER web\nENV D=e\nWORKDIR $D/f\nWORKDIR ../g\nUSER root\nRUN pwd >> /said\n";
    let Some(cake) = bake(text, "") else { return };
    assert_eq!(cake.text("/said"), "/a/b\n/a/b/e/g\n");
    cake.has(&[
        ("/a", "dir 755 0:0"),
        ("/a/b", "dir 755 0:0"),
        ("/a/b/e", "dir 755 33:34"),
        ("/a/b/e/f", "dir 755 33:34"),
    ]);
    assert_eq!(cake.config("/config/WorkingDir"), "/a/b/e/g");
    cake.kitchen.forno(["tag", "cake", "base"]).ok();
    fs::write(cake.kitchen.path("c/Dockerfile"), "FROM base\nWORKDIR sub\nWORKDIR /\n").unwrap();
    let before = cake.layers.len();
    let cake = cake.again(&[]);
    cake.has(&[("/a/b/e/g/sub", "dir 755 0:0")]);
    assert_eq!(cake.layers.len(), before + 1, "WORKDIR / makes no layer");
}

#[test]
fn p41_an_entrypoint_clears_a_command_that_was_inherited() {
    let base = "FROM bb AS base\nCMD [\"inherited\"]\n";
    for (rest, entrypoint, cmd) in [
        ("FROM base\nENTRYPOINT [\"e\"]\n", json!(["e"]), Value::Null),
        ("FROM base\nCMD [\"own\"]\nENTRYPOINT [\"e\"]\n", json!(["e"]), json!(["own"])),
        ("FROM base\nENTRYPOINT [\"e\"]\nCMD [\"own\"]\n", json!(["e"]), json!(["own"])),
        ("FROM base\nENTRYPOINT []\n", Value::Null, Value::Null),
        (
            "FROM base\nSHELL [\"/bin/sh\", \"-ec\"]\nENTRYPOINT run it\nCMD too\n",
            json!(["/bin/sh", "-ec", "run it"]),
            json!(["/bin/sh", "-ec", "too"]),
        ),
    ] {
        let Some(cake) = bake(&format!("{base}{rest}"), "") else { return };
        assert_eq!((cake.config("/config/Entrypoint"), cake.config("/config/Cmd")), (entrypoint, cmd), "{rest}");
    }
}

#[test]
fn p42_what_is_written_into_a_volume_stays() {
    let Some(cake) = bake(
        "FROM bb\nRUN mkdir /v && echo before > /v/b\nVOLUME /v\nRUN echo after > /v/a\nCOPY a /v/c\n",
        "echo C > a",
    ) else {
        return;
    };
    cake.has(&[("/v/b", "file 644 0:0 before"), ("/v/a", "file 644 0:0 after"), ("/v/c", "file 644 0:0 C")]);
    assert_eq!(cake.config("/config/Volumes"), json!({"/v": {}}));
}

#[test]
fn p43_ports_checks_and_what_docker_adds() {
    let text = "FROM bb\nEXPOSE 8080 80-82/udp 80/TCP\nEXPOSE 80\nHEALTHCHECK --interval=1m30s --timeout=3s --start-period=5s --start-interval=500ms --retries=0 CMD curl localhost\n\
        SHELL [\"/bin/sh\", \"-c\"]\nONBUILD RUN true\n";
    let Some(cake) = bake(text, "") else { return };
    let ports = cake.config("/config/ExposedPorts");
    assert_eq!(
        ports.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["80/tcp", "80/udp", "8080/tcp", "81/udp", "82/udp"]
    );
    let check = json!({"Test": ["CMD-SHELL", "curl localhost"], "Interval": 90_000_000_000_u64, "Timeout": 3_000_000_000_u64,
        "StartPeriod": 5_000_000_000_u64, "StartInterval": 500_000_000});
    assert_eq!(cake.config("/config/Healthcheck"), check);
    assert_eq!(cake.config("/config/Shell"), json!(["/bin/sh", "-c"]));
    cake.kitchen.forno(["tag", "cake", "base"]).ok();
    fs::write(cake.kitchen.path("c/Dockerfile"), "FROM base\nHEALTHCHECK NONE\n").unwrap();
    let cake = cake.again(&[]);
    assert_eq!(cake.config("/config/Healthcheck"), json!({"Test": ["NONE"]}));
    assert_eq!(cake.config("/config/Shell"), json!(["/bin/sh", "-c"]));
    refused(
        "",
        &[
            ("FROM bb\nHEALTHCHECK --interval=1us CMD x\n", &["Dockerfile:2", "interval"]),
            ("FROM bb\nHEALTHCHECK --retries=-1 CMD x\n", &["Dockerfile:2", "retries"]),
            ("FROM bb\nHEALTHCHECK NONE CMD x\n", &["Dockerfile:2"]),
            ("FROM bb\nHEALTHCHECK CMD\n", &["Dockerfile:2"]),
            ("FROM bb\nEXPOSE 0-70000\n", &["Dockerfile:2", "70000"]),
        ],
    );
}

#[test]
fn p44_users_and_their_groups() {
    let text = "FROM bb\nRUN mkdir -m 777 /s\nUSER web\nRUN id > /s/1\nUSER web:web\nRUN id > /s/2\nUSER 1234\nRUN id > /s/3\nUSER 1234:56\nRUN id > /s/4\nUSER 33\nRUN id > /s/5\n";
    let Some(cake) = bake(text, "") else { return };
    let said = |number: u32| cake.text(&format!("/s/{number}")).trim().to_owned();
    assert_eq!(said(1), "uid=33(web) gid=34(web) groups=4(adm),34(web)");
    assert_eq!(said(2), "uid=33(web) gid=34(web) groups=34(web)");
    assert!(said(3).starts_with("uid=1234 gid=0(root)"), "{}", said(3));
    assert!(said(4).starts_with("uid=1234 gid=56"), "{}", said(4));
    assert!(said(5).starts_with("uid=33(web) gid=34(web)"), "{}", said(5));
}

#[test]
fn p45_history_counts_the_layers() {
    let text = "FROM bb\nENV A=1\nLABEL l=m\nRUN true\nCOPY a /a\nWORKDIR /w\nWORKDIR /\nCMD [\"x\"]\nUSER 1\nADD a /b\nEXPOSE 1\n";
    let Some(cake) = bake(text, "echo A > a") else { return };
    let history = cake.config("/history");
    let empty: Vec<bool> =
        history.as_array().unwrap().iter().skip(1).map(|entry| entry["empty_layer"] == true).collect();
    assert_eq!(empty, [true, true, false, false, false, true, true, true, false, true]);
    let full = 1 + empty.iter().filter(|empty| !**empty).count();
    assert_eq!(cake.config("/rootfs/diff_ids").as_array().unwrap().len(), full);
    assert_eq!(cake.layers.len(), full);
    assert_eq!(cake.layers[1], Vec::<String>::new(), "a step that changes nothing has an empty layer");
    assert_eq!(cake.history()[..3], ["ENV A=1", "LABEL l=m", "RUN /bin/sh -c true"]);
}

#[test]
fn p46_the_world_of_a_step_leaves_nothing() {
    let text = "FROM bb\nRUN --mount=type=tmpfs,target=/mnt/deep/t --mount=type=cache,target=/cache --mount=type=secret,id=s \
        cat /etc/hosts /etc/resolv.conf > /said; cat /run/secrets/s >> /dev/null; echo $HOME > /home; hostname > /name 2>/dev/null || /bin/busybox hostname > /name\n\
        FROM scratch AS empty\nRUN --mount=type=bind,from=bb,source=/bin,target=/bin [\"/bin/busybox\", \"mkdir\", \"/made\"]\n\
        FROM empty\n";
    let Some(kitchen) = kitchen(text, "echo hush > ../secret") else { return };
    let cake = Cake::of(kitchen, &["--secret", "id=s,src=secret", "--target", "0"]);
    assert_eq!(cake.layers[1], ["/home", "/name", "/said"]);
    assert!(cake.text("/said").contains("localhost"));
    assert_eq!(cake.text("/home"), "/root\n");
    cake.has(&[
        ("/etc/hosts", "nothing"),
        ("/mnt", "nothing"),
        ("/cache", "nothing"),
        ("/run", "nothing"),
        ("/proc", "nothing"),
    ]);
    let cake = cake.again(&[]);
    assert_eq!(cake.layers, [vec!["/made"]]);
    assert!(cake.said.find("hush").is_none());
}

#[test]
fn p46_a_resolver_of_the_image_stays_as_it_is() {
    let text = "FROM bb\nRUN echo mine > /r && mkdir -p /etc && rm -f /etc/resolv.conf; true\nCOPY r /etc/resolv.conf\nCOPY r /etc/hosts\nRUN echo x > /x\n";
    let Some(cake) = bake(text, "echo mine > r") else { return };
    cake.has(&[("/etc/resolv.conf", "file 644 0:0 mine"), ("/etc/hosts", "file 644 0:0 mine")]);
    assert_eq!(cake.layers.last().unwrap(), &["/x"]);
}

#[test]
fn p47_mounts_and_the_cache() {
    let text = "FROM bb\nRUN --mount=type=cache,target=/k --mount=type=bind,source=d,target=/d --mount=type=secret,id=s,env=S \
        cat /k/n > /n; echo \"x$(cat /k/n 2>/dev/null)\" > /k/n; cat /d/f > /f; head -c 8 /dev/urandom > /r\n\
        RUN --mount=type=bind,source=d,target=/d,rw echo thrown > /d/away && cat /d/away > /seen\n\
        RUN --mount=type=bind,source=d,target=/d test ! -e /d/away; ! touch /d/x 2>/dev/null\n";
    let Some(kitchen) = kitchen(text, "mkdir d; echo 1 > d/f") else { return };
    fs::write(kitchen.path("secret"), "one").unwrap();
    let options = ["--secret", "id=s,src=secret"];
    let cake = Cake::of(kitchen, &options);
    assert_eq!((cake.text("/f").trim(), cake.text("/seen").trim()), ("1", "thrown"));
    let layer = cake.config("/rootfs/diff_ids/1");
    assert!(!cake.kitchen.path("c/d/away").exists());
    // Neither what the cache holds nor the secret is part of the key.
    fs::write(cake.kitchen.path("secret"), "two").unwrap();
    let cake = cake.again(&options);
    assert_eq!(cake.config("/rootfs/diff_ids/1"), layer);
    // What is bound is; and the cache has been kept.
    fs::write(cake.kitchen.path("c/d/f"), "2").unwrap();
    let cake = cake.again(&options);
    assert_eq!((cake.text("/f").trim(), cake.text("/n").trim()), ("2", "x"));
    let everything = cake.kitchen.files().join(" ") + &cake.said + &cake.history().concat();
    assert!(!everything.contains("two"), "{everything}");
}

#[test]
fn p48_what_the_key_of_copy_asks_for() {
    let Some(cake) = bake(
        "FROM bb\nCOPY d /d\nRUN head -c 8 /dev/urandom > /r\n",
        "mkdir d; echo 1 > d/f; ln -s f d/l; chmod 644 d/f",
    ) else {
        return;
    };
    let mut last = cake.config("/rootfs/diff_ids/2");
    let mut cake = cake;
    for (change, same) in [
        ("touch c/d/f c/d", true),
        ("chown 5:5 c/d/f", true),
        ("touch c/other", true),
        ("chmod 664 c/d/f", false),
        ("ln -sfn g c/d/l", false),
        ("mv c/d/f c/d/h", false),
        ("echo 2 > c/d/h", false),
        ("mkdir c/d/e", false),
    ] {
        run("sh", ["-c", &format!("cd {}; {change}", cake.kitchen.path("").display())]).ok();
        cake = cake.again(&[]);
        let now = cake.config("/rootfs/diff_ids/2");
        assert_eq!(now == last, same, "{change}");
        last = now;
    }
}

#[test]
fn p49_layers_say_what_was_removed() {
    let text = "FROM bb\nRUN mkdir -p /d/e /k && echo 1 > /d/e/f && echo 2 > /g && echo 3 > /k/a && ln /k/a /k/b\nRUN rm -r /d /g && mkdir /d && echo n > /d/n && touch /k/a\n\
        RUN mv /k /moved\n";
    let Some(cake) = bake(text, "") else { return };
    cake.has(&[
        ("/d/e", "nothing"),
        ("/d/n", "file 644 0:0 n"),
        ("/g", "nothing"),
        ("/k", "nothing"),
        ("/moved/a", "file 644 0:0 3"),
    ]);
    let layer = &cake.layers[2];
    assert!(
        layer.contains(&"/.wh.g".to_owned()) && layer.contains(&"/d/.wh..wh..opq".to_owned())
            || layer.contains(&"/d/.wh.e".to_owned()),
        "{layer:?}"
    );
    assert!(cake.layers[3].contains(&"/.wh.k".to_owned()), "{:?}", cake.layers[3]);
}

#[test]
fn p50_one_time_for_all_that_is_new() {
    let text =
        "FROM bb\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /e && mkdir /d\nCOPY a old /c/\nWORKDIR /w\n";
    let Some(cake) =
        bake_with(text, "echo A > a; echo O > old; touch -d @500 old", &["--build-arg", "SOURCE_DATE_EPOCH=1000"])
    else {
        return;
    };
    assert_eq!(cake.config("/created"), "1970-01-01T00:16:40Z");
    let history = cake.config("/history");
    for entry in history.as_array().unwrap().iter().skip(1) {
        assert_eq!(entry["created"], "1970-01-01T00:16:40Z");
    }
    for path in ["/e", "/d", "/c", "/c/a", "/w"] {
        assert_eq!(cake.time(path), 1000, "{path}");
    }
    assert_eq!(cake.time("/c/old"), 500, "what is older stays so");
    assert!(cake.time("/bin/busybox") > 1000, "the base image is not ours to change");
    assert_eq!(cake.text("/e"), "1000\n");
}

#[test]
fn p51_what_failed_and_where() {
    let text = "FROM bb\n\n# comment\nRUN echo out && \\\n  echo err >&2 && \\\n  exit 42\n";
    let Some(kitchen) = kitchen(text, "") else { return };
    let output = kitchen.forno(["build", "-t", "cake", "c"]);
    assert_ne!(output.code, 0);
    let last = output.stderr.lines().last().unwrap();
    assert!(last.starts_with("forno: Dockerfile:4: RUN echo out && echo err >&2 && exit 42: exit status 42"), "{last}");
    let at = |word: &str| output.stderr.find(word).unwrap_or_else(|| panic!("no {word:?}: {output:?}"));
    assert!(at(" out\n") < at(" err\n"));
    kitchen.forno(["inspect", "cake"]).fails(&["No such object"]);
    refused(
        "",
        &[
            ("FROM bb\nRUN nosuchprogram\n", &["Dockerfile:2", "exit status 127"]),
            ("FROM bb\nRUN [\"/nosuch\"]\n", &["Dockerfile:2", "/nosuch"]),
            ("FROM bb\nRUN /bin/busybox sh -c 'kill -9 $$'; exit $?\n", &["Dockerfile:2", "137"]),
        ],
    );
}

#[test]
fn p52_names_of_bases() {
    let Some(kitchen) = kitchen("FROM bb\n", "") else { return };
    kitchen.forno(["tag", "bb", "registry.example:5000/some/bb:v1"]).ok();
    kitchen.forno(["tag", "bb", "docker.io/library/base:2"]).ok();
    let index: Value = serde_json::from_slice(&fs::read(kitchen.store().join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    for base in [
        "bb:latest",
        "docker.io/library/bb",
        "base:2",
        "library/base:2",
        "registry.example:5000/some/bb:v1",
        &format!("bb@{digest}"),
        &format!("bb:latest@{digest}"),
        "--platform=linux/amd64 bb",
    ] {
        let kitchen_dockerfile = format!("FROM {base}\nCOPY Dockerfile /d\n");
        fs::write(kitchen.path("c/Dockerfile"), kitchen_dockerfile).unwrap();
        kitchen.forno(["build", "c"]).ok();
    }
    refused(
        "",
        &[
            ("FROM bb:nosuch\n", &["Dockerfile:1", "bb:nosuch"]),
            ("FROM Bad/Name\n", &["Dockerfile:1", "Bad/Name"]),
            ("FROM --platform=linux bb AS x y\n", &["Dockerfile:1"]),
        ],
    );
}
