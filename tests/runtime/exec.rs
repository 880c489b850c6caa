//! `exec`: another process in a running container.

use crate::kit::*;
use nix::sys::signal::Signal;

#[test]
fn runs_in_the_container() {
    let container = Bundle::idle().start();
    container.exec("hostname; cat /etc/passwd | head -n 1").stdout_is("tart\nroot:x:0:0:root:/root:/bin/sh");
    for (kind, file) in [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("mount", "mnt")] {
        let shown = container.exec(&format!("readlink /proc/self/ns/{file}")).text();
        assert_eq!(shown, host::namespace_of(container.pid(), file), "{kind}");
    }
}

#[test]
fn all_namespaces_of_a_user_namespace_container() {
    let container = Bundle::idle().user_namespace(100_000).namespace("cgroup").start();
    for file in ["user", "cgroup", "net"] {
        let shown = container.exec(&format!("readlink /proc/self/ns/{file}")).text();
        assert_eq!(shown, host::namespace_of(container.pid(), file));
    }
    container.exec("id -u; touch /made; stat -c %u /made").stdout_is("0\n0");
}

#[test]
fn in_a_time_namespace() {
    not_on!("runc<1.2", "no time namespace");
    needs!(host::namespace("time"), "no time namespaces");
    let offsets = json!({"boottime": {"secs": 1_000_000}});
    let container = Bundle::idle().namespace("time").set("/linux/timeOffsets", offsets).start();
    let uptime: u64 = container.exec("cut -d. -f1 /proc/uptime").text().parse().unwrap();
    assert!(uptime >= 1_000_000);
}

#[test]
fn exit_codes() {
    let container = Bundle::idle().start();
    for code in [0, 1, 42, 255] {
        container.exec(&format!("exit {code}")).code_is(code);
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        container.exec(&format!("kill -{} $$", signal as i32)).code_is(128 + signal as i32);
    }
}

#[test]
fn what_cannot_be_run_is_255() {
    let container = Bundle::idle().start();
    let missing = container.call_exec(&[], &["/no/such/program"]).run();
    missing.code_is(255).stderr_has("/no/such/program").stderr_has("no such file or directory");
    container.call_exec(&[], &["/etc/passwd"]).run().code_is(255).stderr_has("permission denied");
    container.call_exec(&[], &["sourdough"]).run().code_is(255).stderr_has("sourdough");
}

#[test]
fn an_unknown_container() {
    let output = Scene::new().call(["exec", "nobody", "true"]).run();
    assert!(output.code == 1 || output.code == 255, "{output}");
    output.fails().bolo_says("nobody");
}

#[test]
fn nothing_to_run() {
    let container = Bundle::idle().start();
    container.call_exec(&[], &[]).run().fails();
}

#[test]
fn a_stopped_container() {
    let container = Bundle::sh("true").start();
    container.wait_stopped();
    container.exec("true").fails();
}

#[test]
fn a_created_container() {
    let container = Bundle::idle().create();
    container.exec("echo early; ls /").stdout_has("early\n").stdout_has("etc");
    assert_eq!(container.status(), "created");
}

#[test]
fn stdin_stdout_stderr() {
    let container = Bundle::idle().start();
    let call = container.call_exec(&[], &["/bin/sh", "-c", "cat; echo err >&2"]);
    call.stdin_text("dough").run().stdout_is("dough").stderr_has("err\n");
}

#[test]
fn arguments_that_look_like_flags() {
    let container = Bundle::idle().start();
    container.call_exec(&[], &["/bin/echo", "-e", "--cwd", "-t", "--", "-x"]).run().stdout_is("--cwd -t -- -x");
    container.call(["exec", "--", container.id(), "/bin/echo", "-u", "5"]).run().stdout_is("-u 5");
}

#[test]
fn environment() {
    let container = Bundle::idle().env("FLOUR=rye").start();
    container.exec("echo $FLOUR $PATH").stdout_has("rye /usr/local/sbin");
    let flags = ["-e", "FLOUR=wheat", "-e", "SALT=a b"];
    let call = container.call_exec(&flags, &["/bin/sh", "-c", "echo $FLOUR; echo $SALT; echo $HOME"]);
    call.run().stdout_is("wheat\na b\n/root");
}

#[test]
fn cwd() {
    let container = Bundle::idle().set("/process/cwd", "/usr").start();
    container.exec("pwd").stdout_is("/usr");
    container.call_exec(&["--cwd", "/etc"], &["pwd"]).run().stdout_is("/etc");
    container.call_exec(&["--cwd", "relative"], &["pwd"]).run().fails();
}

#[test]
fn user() {
    let container = Bundle::idle().start();
    let ids = |flags: &[&str]| container.call_exec(flags, &["/bin/sh", "-c", "id -u; id -g"]).run();
    ids(&["-u", "1000"]).stdout_is("1000\n0");
    ids(&["--user", "1000:2000"]).stdout_is("1000\n2000");
    ids(&[]).stdout_is("0\n0");
    ids(&["-u", "2147483647"]).stdout_is("2147483647\n0");
}

#[test]
fn a_bad_user_never_becomes_root() {
    let container = Bundle::idle().start();
    let bad =
        ["4294967295", "4294967296", "18446744073709551616", "-1", "0x3e8", ":5", "5:", "1:2:3", "cook", "1 ", "5:-1"];
    for user in bad {
        not_on!("runc crun", "some of these are root");
        let output = container.call(["exec", &format!("--user={user}"), container.id(), "id", "-u"]).run().fails();
        assert_eq!(output.stdout, "", "{output}");
    }
}

#[test]
fn additional_groups() {
    not_on!("crun", "no -g");
    let container = Bundle::idle().start();
    let groups = container.call_exec(&["-g", "10", "-g", "20"], &["/bin/sh", "-c", "id -G"]).run().text();
    let groups: Vec<_> = groups.split(' ').collect();
    assert!(groups.contains(&"10") && groups.contains(&"20"), "{groups:?}");
}

#[test]
fn inherits_what_config_json_says() {
    not_on!("crun", "inherits less");
    not_on!("runc<1.2", "inherits no user");
    let limit = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]);
    let bundle = Bundle::idle().user(1000, 2000).set("/process/user/additionalGids", json!([30]));
    let bundle = bundle.set("/process/user/umask", 0o27).set("/process/rlimits", limit);
    let container = bundle.set("/process/cwd", "/usr").start();
    let script = "id -u; id -g; umask; ulimit -n; pwd; grep -E '^(NoNewPrivs|CapEff|CapBnd)' /proc/self/status";
    let expected = "1000\n2000\n0027\n99\n/usr\nCapEff:\t0000000000000000\nCapBnd:\t0000000020000420\nNoNewPrivs:\t1";
    container.exec(script).stdout_is(expected);
    assert!(container.exec("id -G").text().contains("30"));
}

#[test]
fn inherits_capabilities_and_no_new_privileges() {
    not_on!("crun", "drops no_new_privs");
    let container = Bundle::idle().start();
    let expected = "CapInh:\t0000000000000000\nCapPrm:\t0000000020000420\nCapEff:\t0000000020000420\n\
        CapBnd:\t0000000020000420\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1";
    container.exec("grep -E '^(Cap|NoNewPrivs)' /proc/self/status").stdout_is(expected);
}

#[test]
fn further_capabilities() {
    let container = Bundle::idle().start();
    let script = ["grep", "-E", "^Cap(Inh|Prm|Eff|Bnd)", "/proc/self/status"];
    let shown = container.call_exec(&["--cap", "CAP_CHOWN", "--cap", "CAP_SYS_ADMIN"], &script).run().lines();
    let value = |line: &String| u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap();
    let added = 1 | 1 << 21;
    assert_eq!(value(&shown[0]), 0, "{shown:?}");
    for line in &shown[1..] {
        assert_eq!(value(line) & added, added, "{shown:?}");
        assert_eq!(value(line) & 1 << 5, 1 << 5, "{shown:?}");
    }
    container.call_exec(&["--cap", "CAP_BAKE"], &["true"]).run().ok().stderr_has("CAP_BAKE");
}

#[test]
fn no_new_privs() {
    let container = Bundle::idle().set("/process/noNewPrivileges", false).start();
    let script = ["grep", "^NoNewPrivs", "/proc/self/status"];
    container.call_exec(&[], &script).run().stdout_is("NoNewPrivs:\t0");
    container.call_exec(&["--no-new-privs"], &script).run().stdout_is("NoNewPrivs:\t1");
}

#[test]
fn inherits_seccomp() {
    let rule = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]});
    let container = Bundle::idle().set("/linux/seccomp", rule).start();
    container.exec("grep ^Seccomp: /proc/self/status").stdout_is("Seccomp:\t2");
    container.exec("mkdir /new").code_is(1);
    assert!(!container.in_rootfs("/new").exists());
}

#[test]
fn in_the_containers_cgroup() {
    let container = Bundle::idle().start();
    let running = container.call_exec(&[], &["/bin/sh", "-c", "echo ready; sleep 1000"]).spawn();
    running.wait_stdout("ready");
    let controller = if host::controller("pids") { "pids" } else { "" };
    let procs = cgroup::procs(&cgroup::of(controller, container.cgroup()));
    assert!(procs.len() >= 3, "{procs:?}");
    container.kill("KILL").ok();
    running.wait().code_is(137);
}

#[test]
fn ends_with_the_container() {
    let container = Bundle::idle().start();
    let running = container.call_exec(&[], &["/bin/sh", "-c", "echo ready; sleep 1000"]).spawn();
    running.wait_stdout("ready");
    container.call(["delete", "--force", container.id()]).run().ok();
    running.wait().code_is(137);
}

#[test]
fn signals_are_passed_on() {
    not_on!("runc<1.2", "does not come back when a child of the program is left");
    let container = Bundle::idle().start();
    let script = "trap 'exit 9' TERM; echo ready; sleep 1000 & while :; do wait; done";
    let running = container.call_exec(&[], &["/bin/sh", "-c", script]).spawn();
    running.wait_stdout("ready").signal(Signal::SIGTERM);
    running.wait().code_is(9);
    assert_eq!(container.status(), "running");
}

#[test]
fn detached_with_a_pid_file() {
    let container = Bundle::idle().start();
    let file = container.path("pid");
    let flags = ["--detach", "--pid-file", file.to_str().unwrap()];
    container.call_exec(&flags, &["sleep", "1000"]).run().ok();
    let pid: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    wait("the program to run", || {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x001000\x00")
    });
    assert_eq!(host::namespace_of(pid, "pid"), host::namespace_of(container.pid(), "pid"));
}

#[test]
fn a_process_from_a_file() {
    let container = Bundle::idle().start();
    let process = json!({"args": ["/bin/sh", "-c", "id -u; pwd; echo $X; grep ^CapEff /proc/self/status"], "cwd": "/usr",
        "env": ["X=from file", "PATH=/bin"], "user": {"uid": 0, "gid": 7},
        "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]}});
    let file = container.host_file("process.json", &process.to_string());
    for flag in ["--process", "-p"] {
        let output = container.call(["exec", flag, file.to_str().unwrap(), container.id()]).run();
        output.stdout_is("0\n/usr\nfrom file\nCapEff:\t0000000000000020");
    }
    let broken = container.host_file("broken.json", "{\"args\": [");
    container.call(["exec", "-p", broken.to_str().unwrap(), container.id()]).run().fails().stderr_has("EOF");
    container.call(["exec", "-p", "/no/such/file", container.id()]).run().fails().stderr_has("/no/such/file");
}

#[test]
fn of_a_file_without_capabilities_gets_none() {
    not_on!("runc<1.3 crun", "those of the container, or all");
    let container = Bundle::idle().start();
    let process = json!({"args": ["grep", "^CapEff", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"]});
    let file = container.host_file("process.json", &process.to_string());
    let output = container.call(["exec", "-p", file.to_str().unwrap(), container.id()]).run().text();
    let all = u64::from_str_radix(output.split('\t').nth(1).unwrap(), 16).unwrap();
    assert_eq!(all & !(1 << 5 | 1 << 10 | 1 << 29), 0, "{output}");
}

#[test]
fn into_a_paused_container() {
    let container = Bundle::idle().start();
    container.verb("pause").ok();
    container.exec("true").fails();
    if !peer::RUNTIME.is("crun runc<1.2") {
        let running = container.call_exec(&["--ignore-paused"], &["/bin/echo", "late"]).spawn();
        std::thread::sleep(std::time::Duration::from_millis(100));
        container.verb("resume").ok();
        running.wait().stdout_is("late");
    } else {
        container.verb("resume").ok();
    }
    container.exec("echo again").stdout_is("again");
}

#[test]
fn in_a_cgroup_below() {
    not_on!("crun<1.9", "other flag");
    needs!(host::controller("pids"), "no pids controller");
    let container = Bundle::idle().start();
    let below = cgroup::of("pids", container.cgroup()).join("below");
    std::fs::create_dir(&below).unwrap();
    let flag = if peer::v2() { "below" } else { "pids:below" };
    let output = container.call_exec(&["--cgroup", flag], &["cat", "/proc/self/cgroup"]).run().text();
    std::fs::remove_dir(&below).unwrap();
    assert!(output.contains("/below"), "{output}");
    container.call_exec(&["--cgroup", "pids:../.."], &["true"]).run().fails();
    container.call_exec(&["--cgroup", "nowhere"], &["true"]).run().fails();
}

#[test]
fn sees_no_descriptor_of_the_runtime() {
    let container = Bundle::idle().start();
    let script = ["/bin/sh", "-c", "ls /proc/self/fd | wc -l; ls /proc/$$/fd; true"];
    let lines = container.call_exec(&[], &script).prelude("exec 5</ 7</etc").run().lines();
    assert_eq!(lines[1..], ["0", "1", "2"], "{lines:?}");
}

#[test]
fn preserves_descriptors() {
    let container = Bundle::idle().start();
    let file = container.host_file("loaf", "rye");
    let call = container.call_exec(&["--preserve-fds", "1"], &["/bin/sh", "-c", "cat <&3; ls /proc/$$/fd; true"]);
    call.prelude(&format!("exec 3<{0} 4<{0}", file.display())).run().stdout_is("rye0\n1\n2\n3");
}

#[test]
fn without_a_pid_namespace() {
    let container = Bundle::idle().without_namespace("pid").start();
    container.exec("echo $$ > /dev/null; hostname").stdout_is("tart");
}

#[test]
fn in_a_joined_pid_namespace() {
    let first = Bundle::program(["sleep", "45678"]).start();
    let path = format!("/proc/{}/ns/pid", first.pid());
    let second = first.scene().idle().join("pid", path).start();
    second.exec("ps").stdout_has("sleep 45678");
}

#[test]
fn many_at_once() {
    let container = Bundle::idle().start();
    let running: Vec<_> =
        (0..12).map(|n| container.call_exec(&[], &["/bin/sh", "-c", &format!("echo {n}; exit {n}")]).spawn()).collect();
    for (number, running) in running.into_iter().enumerate() {
        running.wait().code_is(number as i32).stdout_is(&number.to_string());
    }
    container.exec("ps | grep -c -v 'sleep'").ok();
}

#[test]
fn leaves_no_zombies() {
    let container = Bundle::idle().start();
    for _ in 0..5 {
        container.exec("true").ok();
    }
    container.exec("ps -o stat | grep -c Z").code_is(1).stdout_is("0");
}

#[test]
fn rlimits_from_a_file() {
    let container = Bundle::idle().start();
    let process = json!({"args": ["/bin/sh", "-c", "ulimit -n"], "cwd": "/", "env": ["PATH=/bin"],
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}]});
    let file = container.host_file("process.json", &process.to_string());
    container.call(["exec", "-p", file.to_str().unwrap(), container.id()]).run().stdout_is("55");
}

#[test]
fn a_pidfd_for_whom_it_concerns() {
    not_on!("runc<1.2 crun", "no --pidfd-socket");
    let container = Bundle::idle().start();
    let receiver = socket::Receiver::listen(container.path("pidfd.sock"));
    container.call_exec(&["--pidfd-socket", receiver.path(), "-d"], &["sleep", "1000"]).run().ok();
    let (text, fds) = receiver.receive();
    assert_eq!(text, b"setns");
    assert_eq!(fds.len(), 1);
}
