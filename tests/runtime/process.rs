//! `process`: args, env, cwd.

use crate::kit::*;

#[test]
fn arguments_arrive_as_they_are() {
    let args = ["/bin/printf", "%s|", "a b", "", "*", "'\"$HOME", "línea", "-n", "\\x"];
    Bundle::program(args).run().stdout_is("a b||*|'\"$HOME|línea|-n|\\x|");
}

#[test]
fn the_program_is_looked_up_in_the_containers_path() {
    let bundle = Bundle::program(["knead"]).script("/opt/tools/knead", "#!/bin/sh\necho kneaded \"$0\"\n");
    let bundle = bundle.set("/process/env", json!(["PATH=/nowhere:/opt/tools:/bin"]));
    bundle.run().stdout_is("kneaded /opt/tools/knead");
}

#[test]
fn a_program_with_a_slash_is_a_path() {
    let bundle = Bundle::program(["./knead"]).script("/opt/knead", "#!/bin/sh\necho kneaded\n");
    bundle.set("/process/cwd", "/opt").run().stdout_is("kneaded");
}

#[test]
fn args0_is_what_config_json_says() {
    Bundle::program(["sh", "-c", "tr '\\000' ' ' < /proc/$$/cmdline; true"]).run().stdout_has("sh -c");
}

#[test]
fn no_arguments_are_refused() {
    for args in [json!([]), json!([""]), Value::Null] {
        let bundle = Bundle::sh("true").set("/process/args", args);
        bundle.run().fails();
        bundle.leaves_nothing();
    }
}

#[test]
fn a_directory_is_no_program() {
    let bundle = Bundle::program(["/etc"]);
    bundle.run().fails().stderr_has("/etc");
    bundle.leaves_nothing();
}

#[test]
fn the_environment_is_that_of_config_json() {
    let env = json!(["PATH=/bin", "A=1", "B=two words", "EMPTY=", "U=ü"]);
    let bundle = Bundle::program(["/bin/env"]).set("/process/env", env);
    let mut lines = bundle.call_run(&[]).env("LEAK", "yes").run().lines();
    lines.retain(|line| !line.starts_with("HOME="));
    assert_eq!(lines, ["PATH=/bin", "A=1", "B=two words", "EMPTY=", "U=ü"]);
}

#[test]
fn the_last_of_equal_names_wins() {
    not_on!("crun runc<1.2", "keeps both");
    let env = json!(["PATH=/bin", "A=1", "B=2", "A=3"]);
    let lines = Bundle::program(["/bin/env"]).set("/process/env", env).run().lines();
    let found: Vec<_> = lines.iter().filter(|line| line.starts_with("A=")).collect();
    assert_eq!(found, ["A=3"]);
}

#[test]
fn home_comes_from_the_containers_passwd() {
    Bundle::sh("echo $HOME").run().stdout_is("/root");
    Bundle::sh("echo $HOME").user(1000, 1000).run().stdout_is("/home/cook");
    Bundle::sh("echo $HOME").user(4711, 0).run().stdout_is("/");
    Bundle::sh("echo $HOME").env("HOME=/mine").run().stdout_is("/mine");
    Bundle::sh("echo $HOME").without("/etc/passwd").run().stdout_is("/");
    not_on!("runc", "takes a broken line for root's");
    Bundle::sh("echo $HOME").file("/etc/passwd", "garbage\n\nroot:x:zero\n").run().stdout_is("/");
}

#[test]
fn no_environment_at_all() {
    let bundle = Bundle::program(["/bin/env"]).set("/process/env", Value::Null);
    let lines = bundle.run().lines();
    assert!(lines.iter().all(|line| line.starts_with("HOME=")), "{lines:?}");
}

#[test]
fn cwd() {
    Bundle::sh("pwd").set("/process/cwd", "/usr/bin").run().stdout_is("/usr/bin");
}

#[test]
fn cwd_is_made() {
    let bundle = Bundle::sh("pwd; stat -c %u:%g .").set("/process/cwd", "/srv/new/dir");
    bundle.run().stdout_is("/srv/new/dir\n0:0");
}

#[test]
fn a_relative_cwd_is_refused() {
    for cwd in ["", "usr", "./usr"] {
        let bundle = Bundle::sh("true").set("/process/cwd", cwd);
        bundle.try_create().fails().bolo_says("process.cwd");
        bundle.leaves_nothing();
    }
}

#[test]
fn a_cwd_that_only_root_may_enter() {
    use std::os::unix::fs::PermissionsExt;
    let bundle = Bundle::sh("cat /proc/self/status > /dev/null; echo in").dir("/closed").user(1000, 1000);
    std::fs::set_permissions(bundle.in_rootfs("/closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let bundle = bundle.set("/process/cwd", "/closed");
    bundle.run().stdout_is("in");
}

#[test]
fn a_cwd_that_only_the_user_may_enter() {
    // Root of a user namespace has no power over a directory of an id that is not mapped for it; on the host it has.
    use std::os::unix::fs::PermissionsExt;
    let bundle = Bundle::sh("pwd").dir("/home/cook").user(1000, 1000).capabilities(&[]);
    let home = bundle.in_rootfs("/home/cook");
    std::os::unix::fs::chown(&home, Some(1000), Some(1000)).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    bundle.set("/process/cwd", "/home/cook").run().stdout_is("/home/cook");
}

#[test]
fn a_cwd_that_is_a_file_is_refused() {
    let bundle = Bundle::sh("true").set("/process/cwd", "/etc/passwd");
    bundle.run().fails().bolo_says("process.cwd");
    bundle.leaves_nothing();
}

#[test]
fn without_process() {
    let bundle = Bundle::sh("true").remove("/process");
    bundle.run().fails().stderr_has("process");
    bundle.leaves_nothing();
}

#[test]
fn many_arguments_and_variables() {
    let args =
        ["/bin/sh", "-c", "echo $#", "sh"].into_iter().map(str::to_owned).chain((0..5000).map(|n| n.to_string()));
    let env: Vec<_> = (0..2000).map(|n| format!("V{n}={}", "x".repeat(100))).collect();
    Bundle::program(args).set("/process/env", env).run().stdout_is("5000");
}

#[test]
fn it_leads_its_own_session() {
    // Fields 5 and 6 of stat: process group and session (proc_pid_stat(5)).
    Bundle::sh("cut -d' ' -f5,6 /proc/$$/stat").run().stdout_is("1 1");
}

#[test]
fn a_script_whose_interpreter_is_in_the_rootfs() {
    Bundle::program(["/bake"]).script("/bake", "#!/bin/sh\necho baked\n").run().stdout_is("baked");
}

/// The limits are the program's: what makes the container needs more.
#[test]
fn a_limit_too_small_for_the_set_up_is_the_programs() {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4},
        {"type": "RLIMIT_NPROC", "soft": 1, "hard": 1}
    ]);
    let bundle = Bundle::program(["/bin/sh", "-c", "ulimit -n"]).set("/process/rlimits", limits);
    bundle.hook("createContainer", "true").run().stdout_is("4");
}
