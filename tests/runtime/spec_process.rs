//! config.md, Process: what the verbs' tests leave out of it.

use crate::kit::*;

#[track_caller]
fn refused(bundle: Bundle, says: &str) {
    bundle.try_create().fails().bolo_says(says);
    bundle.leaves_nothing();
}

/// An ambient capability must be inheritable too; one that is not cannot be granted (capabilities(7)).
#[test]
fn a_capability_that_cannot_be_granted_is_no_error() {
    let bundle = Bundle::sh("grep CapAmb /proc/self/status").set("/process/capabilities", json!({}));
    let bundle = ["bounding", "permitted", "effective"]
        .iter()
        .fold(bundle, |bundle, set| bundle.capability_set(set, &["CAP_KILL"]))
        .capability_set("ambient", &["CAP_KILL"]);
    bundle.run().ok().stdout_is("CapAmb:\t0000000000000000");
}

#[test]
fn a_console_size_without_a_terminal_is_ignored() {
    let bundle = Bundle::sh("test -t 0 || echo no terminal");
    bundle.set("/process/consoleSize", json!({"height": 10, "width": 20})).run().stdout_is("no terminal");
}

#[test]
fn without_oom_score_adj_it_is_the_callers() {
    let bundle = Bundle::program(["cat", "/proc/self/oom_score_adj"]);
    bundle.call_run(&[]).prelude("echo 234 > /proc/self/oom_score_adj").run().stdout_is("234");
}

#[test]
fn a_scheduler_without_a_policy_is_refused() {
    not_on!("runc<1.2 crun<1.9", "no scheduler");
    for scheduler in [json!({}), json!({"policy": ""}), json!({"policy": "SCHED_BREAD"}), json!({"nice": 3})] {
        refused(Bundle::sh("true").set("/process/scheduler", scheduler), "process.scheduler");
    }
}

#[test]
fn an_io_priority_without_a_class_is_refused() {
    not_on!("runc<1.2 crun<1.9", "no ioPriority");
    for priority in [json!({"priority": 3}), json!({"class": "", "priority": 3}), json!({"class": "IOPRIO_CLASS_NO"})] {
        refused(Bundle::sh("true").set("/process/ioPriority", priority), "process.ioPriority.class");
    }
}

#[test]
fn exec_without_a_final_affinity_leaves_it_to_the_cgroup() {
    let container = Bundle::idle().start();
    let script = "grep Cpus_allowed_list /proc/self/status";
    let whole = container.exec(script).text();
    let affinity = ["taskset", "--cpu-list", "0"];
    let words = container.call_exec(&[], &["sh", "-c", script]).under(affinity).run().text();
    assert!(words == whole || words.ends_with("\t0"), "{words} beside {whole}");
}

#[test]
fn exec_has_the_initial_and_then_the_final_affinity() {
    not_on!("runc<1.2 crun<1.20", "no execCPUAffinity");
    let bundle = Bundle::idle().set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}));
    let container = bundle.start();
    container.exec("grep Cpus_allowed_list /proc/self/status").stdout_is("Cpus_allowed_list:\t0");
    for affinity in [json!({"initial": "bread"}), json!({"final": "0-"}), json!({"final": "3-1"})] {
        bolo_only!("refused early");
        refused(Bundle::sh("true").set("/process/execCPUAffinity", affinity), "process.execCPUAffinity");
    }
}

#[test]
fn the_console_is_the_terminal() {
    let bundle = Bundle::sh("stat -c %t:%T /dev/console; stat -L -c %t:%T /proc/self/fd/0; tty");
    let receiver = socket::Receiver::listen(bundle.path("console.sock"));
    let bundle = bundle.set("/process/terminal", true);
    bundle.call_create(&["--console-socket", receiver.path()]).run().ok();
    let (_, mut fds) = receiver.receive();
    assert_eq!(fds.len(), 1, "one descriptor");
    let mut terminal = pty::Terminal::from(fds.remove(0));
    bundle.verb("start").ok();
    let text = terminal.wait_for_end().replace('\r', "");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text:?}");
    assert_eq!(lines[0], lines[1], "/dev/console is not the terminal");
    assert!(lines[0].starts_with("88:"), "/dev/console is no pty: {text}");
    bundle.call(["delete", "--force", bundle.id()]).run().ok();
}

#[test]
fn a_memory_policy_without_a_mode_is_refused() {
    not_on!("runc<1.4 crun<1.26", "no memory policy");
    for policy in [json!({"nodes": "0"}), json!({"mode": "", "nodes": "0"}), json!({"mode": "MPOL_BREAD"})] {
        refused(Bundle::sh("true").set("/linux/memoryPolicy", policy), "linux.memoryPolicy.mode");
    }
}

#[test]
fn a_personality_without_a_domain_is_refused() {
    not_on!("runc<1.2", "no personality");
    for personality in [json!({}), json!({"domain": ""}), json!({"domain": "BREAD"})] {
        refused(Bundle::sh("true").set("/linux/personality", personality), "linux.personality.domain");
    }
}
