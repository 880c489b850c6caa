//! `process.user`, capabilities, rlimits, noNewPrivileges, oomScoreAdj.

use crate::kit::*;

#[test]
fn uid_and_gid() {
    Bundle::sh("id -u; id -g; id -ru; id -rg").user(1000, 2000).run().stdout_is("1000\n2000\n1000\n2000");
    let bundle = Bundle::sh("grep -E '^[UG]id' /proc/self/status").user(7, 8);
    bundle.run().stdout_is("Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8");
}

#[test]
fn additional_gids() {
    let bundle = Bundle::sh("grep ^Groups /proc/self/status").user(1000, 1000);
    let groups = bundle.set("/process/user/additionalGids", json!([10, 20, 4000])).run().text();
    let mut groups: Vec<_> = groups.split_whitespace().skip(1).collect();
    groups.sort_unstable();
    groups.retain(|group| *group != "1000");
    assert_eq!(groups, ["10", "20", "4000"]);
}

#[test]
fn no_groups_of_the_caller() {
    let call = Bundle::sh("grep ^Groups /proc/self/status");
    needs!(host::program("setpriv"), "no setpriv");
    let output = call.call_run(&[]).under(["setpriv", "--groups", "3333,4444"]).run();
    output.stdout_lacks("3333").stdout_lacks("4444");
}

#[test]
fn umask() {
    Bundle::sh("umask").run().stdout_is("0022");
    Bundle::sh("umask; touch /x; stat -c %a /x").set("/process/user/umask", 0o077).run().stdout_is("0077\n600");
    Bundle::sh("umask").set("/process/user/umask", 0).run().stdout_is("0000");
    Bundle::sh("umask").call_run(&[]).prelude("umask 0007").run().stdout_is("0022");
}

#[test]
fn the_runtimes_files_do_not_depend_on_the_umask() {
    let bundle = Bundle::sh("stat -c %a /dev/null /mnt/deep");
    let bundle = bundle.tmpfs("/mnt/deep", &["mode=711"]);
    bundle.call_run(&[]).prelude("umask 0777").run().stdout_is("666\n711");
}

/// The five sets as /proc shows them: inheritable, permitted, effective, bounding, ambient.
fn sets(bundle: Bundle) -> Vec<u64> {
    let lines = bundle.args(["grep", "^Cap", "/proc/self/status"]).run().lines();
    lines.iter().map(|line| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()).collect()
}

const KILL: u64 = 1 << 5;
const NET_BIND: u64 = 1 << 10;
const CHOWN: u64 = 1;

#[test]
fn five_capability_sets() {
    let bundle = Bundle::sh("").user(1000, 1000);
    let bundle = bundle.capability_set("bounding", &["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN"]);
    let bundle = bundle.capability_set("permitted", &["CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let bundle = bundle.capability_set("effective", &["CAP_KILL"]).capability_set("inheritable", &["CAP_KILL"]);
    let shown = sets(bundle.capability_set("ambient", &["CAP_KILL"]));
    assert_eq!(shown, [KILL, KILL, KILL, KILL | NET_BIND | CHOWN, KILL]);
}

#[test]
fn root_has_what_is_bounding() {
    let shown = sets(Bundle::sh("").set("/process/noNewPrivileges", false));
    let all = KILL | NET_BIND | 1 << 29;
    assert_eq!(shown, [0, all, all, all, 0]);
}

#[test]
fn nothing_inheritable_unless_asked_for() {
    let shown = sets(Bundle::sh(""));
    assert_eq!((shown[0], shown[4]), (0, 0));
}

#[test]
fn a_user_has_none_without_ambient() {
    let shown = sets(Bundle::sh("").user(1000, 1000));
    assert_eq!(shown[..3], [0, 0, 0]);
}

#[test]
fn no_capabilities_means_none() {
    not_on!("runc<1.3", "all of them");
    not_on!("crun", "all of them");
    assert_eq!(sets(Bundle::sh("").remove("/process/capabilities")), [0; 5]);
    assert_eq!(sets(Bundle::sh("").set("/process/capabilities", json!({}))), [0; 5]);
}

/// What a privileged container is on a host that keeps a capability back.
#[test]
fn what_the_caller_lacks_is_passed_over_with_a_warning() {
    not_on!("runc", "refuses");
    not_on!("crun<1.29", "refuses");
    let less = ["capsh", "--drop=cap_net_bind_service", "--", "-c", "exec \"$@\"", "sh"];
    needs!(host::program("capsh"), "no capsh");
    let names = ["CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let bundle = Bundle::sh("grep ^Cap /proc/self/status").capabilities(&names);
    let bundle = bundle.capability_set("ambient", &names).capability_set("inheritable", &names);
    let output = bundle.call_run(&[]).under(less).run();
    let output = output.stderr_has("process.capabilities: passing over what").stderr_has(": CAP_NET_BIND_SERVICE");
    let shown = output.lines();
    assert_eq!(shown.len(), 5);
    for line in shown {
        assert_eq!(u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap(), KILL, "{line}");
    }
}

#[test]
fn a_further_process_too_gets_what_the_caller_has() {
    not_on!("runc", "refuses");
    not_on!("crun<1.29", "refuses");
    needs!(host::program("capsh"), "no capsh");
    let container = Bundle::idle().start();
    let less = ["capsh", "--drop=cap_kill", "--", "-c", "exec \"$@\"", "sh"];
    let flags = ["--cap", "CAP_KILL", "--cap", "CAP_CHOWN"];
    let output = container.call_exec(&flags, &["grep", "CapEff", "/proc/self/status"]).under(less).run();
    output.stdout_has("CapEff:\t0000000020000401").stderr_has("CAP_KILL");
}

#[test]
fn an_unknown_capability_is_warned_about() {
    not_on!("crun<1.29", "silent");
    let bundle = Bundle::sh("echo fine").capabilities(&["CAP_KILL", "CAP_BAKE_BREAD"]);
    bundle.run().stdout_is("fine").stderr_has("CAP_BAKE_BREAD");
}

#[test]
fn rlimits() {
    let bundle = Bundle::sh("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Ss").set(
        "/process/rlimits",
        json!([
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608}
        ]),
    );
    bundle.run().stdout_is("100\n200\n0\n4096");
}

#[test]
fn every_rlimit_has_a_name() {
    let names = [
        ("AS", "Max address space"),
        ("CORE", "Max core file size"),
        ("CPU", "Max cpu time"),
        ("DATA", "Max data size"),
        ("FSIZE", "Max file size"),
        ("LOCKS", "Max file locks"),
        ("MEMLOCK", "Max locked memory"),
        ("MSGQUEUE", "Max msgqueue size"),
        ("NICE", "Max nice priority"),
        ("NOFILE", "Max open files"),
        ("NPROC", "Max processes"),
        ("RSS", "Max resident set"),
        ("RTPRIO", "Max realtime priority"),
        ("RTTIME", "Max realtime timeout"),
        ("SIGPENDING", "Max pending signals"),
        ("STACK", "Max stack size"),
    ];
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    // Half of what this process has at most, so that nobody needs CAP_SYS_RESOURCE.
    let value = |row: &str| {
        let line = own.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("{row}"));
        let hard = line[row.len()..].split_whitespace().nth(1).unwrap();
        hard.parse::<u64>().map_or(1 << 40, |hard| hard / 2)
    };
    let limits: Vec<_> = names
        .iter()
        .map(|(name, row)| json!({"type": format!("RLIMIT_{name}"), "soft": value(row), "hard": value(row)}))
        .collect();
    let shown = Bundle::sh("cat /proc/self/limits").set("/process/rlimits", limits).run().text();
    for (name, row) in names {
        let line = shown.lines().find(|line| line.starts_with(row)).unwrap();
        let words: Vec<_> = line[row.len()..].split_whitespace().collect();
        assert_eq!(words[..2], [value(row).to_string(), value(row).to_string()], "RLIMIT_{name}");
    }
}

#[test]
fn infinity_is_the_greatest_number() {
    let hard = Bundle::sh("ulimit -Hc").set("/process/rlimits", json!([])).run().text();
    needs!(hard == "unlimited", "core files are limited");
    let limit = json!([{"type": "RLIMIT_CORE", "soft": u64::MAX, "hard": u64::MAX}]);
    Bundle::sh("ulimit -Hc").set("/process/rlimits", limit).run().stdout_is("unlimited");
}

#[test]
fn raising_an_rlimit() {
    needs!(host::cap_sys_resource(), "no CAP_SYS_RESOURCE");
    let limit = json!([{"type": "RLIMIT_NOFILE", "soft": 1_000_000, "hard": 1_000_000}]);
    Bundle::sh("ulimit -Hn").set("/process/rlimits", limit).run().stdout_is("1000000");
}

#[test]
fn unknown_and_repeated_rlimits_are_refused() {
    let limit = json!({"type": "RLIMIT_FLOUR", "soft": 1, "hard": 1});
    Bundle::sh("true").set("/process/rlimits", json!([limit])).try_create().fails().stderr_has("RLIMIT_FLOUR");
    let limit = json!({"type": "RLIMIT_NOFILE", "soft": 10, "hard": 10});
    not_on!("crun runc<1.2", "one of them wins");
    let bundle = Bundle::sh("true").set("/process/rlimits", json!([limit, limit]));
    bundle.try_create().fails().stderr_has("RLIMIT_NOFILE");
}

#[test]
fn soft_above_hard_is_refused() {
    let limit = json!([{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 10}]);
    Bundle::sh("true").set("/process/rlimits", limit).try_create().fails();
}

#[test]
fn no_new_privileges() {
    for (value, shown) in [(true, "1"), (false, "0")] {
        let bundle = Bundle::sh("grep ^NoNewPrivs /proc/self/status").set("/process/noNewPrivileges", value);
        bundle.run().stdout_is(&format!("NoNewPrivs:\t{shown}"));
    }
}

#[test]
fn set_user_id_programs_respect_it() {
    use std::os::unix::fs::PermissionsExt;
    // busybox gives up such a right for all but a few programs; su is one, and asks for no password where none is set.
    let bundle = Bundle::program(["/suid/su", "-c", "id -u"]).user(1000, 1000).dir("/suid");
    let bundle = bundle.file("/etc/passwd", "root::0:0:root:/root:/bin/sh\ncook:x:1000:1000::/:/bin/sh\n");
    let bundle = bundle.capabilities(&[]).capability_set("bounding", &["CAP_SETUID", "CAP_SETGID"]);
    let program = bundle.in_rootfs("/suid/su");
    std::fs::copy(bundle.in_rootfs("/bin/busybox"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).unwrap();
    bundle.run().fails();
    bundle.set("/process/noNewPrivileges", false).run().stdout_is("0");
}

#[test]
fn oom_score_adj() {
    let bundle = Bundle::sh("cat /proc/self/oom_score_adj").set("/process/oomScoreAdj", 321);
    bundle.run().stdout_is("321");
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    Bundle::sh("cat /proc/self/oom_score_adj").run().stdout_is(own.trim());
}

#[test]
fn oom_score_adj_in_a_user_namespace() {
    let bundle = Bundle::sh("cat /proc/self/oom_score_adj").set("/process/oomScoreAdj", 321);
    bundle.user_namespace(100_000).run().stdout_is("321");
}

#[test]
fn an_oom_score_adj_out_of_range_is_refused() {
    let bundle = Bundle::sh("true").set("/process/oomScoreAdj", 1001);
    bundle.try_create().fails();
    bundle.leaves_nothing();
}

#[test]
fn ids_are_parsed_strictly() {
    not_on!("crun", "4294967295 becomes root");
    for uid in [json!(-1), json!(4_294_967_296_u64), json!("0"), json!(1.5)] {
        let bundle = Bundle::sh("id -u").set("/process/user/uid", uid);
        bundle.run().fails();
        bundle.leaves_nothing();
    }
    let bundle = Bundle::sh("id -u").set("/process/user/uid", json!(4_294_967_295_u64));
    bundle.run().fails();
    let bundle = Bundle::sh("id -g").set("/process/user/gid", json!(4_294_967_295_u64));
    bundle.run().fails();
}

#[test]
fn the_greatest_id() {
    not_on!("runc", "up to 2147483647");
    Bundle::sh("id -u; id -g").user(4_294_967_294, 4_294_967_294).run().stdout_is("4294967294\n4294967294");
}

#[test]
fn there_is_no_way_back_to_root() {
    let bundle = Bundle::sh("setpriv --reuid 0 id -u || su -c id").user(1000, 1000);
    bundle.run().fails();
}

#[test]
fn dumpable_again_after_exec() {
    let bundle = Bundle::sh("stat -c %u:%g /proc/self/environ; cat /proc/self/environ > /dev/null && echo read");
    bundle.user(1000, 1000).run().stdout_is("1000:1000\nread");
}
