//! What a running container uses of the machine, by its cgroup and its network namespace.

use super::Listed;
use super::processes::{cgroups, file};
use crate::error::Result;
use std::path::PathBuf;
use std::time::Instant;

/// Of proc_pid_stat(5), on every architecture of Linux.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

#[derive(Debug, Clone)]
pub struct Usage {
    pub taken: Instant,
    /// Nanoseconds since the start.
    pub cpu: u64,
    /// Bytes, without what the kernel only keeps because there is room.
    pub memory: u64,
    /// Bytes: the container's limit, or the machine's memory.
    pub memory_limit: u64,
    pub received: u64,
    pub sent: u64,
    pub read: u64,
    pub written: u64,
    pub pids: u64,
}

pub fn of(listed: &Listed) -> Result<Usage> {
    let pid = listed.state.pid;
    let cgroups = cgroups(pid, &listed.config.id)?;
    if cgroups.is_empty() {
        return without_cgroup(listed);
    }
    let text = |controller: &str, old: &str, new: &str| {
        let path: Option<PathBuf> = file(&cgroups, controller, old, new);
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let cpu = text("cpuacct", "cpuacct.usage", "cpu.stat");
    let cpu = field(&cpu, "usage_usec").map_or_else(|| number(&cpu), |microseconds| microseconds.saturating_mul(1000));
    let all = number(&text("memory", "memory.usage_in_bytes", "memory.current"));
    let stat = text("memory", "memory.stat", "memory.stat");
    let idle = field(&stat, "total_inactive_file").or_else(|| field(&stat, "inactive_file")).unwrap_or(0);
    let (read, written) = block(&text("blkio", "blkio.throttle.io_service_bytes", "io.stat"));
    let (received, sent) = network(&std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default());
    let limit = listed.config.resources["memory"]["limit"].as_u64();
    Ok(Usage {
        taken: Instant::now(),
        cpu,
        memory: all.saturating_sub(idle),
        memory_limit: limit.unwrap_or_else(machine_memory),
        received,
        sent,
        read,
        written,
        pids: number(&text("pids", "pids.current", "pids.current")),
    })
}

/// What the processes that are there now say of themselves.
fn without_cgroup(listed: &Listed) -> Result<Usage> {
    let pids = super::processes::of(listed.state.pid, &listed.config.id)?;
    let read = |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let (mut cpu, mut memory): (u64, u64) = (0, 0);
    for pid in &pids {
        let stat = read(*pid, "stat");
        // Behind the name, which may hold anything; user and system time of it and of its children that have ended.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks: u64 = fields.iter().skip(11).take(4).map(|field| number(field)).sum();
        cpu = cpu.saturating_add(ticks.saturating_mul(NANOSECONDS_PER_TICK));
        memory = memory.saturating_add(resident(&read(*pid, "status")));
    }
    let (received, sent) = network(&read(listed.state.pid, "net/dev"));
    let memory_limit = machine_memory();
    let (taken, pids) = (Instant::now(), pids.len() as u64);
    Ok(Usage { taken, cpu, memory, memory_limit, received, sent, read: 0, written: 0, pids })
}

/// Bytes, of what proc_pid_status(5) says.
fn resident(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    number(line.and_then(|line| line.split_whitespace().next()).unwrap_or_default()).saturating_mul(1024)
}

impl Usage {
    /// Percent of one CPU since `before`.
    pub fn cpu_percent(&self, before: &Usage) -> f64 {
        let elapsed = self.taken.duration_since(before.taken).as_nanos();
        if elapsed == 0 { 0.0 } else { self.cpu.saturating_sub(before.cpu) as f64 / elapsed as f64 * 100.0 }
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Bytes of memory of this machine.
pub fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024)
}

/// Both forms: `8:0 Read 4096`, and `8:0 rbytes=4096 wbytes=0 ...`.
fn block(text: &str) -> (u64, u64) {
    let (mut read, mut written): (u64, u64) = (0, 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            let next = || words.get(at + 1).map_or(0, |word| number(word));
            match word.split_once('=') {
                Some(("rbytes", bytes)) => read = read.saturating_add(number(bytes)),
                Some(("wbytes", bytes)) => written = written.saturating_add(number(bytes)),
                None if *word == "Read" => read = read.saturating_add(next()),
                None if *word == "Write" => written = written.saturating_add(next()),
                _ => {}
            }
        }
    }
    (read, written)
}

/// Bytes of all links but the loopback (proc_pid_net(5)).
fn network(text: &str) -> (u64, u64) {
    let (mut received, mut sent): (u64, u64) = (0, 0);
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':').filter(|(name, _)| name.trim() != "lo") else {
            continue;
        };
        let counters: Vec<u64> = counters.split_whitespace().map(number).collect();
        if !name.contains('|') {
            received = received.saturating_add(counters.first().copied().unwrap_or(0));
            sent = sent.saturating_add(counters.get(8).copied().unwrap_or(0));
        }
    }
    (received, sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_in_both_forms() {
        assert_eq!(block("8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2"), (11, 22));
        assert_eq!(block("8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30"), (10, 20));
        let dev = "Inter-| Receive\n face |bytes\n    lo: 7 0 0 0 0 0 0 0 7\n  eth0: 100 1 0 0 0 0 0 0 200 2";
        assert_eq!(network(dev), (100, 200));
        assert_eq!(field("usage_usec 5\nuser_usec 1", "usage_usec"), Some(5));
        assert!(machine_memory() > 0);
    }
}
