//! What a container uses, in the shape of `events --stats` that engines read (runc's `types/events.go`): the names of
//! version 1, on version 2 too; what is zero and may be absent is left out. Times are nanoseconds.

mod v1;
mod v2;

use super::place::Place;
use crate::error::Result;
use crate::sys::{self, OFlag, fd, kernfs};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::fd::AsFd;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Structures; a member after `omit` is left out where it is zero or empty.
macro_rules! stats {
    ($($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
        omit $($(#[$omit_meta:meta])* pub $omit:ident: $omit_kind:ty,)*
    })*) => {$(
        #[derive(Debug, Clone, Default, PartialEq, Serialize)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)*
            $(#[serde(skip_serializing_if = "is_default")] $(#[$omit_meta])* pub $omit: $omit_kind,)*
        }
    )*};
}

stats! {
    pub struct Stats {
        pub cpu: Cpu,
        pub cpuset: Cpuset,
        pub memory: Memory,
        pub pids: Pids,
        pub blkio: Blkio,
        /// By the kernel's name of the page size.
        pub hugetlb: BTreeMap<String, Hugetlb>,
        pub intel_rdt: IntelRdt,
        /// Engines count packets themselves.
        pub network_interfaces: Option<()>,
        omit
    }

    pub struct Cpu {
        pub usage: CpuUsage,
        pub throttling: Throttling,
        omit
        pub psi: Option<Psi>,
    }

    pub struct CpuUsage {
        pub kernel: u64,
        pub user: u64,
        omit
        pub total: u64,
        pub percpu: Vec<u64>,
        pub percpu_kernel: Vec<u64>,
        pub percpu_user: Vec<u64>,
    }

    #[serde(rename_all = "camelCase")]
    pub struct Throttling {
        omit
        pub periods: u64,
        pub throttled_periods: u64,
        pub throttled_time: u64,
    }

    pub struct Cpuset {
        pub cpu_exclusive: u64,
        pub mem_hardwall: u64,
        pub mem_exclusive: u64,
        pub memory_migrate: u64,
        pub memory_spread_page: u64,
        pub memory_spread_slab: u64,
        pub memory_pressure: u64,
        pub sched_load_balance: u64,
        pub sched_relax_domain_level: i64,
        omit
        pub cpus: Vec<u16>,
        pub mems: Vec<u16>,
    }

    pub struct Memory {
        pub usage: MemoryEntry,
        /// Memory and swap together.
        pub swap: MemoryEntry,
        pub kernel: MemoryEntry,
        #[serde(rename = "kernelTCP")]
        pub kernel_tcp: MemoryEntry,
        omit
        pub cache: u64,
        /// `memory.stat`
        pub raw: BTreeMap<String, u64>,
        pub psi: Option<Psi>,
    }

    pub struct MemoryEntry {
        pub limit: u64,
        pub failcnt: u64,
        omit
        pub usage: u64,
        pub max: u64,
    }

    pub struct Pids {
        omit
        pub current: u64,
        /// 0: unlimited.
        pub limit: u64,
    }

    #[serde(rename_all = "camelCase")]
    pub struct Blkio {
        omit
        pub io_service_bytes_recursive: Vec<BlkioEntry>,
        pub io_serviced_recursive: Vec<BlkioEntry>,
        pub io_queue_recursive: Vec<BlkioEntry>,
        pub io_service_time_recursive: Vec<BlkioEntry>,
        pub io_wait_time_recursive: Vec<BlkioEntry>,
        pub io_merged_recursive: Vec<BlkioEntry>,
        pub io_time_recursive: Vec<BlkioEntry>,
        pub sectors_recursive: Vec<BlkioEntry>,
        pub psi: Option<Psi>,
    }

    pub struct BlkioEntry {
        omit
        pub major: u64,
        pub minor: u64,
        pub op: String,
        pub value: u64,
    }

    pub struct Hugetlb {
        pub failcnt: u64,
        omit
        pub usage: u64,
        pub max: u64,
    }

    pub struct IntelRdt {
        omit
    }

    /// Documentation/accounting/psi.rst
    pub struct Psi {
        pub some: Pressure,
        pub full: Pressure,
        omit
    }

    /// Percents of the last 10, 60 and 300 seconds, and microseconds in total.
    pub struct Pressure {
        pub avg10: f64,
        pub avg60: f64,
        pub avg300: f64,
        pub total: u64,
        omit
    }
}

pub(super) fn read(places: &[Place]) -> Result<Stats> {
    let sizes = huge_page_sizes();
    let mut stats = Stats::default();
    for place in places {
        if place.is_v2() {
            v2::read(place, places.len() == 1, &sizes, &mut stats);
        } else {
            v1::read(place, &sizes, &mut stats);
        }
    }
    Ok(stats)
}

/// `hugepages-2048kB` is 2MB in the names of the files of cgroups.
fn huge_page_sizes() -> Vec<String> {
    let list = || {
        let directory = fd::open(c"/sys/kernel/mm/hugepages", OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        kernfs::subdirectories(directory.as_fd())
    };
    let names: sys::Result<Vec<_>> = list();
    let size = |name: &std::ffi::CString| {
        let kilobytes: u64 = name.to_str().ok()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        Some(match kilobytes {
            0..1024 => format!("{kilobytes}KB"),
            1024..1_048_576 => format!("{}MB", kilobytes / 1024),
            _ => format!("{}GB", kilobytes / 1_048_576),
        })
    };
    names.unwrap_or_default().iter().filter_map(size).collect()
}

/// One number; 0 where there is no such file.
fn number(place: &Place, file: &str) -> u64 {
    maybe_number(place, file).unwrap_or_default()
}

/// One number, or `max`, which is the greatest there is.
fn maybe_number(place: &Place, file: &str) -> Option<u64> {
    match place.read(file).ok()?.trim() {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// Lines of a word and a number.
fn pairs(place: &Place, file: &str) -> BTreeMap<String, u64> {
    let text = place.read(file).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

fn pids(place: &Place) -> Pids {
    let limit = number(place, "pids.max");
    Pids { current: number(place, "pids.current"), limit: if limit == u64::MAX { 0 } else { limit } }
}

/// `0-3,7`
fn list(text: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

#[cfg(test)]
mod tests;
