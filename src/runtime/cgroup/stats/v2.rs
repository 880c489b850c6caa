//! The files of version 2, in the words of version 1.

use super::{BlkioEntry, Hugetlb, MemoryEntry, Place, Pressure, Psi, Stats, maybe_number, number, pairs, pids};

/// `alone`: there is no version 1 that tells more.
pub(super) fn read(place: &Place, alone: bool, sizes: &[String], stats: &mut Stats) {
    let controllers = place.read("cgroup.controllers").unwrap_or_default();
    let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
    if has("memory") {
        memory(place, stats);
    }
    if has("pids") {
        stats.pids = pids(place);
    } else if alone {
        stats.pids.current = place.pids().map_or(0, |pids| pids.len() as u64);
    }
    if has("io") {
        blkio(place, stats);
    }
    if has("hugetlb") {
        stats.hugetlb = sizes.iter().map(|size| (size.clone(), hugetlb(place, size))).collect();
    }
    if alone {
        cpu(place, stats);
    }
    stats.cpu.psi = psi(place, "cpu.pressure");
    stats.memory.psi = psi(place, "memory.pressure");
    stats.blkio.psi = psi(place, "io.pressure");
}

fn cpu(place: &Place, stats: &mut Stats) {
    let pairs = pairs(place, "cpu.stat");
    let nanoseconds = |name: &str| pairs.get(name).copied().unwrap_or_default().saturating_mul(1000);
    let value = |name: &str| pairs.get(name).copied().unwrap_or_default();
    let cpu = &mut stats.cpu;
    cpu.usage.total = nanoseconds("usage_usec");
    cpu.usage.user = nanoseconds("user_usec");
    cpu.usage.kernel = nanoseconds("system_usec");
    cpu.throttling.periods = value("nr_periods");
    cpu.throttling.throttled_periods = value("nr_throttled");
    cpu.throttling.throttled_time = nanoseconds("throttled_usec");
}

/// Swap is counted with memory, as version 1 does.
fn memory(place: &Place, stats: &mut Stats) {
    let memory = &mut stats.memory;
    memory.raw = pairs(place, "memory.stat");
    memory.cache = memory.raw.get("file").copied().unwrap_or_default();
    let events = pairs(place, "memory.events");
    memory.usage = MemoryEntry {
        limit: number(place, "memory.max"),
        usage: number(place, "memory.current"),
        max: number(place, "memory.peak"), // KERNEL(5.19)
        failcnt: events.get("max").copied().unwrap_or_default(),
    };
    let with = |file: &str, memory: u64| maybe_number(place, file).map_or(0, |swap| swap.saturating_add(memory));
    memory.swap = MemoryEntry {
        limit: with("memory.swap.max", memory.usage.limit),
        usage: with("memory.swap.current", memory.usage.usage),
        max: with("memory.swap.peak", memory.usage.max), // KERNEL(6.5)
        failcnt: pairs(place, "memory.swap.events").get("max").copied().unwrap_or_default(),
    };
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`
fn blkio(place: &Place, stats: &mut Stats) {
    let text = place.read("io.stat").unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for word in words {
            let Some((name, Ok(value))) = word.split_once('=').map(|(name, value)| (name, value.parse())) else {
                continue;
            };
            let bytes = &mut stats.blkio.io_service_bytes_recursive;
            let (table, op) = match name {
                "rbytes" => (bytes, "Read"),
                "wbytes" => (bytes, "Write"),
                "rios" => (&mut stats.blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut stats.blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            table.push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
}

fn hugetlb(place: &Place, size: &str) -> Hugetlb {
    Hugetlb {
        usage: number(place, &format!("hugetlb.{size}.current")),
        max: 0,
        failcnt: pairs(place, &format!("hugetlb.{size}.events")).get("max").copied().unwrap_or_default(),
    }
}

/// Documentation/accounting/psi.rst: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`. None where the kernel does not
/// count it.
fn psi(place: &Place, file: &str) -> Option<Psi> {
    let text = place.read(file).ok()?;
    let mut psi = Psi::default();
    for line in text.lines() {
        let (target, rest) = match line.split_once(' ')? {
            ("some", rest) => (&mut psi.some, rest),
            ("full", rest) => (&mut psi.full, rest),
            _ => continue,
        };
        let value = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let average = |name: &str| value(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        let total = value("total").and_then(|text| text.parse().ok()).unwrap_or_default();
        *target = Pressure { avg10: average("avg10"), avg60: average("avg60"), avg300: average("avg300"), total };
    }
    Some(psi)
}
