//! Points 16 to 20: stages, and what they stand on.

use super::*;

#[test]
fn p16_names_of_stages() {
    let text = "FROM bb AS Mill.1_x-Y\nRUN echo flour > /f\nFROM bb AS twice\nRUN echo first > /t\nFROM bb AS twice\nRUN echo second > /t\n\
        FROM scratch\nCOPY --from=MILL.1_X-y /f /by-name\nCOPY --from=0 /f /by-number\nCOPY --from=twice /t /t\nCOPY --from=bb /etc/passwd /p\n";
    let Some(cake) = bake(text, "") else { return };
    cake.has(&[
        ("/by-name", "file 644 0:0 flour"),
        ("/by-number", "file 644 0:0 flour"),
        ("/t", "file 644 0:0 second"),
    ]);
    assert!(cake.text("/p").starts_with("root:"));
    assert!(cake.said.contains("DuplicateStageName"), "{}", cake.said);
    refused(
        "",
        &[
            ("FROM bb AS 1a\n", &["Dockerfile:1", "1a"]),
            (
                "FROM bb\nCOPY --from=later /f /f\nFROM bb AS later\nFROM bb\nCOPY --from=0 / /\n",
                &["Dockerfile:2", "later"],
            ),
            ("FROM bb\nCOPY --from=0 /f /f\n", &["Dockerfile:2", "0"]),
            ("FROM bb\nCOPY --from=nosuch /f /f\n", &["Dockerfile:2", "nosuch"]),
        ],
    );
}

#[test]
fn p17_only_what_the_target_needs() {
    let text = "FROM bb AS broken\nRUN false\nFROM bb AS good\nRUN echo g > /g\nFROM bb AS last\nCOPY --from=good /g /g\nRUN echo l > /l\nFROM broken\n";
    let Some(cake) = bake_with(text, "", &["--target", "LAST"]) else { return };
    cake.has(&[("/g", "file 644 0:0 g"), ("/l", "file 644 0:0 l")]);
    assert!(!cake.said.contains("RUN false"), "{}", cake.said);
    let cake = cake.again(&["--target", "1"]);
    cake.has(&[("/l", "nothing")]);
    cake.kitchen.forno(["build", "c", "--target", "lats"]).fails(&["lats", "last"]);
}

#[test]
fn p18_triggers_run_right_after_from_and_only_once() {
    let text = "FROM bb\nONBUILD COPY a /a\nONBUILD RUN cat /a > /b\nONBUILD COPY --from=tool /t /t\n";
    let Some(cake) = bake(text, "echo A > a") else { return };
    assert_eq!(cake.config("/config/OnBuild"), json!(["COPY a /a", "RUN cat /a > /b", "COPY --from=tool /t /t"]));
    cake.has(&[("/a", "nothing")]);
    cake.kitchen.forno(["tag", "cake", "base"]).ok();
    let child = "FROM bb AS tool\nRUN echo T > /t\nFROM base\nRUN cat /b > /c\n";
    fs::write(cake.kitchen.path("c/Dockerfile"), child).unwrap();
    let cake = cake.again(&[]);
    cake.has(&[("/b", "file 644 0:0 A"), ("/c", "file 644 0:0 A"), ("/t", "file 644 0:0 T")]);
    assert_eq!(cake.config("/config/OnBuild"), Value::Null);
    refused(
        "",
        &[
            ("FROM bb\nONBUILD ONBUILD RUN true\n", &["Dockerfile:2", "ONBUILD"]),
            ("FROM bb\nONBUILD FROM bb\n", &["Dockerfile:2", "FROM"]),
            ("FROM bb\nONBUILD MAINTAINER me\n", &["Dockerfile:2", "MAINTAINER"]),
        ],
    );
}

#[test]
fn p19_a_stage_on_a_stage_inherits_and_copies_do_not() {
    let text = "FROM bb AS base\nARG A=arg\nENV E=env\nUSER 7\nLABEL l=m\nCMD [\"c\"]\nWORKDIR /w\n\
        FROM base AS child\nRUN echo $A $E $(id -u) $(pwd) > /tmp/said\n\
        FROM scratch AS other\nCOPY --from=base /etc/passwd /p\nFROM child\n";
    let Some(kitchen) = kitchen(text, "") else { return };
    run("chmod", ["1777", kitchen.path("rootfs-bb/tmp").to_str().unwrap()]).ok();
    kitchen.forno(["import", kitchen.path("rootfs-bb").to_str().unwrap(), "bb"]).ok();
    let cake = Cake::of(kitchen, &[]);
    assert_eq!(cake.text("/tmp/said"), "arg env 7 /w\n");
    assert_eq!(cake.config("/config/User"), "7");
    assert_eq!((cake.config("/config/Labels"), cake.config("/config/Cmd")), (json!({"l": "m"}), json!(["c"])));
    let cake = cake.again(&["--target", "other"]);
    assert_eq!((cake.env("E"), cake.config("/config/User")), (None, Value::Null));
}

/// docker's builder gives an image without anything a PATH and a working directory.
#[test]
fn p20_from_scratch() {
    let Some(cake) = bake("FROM scratch\nCOPY a /\n", "echo A > a") else { return };
    assert_eq!(
        cake.config("/config/Env"),
        json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    );
    assert_eq!(cake.config("/config/WorkingDir"), "/");
    assert_eq!(cake.below("/"), ["a"]);
    assert_eq!(cake.config("/rootfs/diff_ids").as_array().unwrap().len(), 1);
}
