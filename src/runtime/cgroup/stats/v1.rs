//! The files of version 1.

use super::{Blkio, BlkioEntry, Hugetlb, MemoryEntry, Place, Stats, list, number, pairs, pids};

/// cpuacct.stat counts ticks of 1/100 s (USER_HZ).
const TICK: u64 = 10_000_000;

pub(super) fn read(place: &Place, sizes: &[String], stats: &mut Stats) {
    for controller in &place.controllers {
        match controller.as_str() {
            "cpu" => throttling(place, stats),
            "cpuacct" => usage(place, stats),
            "cpuset" => cpuset(place, stats),
            "memory" => memory(place, stats),
            "pids" => stats.pids = pids(place),
            "blkio" => stats.blkio = blkio(place),
            "hugetlb" => stats.hugetlb = sizes.iter().map(|size| (size.clone(), hugetlb(place, size))).collect(),
            _ => {}
        }
    }
}

fn throttling(place: &Place, stats: &mut Stats) {
    let pairs = pairs(place, "cpu.stat");
    let value = |name: &str| pairs.get(name).copied().unwrap_or_default();
    stats.cpu.throttling.periods = value("nr_periods");
    stats.cpu.throttling.throttled_periods = value("nr_throttled");
    stats.cpu.throttling.throttled_time = value("throttled_time");
}

fn usage(place: &Place, stats: &mut Stats) {
    let usage = &mut stats.cpu.usage;
    let ticks = pairs(place, "cpuacct.stat");
    let ticks = |name: &str| ticks.get(name).copied().unwrap_or_default().saturating_mul(TICK);
    (usage.user, usage.kernel) = (ticks("user"), ticks("system"));
    usage.total = number(place, "cpuacct.usage");
    let numbers = |file: &str| -> Vec<u64> {
        let text = place.read(file).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    usage.percpu = numbers("cpuacct.usage_percpu");
    usage.percpu_kernel = numbers("cpuacct.usage_percpu_sys");
    usage.percpu_user = numbers("cpuacct.usage_percpu_user");
}

fn cpuset(place: &Place, stats: &mut Stats) {
    let cpuset = &mut stats.cpuset;
    cpuset.cpus = list(&place.read("cpuset.cpus").unwrap_or_default());
    cpuset.mems = list(&place.read("cpuset.mems").unwrap_or_default());
    cpuset.cpu_exclusive = number(place, "cpuset.cpu_exclusive");
    cpuset.mem_hardwall = number(place, "cpuset.mem_hardwall");
    cpuset.mem_exclusive = number(place, "cpuset.mem_exclusive");
    cpuset.memory_migrate = number(place, "cpuset.memory_migrate");
    cpuset.memory_spread_page = number(place, "cpuset.memory_spread_page");
    cpuset.memory_spread_slab = number(place, "cpuset.memory_spread_slab");
    cpuset.memory_pressure = number(place, "cpuset.memory_pressure");
    cpuset.sched_load_balance = number(place, "cpuset.sched_load_balance");
    let level = place.read("cpuset.sched_relax_domain_level").unwrap_or_default();
    cpuset.sched_relax_domain_level = level.trim().parse().unwrap_or_default();
}

fn memory(place: &Place, stats: &mut Stats) {
    let entry = |prefix: &str| MemoryEntry {
        limit: number(place, &format!("{prefix}.limit_in_bytes")),
        usage: number(place, &format!("{prefix}.usage_in_bytes")),
        max: number(place, &format!("{prefix}.max_usage_in_bytes")),
        failcnt: number(place, &format!("{prefix}.failcnt")),
    };
    let memory = &mut stats.memory;
    memory.raw = pairs(place, "memory.stat");
    memory.cache = memory.raw.get("cache").copied().unwrap_or_default();
    memory.usage = entry("memory");
    memory.swap = entry("memory.memsw");
    memory.kernel = entry("memory.kmem");
    memory.kernel_tcp = entry("memory.kmem.tcp");
}

fn hugetlb(place: &Place, size: &str) -> Hugetlb {
    Hugetlb {
        usage: number(place, &format!("hugetlb.{size}.usage_in_bytes")),
        max: number(place, &format!("hugetlb.{size}.max_usage_in_bytes")),
        failcnt: number(place, &format!("hugetlb.{size}.failcnt")),
    }
}

/// Which counters there are depends on the I/O scheduler and on how the kernel was built: the first that tell anything.
fn blkio(place: &Place) -> Blkio {
    let read = |file: &str| entries(&place.read(file).unwrap_or_default());
    for prefix in ["blkio.bfq.", "blkio."] {
        let of = |name: &str| read(&format!("{prefix}{name}_recursive"));
        let blkio = Blkio {
            io_service_bytes_recursive: of("io_service_bytes"),
            io_serviced_recursive: of("io_serviced"),
            io_queue_recursive: of("io_queued"),
            io_service_time_recursive: of("io_service_time"),
            io_wait_time_recursive: of("io_wait_time"),
            io_merged_recursive: of("io_merged"),
            io_time_recursive: read(&format!("{prefix}time_recursive")),
            sectors_recursive: of("sectors"),
            psi: None,
        };
        if !blkio.io_serviced_recursive.is_empty() {
            return blkio;
        }
    }
    let either = |name: &str| match read(&format!("blkio.throttle.{name}_recursive")) {
        found if found.is_empty() => read(&format!("blkio.throttle.{name}")),
        found => found,
    };
    Blkio {
        io_service_bytes_recursive: either("io_service_bytes"),
        io_serviced_recursive: either("io_serviced"),
        ..Blkio::default()
    }
}

/// `8:0 Read 4096`, `8:0 4096`; the line of the sum has no device.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (device, op, value) = match words.as_slice() {
            [device, op, value] => (device, *op, value),
            [device, value] => (device, "", value),
            _ => return None,
        };
        let (major, minor) = device.split_once(':')?;
        let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
        Some(BlkioEntry { major, minor, op: op.to_owned(), value: value.parse().ok()? })
    };
    text.lines().filter_map(entry).collect()
}
