//! Points 21 to 39: COPY and ADD.

use super::*;

#[test]
fn p21_what_a_destination_is() {
    let text = "FROM bb\nCOPY a /new/dir/\nCOPY a /srv\nCOPY a /new/file\nWORKDIR /w\nENV D=rel\nCOPY a .\nCOPY a b ./\nCOPY a $D\n\
        COPY a ${NOTHING}\nCOPY d ${D}dir\n";
    let Some(cake) = bake(text, "echo A > a; echo B > b; mkdir d; echo C > d/c") else { return };
    for path in ["/new/dir/a", "/srv/a", "/new/file", "/w/a", "/w/rel"] {
        assert_eq!(cake.at(path), "file 644 0:0 A", "{path}");
    }
    cake.has(&[("/w/b", "file 644 0:0 B"), ("/w/reldir/c", "file 644 0:0 C")]);
    refused("echo A > a; echo B > b", &[("FROM bb\nCOPY a b /x\n", &["Dockerfile:2", "/x", "'/'"])]);
}

#[test]
fn p22_a_directory_gives_its_content_and_what_is_there_keeps_its_attributes() {
    let text = "FROM bb\nRUN mkdir -m 1777 /t && mkdir -m 700 /o && chown 5:6 /o\nCOPY d /t\nCOPY d /o/\nCOPY d /n\n\
        RUN mkdir -m 1777 /linked\nCOPY --link d /linked\n";
    let Some(cake) = bake(text, "mkdir -p d/e; chmod 750 d; echo F > d/f; echo G > d/e/g; touch -d @1000 d d/e d/f")
    else {
        return;
    };
    cake.has(&[
        ("/t", "dir 1777 0:0"),
        ("/o", "dir 700 5:6"),
        ("/n", "dir 750 0:0"),
        ("/t/f", "file 644 0:0 F"),
        ("/n/e/g", "file 644 0:0 G"),
        ("/t/d", "nothing"),
        // A layer that knows nothing of those below it.
        ("/linked", "dir 750 0:0"),
    ]);
    assert_eq!((cake.time("/n"), cake.time("/n/e"), cake.time("/n/f")), (1000, 1000, 1000));
}

#[test]
fn p23_links_at_the_top_are_followed_and_others_stay() {
    let text = "FROM scratch\nCOPY l /file\nCOPY l* /wild/\nCOPY ld /dir\nCOPY d /all\n";
    let Some(cake) =
        bake(text, "echo A > a; ln -s a l; mkdir d; ln -s ../a d/in; ln -s nowhere d/lost; ln -s d ld; ln -s a lx")
    else {
        return;
    };
    cake.has(&[
        ("/file", "file 644 0:0 A"),
        ("/wild/l", "file 644 0:0 A"),
        ("/wild/lx", "file 644 0:0 A"),
        ("/dir/in", "link ../a"),
        ("/all/in", "link ../a"),
        ("/all/lost", "link nowhere"),
    ]);
}

#[test]
fn p24_links_of_the_destination_stay_inside() {
    let text = "FROM bb\nRUN mkdir /real && ln -s /real /abs && ln -s ../../../real /up && ln -s /real/f /file && ln -s /made/later /lost\n\
        COPY a /abs/\nCOPY a /up/b\nCOPY a /file\nCOPY a /lost/\nCOPY --link a /abs/linked\n";
    let Some(cake) = bake(text, "echo A > a") else { return };
    cake.has(&[
        ("/real/a", "file 644 0:0 A"),
        ("/real/b", "file 644 0:0 A"),
        ("/real/f", "file 644 0:0 A"),
        ("/made/later/a", "file 644 0:0 A"),
        // A layer of its own has a directory there.
        ("/abs", "dir 755 0:0"),
        ("/abs/linked", "file 644 0:0 A"),
    ]);
}

#[test]
fn p25_sources_stay_in_the_context() {
    let text = "FROM scratch\nCOPY ../../a /1\nCOPY /a /2\nCOPY a/ /3\nCOPY ./d/../a /4\nCOPY out /5\n";
    let Some(cake) = bake(text, "echo A > a; mkdir d; ln -s /../a out") else { return };
    for path in ["/1", "/2", "/3", "/4", "/5"] {
        assert_eq!(cake.at(path), "file 644 0:0 A", "{path}");
    }
}

#[test]
fn p26_patterns_are_those_of_go() {
    let text = "FROM scratch\nCOPY *.x /x/\nCOPY a?b /q/\nCOPY [a-b][^z]* /c/\nCOPY a[[]b /lit/\nCOPY */f /deep/\nCOPY no*thing /none/\n\
        COPY a[*]b /star\nCOPY **/f /stars/\n";
    let Some(cake) = bake(text, "touch 1.x 2.x .x a1b 'a[b' 'a*b' bb az; mkdir -p d/e; touch d/f d/e/f") else {
        return;
    };
    assert_eq!(cake.below("/x"), [".x", "1.x", "2.x"]);
    assert_eq!(cake.below("/q"), ["a*b", "a1b", "a[b"]);
    assert_eq!(cake.below("/c"), ["a*b", "a1b", "a[b", "bb"]);
    cake.has(&[
        ("/lit/a[b", "file 644 0:0 "),
        ("/deep/f", "file 644 0:0 "),
        ("/star", "file 644 0:0 "),
        ("/none", "nothing"),
    ]);
    assert_eq!(cake.below("/stars"), ["f"], "** is no more than * here");
    refused(
        "",
        &[
            ("FROM scratch\nCOPY nothing /\n", &["Dockerfile:2", "nothing", "not found"]),
            ("FROM scratch\nCOPY [a /\n", &["Dockerfile:2", "[a"]),
        ],
    );
}

/// docker's documentation says that a user that is not known is an error, and that files of another stage are root's.
#[test]
fn p27_owners() {
    let text = "FROM bb AS other\nRUN echo o > /o && chown 5:6 /o\n\
        FROM bb\nCOPY a /1\nCOPY --from=other /o /2\nCOPY --chown=web a /3\nCOPY --chown=7 a /4\nCOPY --chown=web:adm a /5\nCOPY --chown=7:8 a /6\n\
        COPY --chown=:9 a /7\nCOPY --chown=nosuch a /8\nCOPY --from=other --chown=1:1 /o /9\n";
    let Some(cake) = bake(text, "echo A > a; chown 44:55 a") else { return };
    cake.has(&[
        ("/1", "file 644 0:0 A"),
        ("/2", "file 644 5:6 o"),
        ("/3", "file 644 33:34 A"),
        ("/4", "file 644 7:7 A"),
        ("/5", "file 644 33:4 A"),
        ("/6", "file 644 7:8 A"),
        ("/7", "file 644 0:9 A"),
        ("/8", "file 644 0:0 A"),
        ("/9", "file 644 1:1 o"),
    ]);
    assert!(cake.said.contains("nosuch"), "{}", cake.said);
    refused("echo A > a", &[("FROM scratch\nCOPY --chown=web a /\n", &["Dockerfile:2", "web"])]);
}

#[test]
fn p28_new_parents() {
    let text =
        "FROM scratch\nCOPY a /p/q/a\nCOPY --chown=7:8 a /r/s/a\nCOPY --chmod=640 a /t/u/a\nCOPY --chown=9 d /v/w/\n";
    let Some(cake) = bake(text, "echo A > a; chmod 600 a; mkdir -m 700 d; echo D > d/d") else { return };
    cake.has(&[
        ("/p", "dir 755 0:0"),
        ("/p/q", "dir 755 0:0"),
        ("/r", "dir 755 7:8"),
        ("/r/s", "dir 755 7:8"),
        ("/t", "dir 640 0:0"),
        ("/t/u", "dir 640 0:0"),
        ("/t/u/a", "file 640 0:0 A"),
        ("/v", "dir 755 9:9"),
        ("/v/w", "dir 700 9:9"),
        ("/v/w/d", "file 644 9:9 D"),
    ]);
}

#[test]
fn p29_modes() {
    let text = "FROM scratch\nCOPY --chmod=644 d /octal\nCOPY --chmod=u=rwX,go=rX d /x\nCOPY --chmod=6755 d/f /setuid\nCOPY --chmod=g+w,o-r d /plus\n";
    let Some(cake) =
        bake(text, "mkdir -m 700 d; echo F > d/f; chmod 600 d/f; echo E > d/e; chmod 700 d/e; ln -s f d/l")
    else {
        return;
    };
    cake.has(&[
        ("/octal", "dir 644 0:0"),
        ("/octal/f", "file 644 0:0 F"),
        ("/octal/l", "link f"),
        ("/x", "dir 755 0:0"),
        ("/x/f", "file 644 0:0 F"),
        ("/x/e", "file 755 0:0 E"),
        ("/setuid", "file 6755 0:0 F"),
        ("/plus/f", "file 620 0:0 F"),
    ]);
    refused(
        "echo A > a",
        &[
            ("FROM scratch\nCOPY --chmod=888 a /\n", &["Dockerfile:2", "888"]),
            ("FROM scratch\nCOPY --chmod=z+x a /\n", &["Dockerfile:2"]),
        ],
    );
}

#[test]
fn p30_the_owner_is_changed_before_the_mode_and_the_capabilities() {
    let text = "FROM bb\nCOPY --chown=7 a /a\n";
    let Some(kitchen) = kitchen(text, "echo A > a; chmod 4755 a") else { return };
    let file = kitchen.path("c/a");
    // CAP_NET_BIND_SERVICE, effective and permitted, as setcap writes it.
    let value = "0sAQAAAgAEAAAAAAAAAAAAAAAAAAA=";
    let set = has("setfattr")
        && run("setfattr", ["-n", "security.capability", "-v", value, file.to_str().unwrap()]).code == 0;
    let cake = Cake::of(kitchen, &[]);
    cake.has(&[("/a", "file 4755 7:7 A")]);
    if set {
        let layers = cake.config("/rootfs/diff_ids");
        let archive = cake.kitchen.store().join("blobs/sha256").join(&layers[1].as_str().unwrap()[7..]);
        let archive = fs::read(archive).unwrap();
        let needle = b"SCHILY.xattr.security.capability=";
        assert!(archive.windows(needle.len()).any(|window| window == needle), "the capability is lost");
    }
}

#[test]
fn p31_sockets_and_devices_are_made_again() {
    let script = "mkdir d; mkfifo d/p; mknod d/null c 1 3; chmod 666 d/null; \
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"d/s\")' || touch d/s";
    let Some(cake) = bake("FROM bb AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d /d\n", script) else { return };
    cake.has(&[("/d/p", "fifo 644 0:0"), ("/d/null", "Char")]);
}

#[test]
fn p32_hard_links_inside_one_copy() {
    let text = "FROM scratch\nCOPY d /d\nCOPY d/a d/b /e/\nCOPY d/a /f/a\nCOPY d/b /f/b\n";
    let Some(cake) = bake(text, "mkdir d; echo A > d/a; ln d/a d/b") else { return };
    assert!(cake.same_file("/d/a", "/d/b"));
    assert!(cake.same_file("/e/a", "/e/b"));
    assert!(!cake.same_file("/f/a", "/f/b"));
}

#[test]
fn p33_times_are_kept_and_not_asked_for() {
    let Some(cake) = bake("FROM scratch\nCOPY a /a\n", "echo A > a; touch -d @1000000000 a") else { return };
    assert_eq!(cake.time("/a"), 1_000_000_000);
    run("touch", ["-d", "@2000000000", cake.kitchen.path("c/a").to_str().unwrap()]).ok();
    let cake = cake.again(&[]);
    assert_eq!(cake.time("/a"), 1_000_000_000, "it comes from the cache");
}

#[test]
fn p34_archives_are_told_by_their_content() {
    let script = "mkdir -p t/sub; echo X > t/sub/x; chown 5:6 t/sub/x; chmod 700 t/sub; tar -C t -cf plain sub; tar -C t -czf z.txt sub; \
        printf '' | gzip > empty.tar.gz; echo no > no.tar; tar -C t -cJf xz sub 2>/dev/null || cp z.txt xz; tar -C t -cjf bz sub 2>/dev/null || cp z.txt bz";
    let text = "FROM bb\nRUN mkdir -m 711 -p /there/sub && echo kept > /there/sub/kept && ln -s /real /abs && mkdir /real\nADD plain /p/\nADD z.txt /z\nADD empty.tar.gz no.tar /files/\n\
        ADD plain /there\nADD --chown=9:9 plain /own/\nADD plain /abs/in\nCOPY plain /copied\nADD --unpack=false plain /kept.tar\nADD xz /xz\nADD bz /bz\n";
    let Some(cake) = bake(text, script) else { return };
    for directory in ["/p", "/z", "/there", "/real/in", "/xz", "/bz"] {
        assert_eq!(cake.at(&format!("{directory}/sub/x")), "file 644 5:6 X", "{directory}");
    }
    cake.has(&[
        ("/files/no.tar", "file 644 0:0 no"),
        ("/there/sub/kept", "file 644 0:0 kept"),
        ("/there/sub", "dir 700 0:0"),
        ("/own/sub", "dir 700 9:9"),
        ("/own/sub/x", "file 644 9:9 X"),
    ]);
    assert!(cake.at("/files/empty.tar.gz").starts_with("file"));
    assert!(cake.at("/copied").starts_with("file") && cake.at("/kept.tar").starts_with("file"));
}

#[test]
fn p37_files_and_directories_do_not_replace_each_other() {
    refused(
        "mkdir -p d/srv; echo A > d/srv/a; echo A > etc; mkdir e; echo B > e/passwd; mkdir -p g/passwd; echo C > g/passwd/x",
        &[
            ("FROM bb\nCOPY d/srv /etc/passwd\n", &["Dockerfile:2", "directory"]),
            ("FROM bb\nCOPY g /etc\n", &["Dockerfile:2", "directory"]),
            ("FROM bb\nRUN mkdir -p /x/passwd\nCOPY e /x/\n", &["Dockerfile:3", "directory"]),
        ],
    );
    // A file onto a directory goes into it, by rule 21.
    let Some(cake) = bake("FROM bb\nCOPY etc /etc\n", "echo A > etc") else { return };
    cake.has(&[("/etc/etc", "file 644 0:0 A")]);
}

#[test]
fn p38_the_ignore_file_is_not_gitignore() {
    let ignore = "\u{feff}# a comment\n  #not-a-comment\n/lead\nfoo\n**/*.log\n!keep.log\ndir/sub\n!dir/sub/back\na/../clean\n*.tmp\nDockerfile\n.dockerignore\n";
    let script = format!(
        "printf '%s' '{ignore}' > .dockerignore; touch '#not-a-comment' lead foo x.log keep.log clean y.tmp z; \
         mkdir -p deep/foo deep/er dir/sub; touch deep/foo/file deep/er/x.log deep/er/keep.log deep/y.tmp dir/sub/gone dir/sub/back"
    );
    let Some(cake) = bake("FROM scratch\nCOPY . /all\n", &script) else { return };
    let all = cake.below("/all");
    let files: Vec<&str> =
        all.into_iter().filter(|path| cake.at(&format!("/all/{path}")).starts_with("file")).collect();
    assert_eq!(files, ["deep/foo/file", "deep/y.tmp", "dir/sub/back", "keep.log", "z"]);
}

#[test]
fn p38_a_dockerfile_of_its_own_has_an_ignore_file_of_its_own() {
    let script = "echo a > .dockerignore; echo b > My.dockerignore; touch a b; printf 'FROM bb AS s\\nCOPY . /c\\nFROM scratch\\nCOPY --from=s /c/a /c/\\n' > My";
    let Some(kitchen) = kitchen("FROM scratch\nCOPY . /c\n", script) else { return };
    let cake = Cake::of(kitchen, &["-f", "c/My"]);
    cake.has(&[("/c/a", "file 644 0:0 "), ("/c/b", "nothing")]);
    let cake = cake.again(&[]);
    cake.has(&[("/c/a", "nothing"), ("/c/b", "file 644 0:0 ")]);
}

#[test]
fn p39_parents() {
    let text = "FROM scratch\nCOPY --parents x/y/f /one/\nCOPY --parents x/./y/f /two\nCOPY --parents **/f /deep/\nCOPY --parents x/y g /both/\nCOPY --parents --chmod=700 x/y/f /mode/\n";
    let Some(cake) = bake(text, "mkdir -p x/y z; chmod 711 x/y; echo F > x/y/f; echo Z > z/f; echo G > g; chown 3:4 x")
    else {
        return;
    };
    cake.has(&[
        ("/one/x/y/f", "file 644 0:0 F"),
        ("/one/x/y", "dir 711 0:0"),
        ("/two", "dir 755 0:0"),
        ("/two/y/f", "file 644 0:0 F"),
        ("/deep/x/y/f", "file 644 0:0 F"),
        ("/deep/z/f", "file 644 0:0 Z"),
        ("/both/x/y/f", "file 644 0:0 F"),
        ("/both/g", "file 644 0:0 G"),
    ]);
}

#[test]
fn exclude_takes_away() {
    let text = "FROM bb AS s\nCOPY d /d\nFROM scratch\nCOPY --exclude=*.log --exclude=sub d /1/\nCOPY --exclude=**/*.log d /2/\n\
        COPY --from=s --exclude=sub/* /d /3/\nCOPY --exclude=*.log d/a.log d/b /4/\nADD --exclude=b d /5/\n";
    let Some(cake) = bake(text, "mkdir -p d/sub; touch d/a.log d/b d/sub/c.log d/sub/e") else { return };
    assert_eq!(cake.below("/1"), ["b"]);
    assert_eq!(cake.below("/2"), ["b", "sub", "sub/e"]);
    assert_eq!(cake.below("/3"), ["a.log", "b", "sub"]);
    assert_eq!(cake.below("/4"), ["b"]);
    assert_eq!(cake.below("/5"), ["a.log", "sub", "sub/c.log", "sub/e"]);
}

#[test]
fn a_linked_layer_is_the_same_on_any_base() {
    let text = |base: &str| format!("FROM {base}\nCOPY --link --chown=1:2 a /usr/share/a\n");
    let Some(cake) = bake(&text("bb"), "echo A > a") else { return };
    let layer = cake.config("/rootfs/diff_ids/1");
    fs::write(cake.kitchen.path("c/Dockerfile"), text("scratch")).unwrap();
    let cake = cake.again(&[]);
    assert_eq!(cake.config("/rootfs/diff_ids/0"), layer);
    assert!(cake.said.contains("CACHED"), "{}", cake.said);
}
