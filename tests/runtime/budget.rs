//! A budget of system calls per verb, so that no path grows unseen. What the C library and the standard library do before
//! `main`, and what any of them needs for memory, is not counted: it differs between builds, and is not ours.

use crate::kit::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Counts = BTreeMap<String, usize>;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtime/budget.json");

/// Memory, stacks and signal dispositions, which the libraries see to when they like.
const LIBRARY: [&str; 19] = [
    "arch_prctl",
    "brk",
    "futex",
    "getrandom",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "restart_syscall",
    "gettid",
    "sched_getaffinity",
];

/// A pure cgroup v2 mount, whatever the host has: each hierarchy of version 1 costs further calls.
const V2: [&str; 8] = [
    "unshare",
    "--mount",
    "--propagation",
    "slave",
    "sh",
    "-euc",
    "umount -Rl /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec \"$@\"",
    "sh",
];

#[test]
fn no_verb_makes_more_system_calls_than_it_may() {
    bolo_only!("the budget is ours");
    needs!(host::program("strace"), "no strace");
    needs!(!peer::is_traced(), "strace is busy already");
    let counted: BTreeMap<String, Counts> = every_verb().into_iter().map(|(verb, log)| (verb, count(&log))).collect();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, serde_json::to_string_pretty(&counted).unwrap() + "\n").unwrap();
    }
    let budget: BTreeMap<String, Counts> = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let verbs = |table: &BTreeMap<String, Counts>| table.keys().cloned().collect::<Vec<_>>();
    assert_eq!(verbs(&counted), verbs(&budget), "{FILE} is of other verbs: UPDATE=1 writes it again");
    let mut verdict = String::new();
    for (verb, counts) in &counted {
        let allowed = &budget[verb];
        let (used, allowed_sum): (usize, usize) = (counts.values().sum(), allowed.values().sum());
        // A race or two between parent and child decide about a call here and there.
        if used.abs_diff(allowed_sum) > 3 + allowed_sum / 50 {
            let names: BTreeSet<_> = counts.keys().chain(allowed.keys()).collect();
            let of = |table: &Counts, name: &str| table.get(name).copied().unwrap_or(0);
            let differs = names.into_iter().filter(|name| of(counts, name) != of(allowed, name));
            let list: Vec<_> =
                differs.map(|name| format!("{name} {} (was {})", of(counts, name), of(allowed, name))).collect();
            verdict += &format!("{verb}: {used} calls, the budget has {allowed_sum}: {}\n", list.join(", "));
        }
    }
    assert!(
        verdict.is_empty(),
        "{verdict}If that is meant: UPDATE=1 writes the budget again, and the commit says why."
    );
}

/// The verbs of a container's life, each with strace's log.
fn every_verb() -> Vec<(String, String)> {
    let bundle = Bundle::program(["/bin/true"]).set("/linux/maskedPaths", json!(["/proc/kcore", "/proc/timer_list"]));
    let idle = bundle.scene().idle();
    let logs = bundle.host_dir("logs");
    let traced = |verb: &str, call: Call| {
        let log = logs.join(verb);
        let strace = ["strace", "-DDD", "-f", "-q", "-o", log.to_str().unwrap()];
        call.under(strace).under(V2).run().ok();
        log
    };
    let mut all = vec![("run", traced("run", bundle.call_run(&[])))];
    all.push(("create", traced("create", idle.call_create(&[]))));
    for verb in ["state", "start"] {
        all.push((verb, traced(verb, idle.call([verb, idle.id()]))));
    }
    all.push(("exec", traced("exec", idle.call(["exec", idle.id(), "/bin/true"]))));
    all.push(("kill", traced("kill", idle.call(["kill", idle.id(), "WINCH"]))));
    idle.call(["kill", idle.id(), "KILL"]).run().ok();
    wait("the container's end", || idle.verb("state").json()["status"] == "stopped");
    all.push(("delete", traced("delete", idle.call(["delete", idle.id()]))));
    all.into_iter().map(|(verb, log)| (verb.to_owned(), whole(&log))).collect()
}

/// The log, as soon as it tells the end of everyone in it.
fn whole(log: &Path) -> String {
    until(&format!("the end of {}", log.display()), || {
        let text = std::fs::read_to_string(log).ok()?;
        let pids = |which: fn(&str) -> bool| -> BTreeSet<&str> {
            text.lines()
                .filter_map(|line| line.split_once(' '))
                .filter(|(_, rest)| which(rest))
                .map(|(pid, _)| pid)
                .collect()
        };
        let ended = pids(|rest| rest.trim_start().starts_with("+++ "));
        (!ended.is_empty() && ended == pids(|_| true)).then(|| text.clone())
    })
}

/// Where a traced process is in its life.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// It is the shell before us, or the container's program after us.
    Another,
    /// The libraries begin; the first thing that `main` does is about SIGCHLD.
    Begins,
    Ours,
}

fn count(log: &str) -> Counts {
    let own = peer::RUNTIME.program.to_str().unwrap();
    let mut counts = Counts::new();
    let mut stages: BTreeMap<&str, Stage> = BTreeMap::new();
    let first = log.split(' ').next().unwrap();
    for line in log.lines() {
        let (pid, rest) = line.split_once(' ').unwrap();
        // A process that is new is a child of ours; the first is the shell.
        let stage = stages.entry(pid).or_insert(if pid == first { Stage::Another } else { Stage::Ours });
        // The second half of a call that was interrupted, and ends, have no name here.
        // musl sets what others ask for in open(2); a debug build asks whether a descriptor is open before it closes it.
        if rest.contains("F_SETFD, FD_CLOEXEC") || rest.contains("F_GETFD") {
            continue;
        }
        let Some((name, arguments)) = rest.trim_start().split_once('(').filter(|(name, _)| is_name(name)) else {
            continue;
        };
        match name {
            "execve" if arguments.starts_with(&format!("{own:?}")) => *stage = Stage::Begins,
            "execve" if *stage == Stage::Ours => *stage = Stage::Another,
            "execveat" if *stage == Stage::Ours => *stage = Stage::Begins,
            "rt_sigaction" if *stage == Stage::Begins && arguments.starts_with("SIGCHLD") => *stage = Stage::Ours,
            _ if *stage == Stage::Ours && !LIBRARY.contains(&name) => {
                *counts.entry(same(name).to_owned()).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    counts
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// One name for what C libraries do in several ways.
fn same(name: &str) -> &str {
    match name {
        "open" => "openat",
        "stat" | "fstat" | "lstat" | "newfstatat" | "statx" => "stat",
        "dup3" => "dup2",
        "mkdir" => "mkdirat",
        "readlink" => "readlinkat",
        "rename" | "renameat2" => "renameat",
        "unlink" | "rmdir" => "unlinkat",
        name => name,
    }
}
