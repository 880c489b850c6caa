//! What the options of `run` do, seen from inside the container.

use crate::forno;
use crate::{NONE, Oven, skip};

/// Runs a script in a container with these options; what it said.
#[track_caller]
fn sh(oven: &Oven, options: &[&str], script: &str) -> String {
    let args = [&["run", "--rm", NONE][..], options, &["box", "busybox", "sh", "-c", script]].concat();
    oven.ok(&args)
}

#[test]
fn limits_reach_the_runtime() {
    let oven = Oven::new("limits");
    let options =
        ["--memory", "64m", "--memory-swap", "-1", "--cpus", "0.5", "--pids-limit", "33", "--cpuset-cpus", "0"];
    oven.ok(&[&["create", "--name", "limited", NONE, "--oom-score-adj", "77"][..], &options, &["box", "sleep", "99"]]
        .concat());
    oven.ok(&["start", "limited"]);
    let pid = oven.ok(&["inspect", "--format", "{{.State.Pid}}", "limited"]);
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let value = |controller: &str, old: &str, new: &str| {
        let path = |line: &str| line.splitn(3, ':').nth(2).unwrap().to_owned();
        let of = |line: &&str| line.split(':').nth(1).unwrap().split(',').any(|name| name == controller);
        let file = match cgroups.lines().find(of) {
            Some(line) => format!("/sys/fs/cgroup/{controller}{}/{old}", path(line)),
            None => format!("/sys/fs/cgroup{}/{new}", path(cgroups.lines().last().unwrap())),
        };
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}")).trim().to_owned()
    };
    let memory = || value("memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory(), (64 << 20).to_string());
    assert_eq!(value("pids", "pids.max", "pids.max"), "33");
    assert_eq!(value("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert!(value("cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "77");
    oven.ok(&["update", "--memory", "96m", "--memory-swap", "-1", "--pids-limit", "44", "limited"]);
    assert_eq!((memory(), value("pids", "pids.max", "pids.max")), ((96 << 20).to_string(), "44".to_owned()));
    oven.ok(&["restart", "-t", "0", "limited"]);
    assert_eq!(
        oven.ok(&["inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", "limited"]),
        "100663296 44"
    );
    oven.fails(125, &["run", "--cpus", "0", "box", "true"], "--cpus");
    oven.fails(125, &["run", "--memory-swap", "1g", "box", "true"], "--memory-swap needs --memory");
}

#[test]
fn devices_and_capabilities() {
    let oven = Oven::new("devices");
    assert_eq!(sh(&oven, &["--device", "/dev/null:/dev/void"], "echo x >/dev/void && echo ok"), "ok");
    let refused = "(echo x >/dev/void) 2>/dev/null || echo refused";
    assert_eq!(sh(&oven, &["--device", "/dev/null:/dev/void:r"], "busybox head -c1 /dev/void; echo read"), "read");
    assert_eq!(sh(&oven, &["--device", "/dev/fuse:/dev/void:r"], refused), "refused");
    let make = "busybox mknod /dev/f c 10 229 && : <>/dev/f && echo opened";
    assert_eq!(sh(&oven, &["--device-cgroup-rule", "c 10:229 rwm"], make), "opened");
    assert_eq!(sh(&oven, &[], &format!("({make}) 2>/dev/null || echo refused")), "refused");
    oven.fails(125, &["run", "--device", "/etc/passwd", "box", "true"], "not a device");
    oven.fails(125, &["run", "--cap-add", "nothing", "box", "true"], "nothing");
    let status = |options: &[&str], name: &str| {
        let out = sh(&oven, options, "busybox cat /proc/self/status");
        out.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs:"), "1");
    assert_eq!((status(&[], "NoNewPrivs:"), status(&[], "Seccomp:")), ("0".to_owned(), "2".to_owned()));
    assert_eq!(status(&["--security-opt", "seccomp=unconfined"], "Seccomp:"), "0");
    assert_eq!(status(&["--privileged"], "Seccomp:"), "0");
    assert!(sh(&oven, &["--privileged"], "busybox grep ' /sys ' /proc/mounts").contains(" rw,"));
    assert_eq!(
        sh(&oven, &["--security-opt", "systempaths=unconfined"], "busybox head -c0 /proc/timer_list; echo ok"),
        "ok"
    );
    oven.fails(125, &["run", "--security-opt", "colour=red", "box", "true"], "colour=red");
    oven.fails(125, &["run", "--userns", "nowhere", "box", "true"], "--userns nowhere");
}

#[test]
fn mounts_and_what_is_read_only() {
    let oven = Oven::new("mounts");
    let shm = "busybox df -k /dev/shm | busybox awk 'END{print $2}'";
    assert_eq!(sh(&oven, &["--shm-size", "3m"], shm), "3072");
    assert_eq!(sh(&oven, &[], shm), "65536");
    let options = ["--tmpfs", "/run:size=1m,exec", "--read-only"];
    let script = "touch /x 2>/dev/null || echo ro; touch /run/x && busybox grep ' /run ' /proc/mounts";
    let out = sh(&oven, &options, script);
    assert!(out.starts_with("ro\n") && out.contains("size=1024k") && !out.contains("noexec"), "{out}");
    let host = oven.root.join("shared");
    std::fs::create_dir_all(&host).unwrap();
    let mount = format!("type=bind,src={},dst=/m,readonly", host.display());
    assert_eq!(sh(&oven, &["--mount", &mount], "touch /m/x 2>/dev/null || echo ro"), "ro");
    oven.fails(125, &["run", "--mount", "type=bind,src=/no/such/place,dst=/m", "box", "true"], "does not exist");
    assert_eq!(sh(&oven, &["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m"], "touch /t/x && echo ok"), "ok");
    oven.ok(&["create", "--name", "first", NONE, "-v", "data:/d", "--mount", &mount, "box", "true"]);
    assert_eq!(sh(&oven, &["--volumes-from", "first:ro"], "ls /d; touch /d/x /m/x 2>/dev/null || echo ro"), "ro");
    assert_eq!(sh(&oven, &["--volumes-from", "first"], "touch /d/x; ls /d"), "x");
}

#[test]
fn names_files_and_kernel_parameters() {
    let oven = Oven::new("names");
    let file = oven.root.join("variables");
    std::fs::write(&file, "# none\nA=1\n\nB=two words\nHOME\n").unwrap();
    let text = file.to_str().unwrap();
    assert_eq!(sh(&oven, &["--env-file", text, "-e", "A=3"], "echo $A,$B"), "3,two words");
    let label = format!("--label-file={text}");
    let id = oven.root.join("cid");
    let cidfile = format!("--cidfile={}", id.display());
    let out = oven.ok(&[
        "create",
        NONE,
        &label,
        "-l",
        "c",
        &cidfile,
        "--stop-signal",
        "INT",
        "--stop-timeout",
        "3",
        "box",
        "true",
    ]);
    assert_eq!(std::fs::read_to_string(&id).unwrap(), out);
    let shown = "{{.Config.Labels.A}} {{.Config.Labels.B}} {{json .Config.Labels.c}} {{.Config.StopSignal}} {{.Config.StopTimeout}}";
    assert_eq!(oven.ok(&["inspect", "-f", shown, &out]), "1 two words \"\" SIGINT 3");
    oven.fails(125, &["create", NONE, &cidfile, "box", "true"], "--cidfile");
    let hosts = ["--add-host", "db:10.1.2.3", "--hostname", "tart", "--domainname", "oven"];
    assert_eq!(
        sh(&oven, &hosts, "busybox grep db /etc/hosts; hostname; cat /etc/hostname"),
        "10.1.2.3\tdb\ntart\ntart"
    );
    let dns = ["--dns", "10.9.9.9", "--dns-search", "oven", "--dns-option", "ndots:3"];
    assert_eq!(sh(&oven, &dns, "cat /etc/resolv.conf"), "nameserver 10.9.9.9\nsearch oven\noptions ndots:3");
    let sysctl = ["--sysctl", "kernel.msgmax=1234"];
    assert_eq!(sh(&oven, &sysctl, "cat /proc/sys/kernel/msgmax"), "1234");
    assert_eq!(sh(&oven, &["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn"), "100\n200");
    assert_eq!(sh(&oven, &["--group-add", "wheel", "-u", "1000"], "id -G"), "1000 10");
    assert_eq!(sh(&oven, &["--pid", "host"], "[ $$ != 1 ] && echo host"), "host");
}

#[test]
fn an_init_reaps_passes_signals_on_and_has_the_programs_exit_code() {
    // As cargo builds it, bolo needs libraries that no image has.
    let bolo = std::fs::read(forno().with_file_name("bolo")).unwrap();
    if bolo.windows(9).any(|text| text == b"/ld-linux") {
        return skip("bolo is not static here");
    }
    let oven = Oven::new("init");
    assert_eq!(sh(&oven, &["--init"], "[ $$ != 1 ] && cat /proc/1/comm"), "init");
    let run = |args: &[&str]| oven.run(&[&["run", "--rm", "--init", NONE, "box"][..], args].concat()).code;
    assert_eq!((run(&["sh", "-c", "exit 7"]), run(&["nosuch"])), (7, 127));
    // Without an init a first process that has no handler would not notice.
    oven.ok(&["run", "-d", "--init", "--name", "asleep", NONE, "box", "sleep", "1000"]);
    oven.ok(&["stop", "-t", "-1", "asleep"]);
    assert_eq!(oven.ok(&["wait", "asleep"]), "143");
    let zombie = "(sleep 0.01 & ) ; sleep 0.3; busybox ps -o stat | busybox grep -c Z";
    assert_eq!(sh(&oven, &["--init"], &format!("{zombie} || true")), "0");
}

#[test]
fn logs_are_turned_over_or_not_kept() {
    let oven = Oven::new("log-options");
    let script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done";
    let log = ["--log-opt", "max-size=4k", "--log-opt", "max-file=2"];
    oven.ok(&[&["run", "--name", "talk", NONE][..], &log, &["box", "sh", "-c", script]].concat());
    let kept = oven.ok(&["logs", "talk"]);
    assert!(kept.lines().count() < 200 && kept.ends_with("line 199"), "{kept}");
    let path = oven.ok(&["inspect", "-f", "{{.LogPath}}", "talk"]);
    assert!(std::fs::metadata(&path).unwrap().len() <= 4096 && std::path::Path::new(&format!("{path}.1")).exists());
    assert!(!std::path::Path::new(&format!("{path}.2")).exists());
    oven.ok(&["run", "--name", "mute", "--log-driver", "none", NONE, "box", "echo", "x"]);
    oven.fails(1, &["logs", "mute"], "keeps no log");
    oven.fails(125, &["run", "--log-driver", "fluentd", "box", "true"], "fluentd");
}

#[test]
fn health_is_checked_and_told() {
    let oven = Oven::new("health");
    let health = ["--health-cmd", "[ -f /well ]", "--health-interval", "100ms", "--health-retries", "2"];
    oven.ok(&[&["run", "-d", "--name", "sick", NONE][..], &health, &["box", "sleep", "1000"]].concat());
    let wait_for = |wanted: &str| {
        while oven.ok(&["inspect", "-f", "{{.State.Health.Status}}", "sick"]) != wanted {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    wait_for("unhealthy");
    assert_eq!(oven.ok(&["ps", "--filter", "health=unhealthy", "--format", "{{.Names}}"]), "sick");
    oven.ok(&["exec", "sick", "touch", "/well"]);
    wait_for("healthy");
    assert!(oven.ok(&["ps", "--format", "{{.Status}}"]).ends_with("(healthy)"));
}
