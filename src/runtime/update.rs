//! `update`: other limits for a container that is there.

use super::Global;
use super::record::Status;
use super::spec::resources::{BlockIo, Cpu, LayOver, Memory, Pids, Resources};
use crate::bail;
use crate::error::{Context, Error, Result};
use std::io::Read;

/// More than any description of limits needs.
const FILE_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    /// File with a `linux.resources` object as in config.json, - for standard input; the other flags are not read then
    #[arg(short, long, value_name = "FILE")]
    resources: Option<String>,
    /// Weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// Length of a period in microseconds
    #[arg(long, value_name = "US")]
    cpu_period: Option<u64>,
    /// CPU time in each period in microseconds, -1 for no limit
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// CPU time that may be saved up in microseconds
    #[arg(long, value_name = "US")]
    cpu_burst: Option<u64>,
    /// CPU weight against other containers, 2 to 262144
    #[arg(long, visible_alias = "cpu-shares", value_name = "SHARES")]
    cpu_share: Option<u64>,
    /// Length of a real-time period in microseconds
    #[arg(long, value_name = "US")]
    cpu_rt_period: Option<u64>,
    /// Real-time CPU time in each period in microseconds
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// CPUs to run on, like 0-3,7
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to allocate from
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// 1: run only when nothing else wants to
    #[arg(long, value_name = "IDLE", allow_negative_numbers = true)]
    cpu_idle: Option<i64>,
    /// Kernel memory, like 64m; the kernel has no such limit any more
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes, hide = true)]
    kernel_memory: Option<i64>,
    /// Kernel memory of TCP buffers
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes, hide = true)]
    kernel_memory_tcp: Option<i64>,
    /// Memory, like 64m or 1g, -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes)]
    memory: Option<i64>,
    /// Memory that the container keeps when the host runs short
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes)]
    memory_reservation: Option<i64>,
    /// Memory and swap together, -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = bytes)]
    memory_swap: Option<i64>,
    /// Number of processes and threads, -1 for no limit
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let asked = match &args.resources {
        Some(file) => read(file)?,
        None => from_flags(&args),
    };
    let container = global.store.load(&args.id)?;
    container.lock()?;
    if container.status()? == Status::Stopped {
        bail!("cannot update a container that has stopped: {}", args.id);
    }
    let Some(cgroup) = &container.state.cgroup else {
        bail!("container {} has no cgroup that could be changed", args.id);
    };
    let mut spec = container.spec()?;
    let linux = spec.linux.get_or_insert_default();
    let old = linux.resources.clone().unwrap_or_default();
    let mut new = old.clone();
    new.lay_over(asked.clone());
    if let Some(memory) = &mut new.memory {
        // It is a word about this call.
        memory.check_before_update = asked.memory.as_ref().and_then(|memory| memory.check_before_update);
    }
    cgroup.update(&old, &asked, &new)?;
    linux.resources = Some(new);
    container.save_spec(&spec)?;
    Ok(0)
}

fn read(file: &str) -> Result<Resources> {
    let mut text = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(FILE_MAX).read_to_end(&mut text),
        _ => std::fs::File::open(file).and_then(|opened| opened.take(FILE_MAX).read_to_end(&mut text)),
    };
    read.with(|| format!("read {}", if file == "-" { "standard input" } else { file }))?;
    super::bundle::parse_json(&text).with(|| format!("--resources {file}"))
}

fn from_flags(args: &Args) -> Resources {
    let some = |any: bool| any.then_some(());
    let memory = Memory {
        limit: args.memory,
        reservation: args.memory_reservation,
        swap: args.memory_swap,
        kernel: args.kernel_memory,
        kernel_tcp: args.kernel_memory_tcp,
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: args.cpu_share,
        quota: args.cpu_quota,
        burst: args.cpu_burst,
        period: args.cpu_period,
        realtime_runtime: args.cpu_rt_runtime,
        realtime_period: args.cpu_rt_period,
        cpus: args.cpuset_cpus.clone(),
        mems: args.cpuset_mems.clone(),
        idle: args.cpu_idle,
    };
    Resources {
        memory: some(memory != Memory::default()).map(|()| memory),
        cpu: some(cpu != Cpu::default()).map(|()| cpu),
        pids: args.pids_limit.map(|limit| Pids { limit: Some(limit) }),
        block_io: args.blkio_weight.map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    }
}

/// `64m`, `1.5GiB`, `1024`, `-1`: binary units, as engines write them.
fn bytes(text: &str) -> Result<i64> {
    let wrong = || Error::new(format!("{text:?} is no size like 64m"));
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower.get(number.len()..).unwrap_or_default().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(1 << shift).filter(|size| *size >= 0).ok_or_else(wrong);
    }
    let size = number.trim_end().parse::<f64>().map_err(|_| wrong())? * f64::from(2_u32).powi(shift);
    if !(0.0..9e18).contains(&size) {
        return Err(wrong());
    }
    Ok(size as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("1024", 1024),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("1GiB", 1 << 30),
            ("1.5k", 1536),
            ("2 k", 2048),
            ("10b", 10),
            ("0", 0),
            ("-1", -1),
        ] {
            assert_eq!(bytes(text).ok(), Some(size), "{text}");
        }
        for text in ["", "m", "-2", "1x", "9999999999999g", "1e30", "nan", "inf"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
