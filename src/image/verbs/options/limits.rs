//! Limits: what the container's cgroup and its processes may use.

use super::values::bytes;
use crate::bail;
use crate::error::{Context, Error, Result};
use clap::Args;
use serde_json::{Map, Value, json};

/// Microseconds; the kernel's default period.
const PERIOD: f64 = 100_000.0;
const SHM_SIZE: u64 = 64 << 20;

/// What `update` changes, too.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Memory at most
    #[arg(short, long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// Memory and swap at most; -1: without bound
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    memory_swap: Option<String>,
    /// Memory to go back to when the machine is short of it
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory_reservation: Option<u64>,
    /// Readiness to swap, 0 to 100
    #[arg(long, value_name = "N")]
    memory_swappiness: Option<u64>,
    /// CPUs at most
    #[arg(long, value_name = "N")]
    cpus: Option<f64>,
    /// The share of the CPUs, 1024 for one
    #[arg(short, long, value_name = "N")]
    cpu_shares: Option<u64>,
    /// Microseconds of CPU time in each period
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Microseconds
    #[arg(long, value_name = "N")]
    cpu_period: Option<u64>,
    /// The CPUs to run on
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// The memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Processes at most; -1: without bound
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Weight of input and output, 10 to 1000
    #[arg(long, value_name = "N")]
    blkio_weight: Option<u16>,
    /// Microseconds of real-time scheduling in each of its periods
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// Microseconds
    #[arg(long, value_name = "N")]
    cpu_rt_period: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ResourceArgs {
    #[command(flatten)]
    limits: LimitArgs,
    /// Weight of input and output of one device
    #[arg(long, value_name = "DEVICE:WEIGHT", value_parser = weight_device)]
    blkio_weight_device: Vec<Value>,
    /// Bytes a second to read from a device
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = throttle)]
    device_read_bps: Vec<Value>,
    /// Bytes a second to write to a device
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = throttle)]
    device_write_bps: Vec<Value>,
    /// Reads a second from a device
    #[arg(long, value_name = "DEVICE:N", value_parser = throttle)]
    device_read_iops: Vec<Value>,
    /// Writes a second to a device
    #[arg(long, value_name = "DEVICE:N", value_parser = throttle)]
    device_write_iops: Vec<Value>,
    /// Do not kill when memory runs out
    #[arg(long)]
    oom_kill_disable: bool,
    /// Whom to kill first when memory runs out, -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) oom_score_adj: Option<i32>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    shm_size: Option<u64>,
    /// A limit of each process, as in `ulimit`
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = ulimit)]
    ulimit: Vec<(String, u64, u64)>,
    /// The cgroup that the container's is in
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup_parent: Option<String>,
}

impl ResourceArgs {
    pub(crate) fn shm_size(&self) -> u64 {
        self.shm_size.unwrap_or(SHM_SIZE)
    }

    pub(crate) fn ulimits(&self) -> Vec<(String, u64, u64)> {
        self.ulimit.clone()
    }

    /// `linux.resources`
    pub(crate) fn resources(&self) -> Result<Value> {
        let mut resources = self.limits.resources()?;
        if self.oom_kill_disable {
            resources["memory"]["disableOOMKiller"] = json!(true);
        }
        for (key, list) in [
            ("weightDevice", &self.blkio_weight_device),
            ("throttleReadBpsDevice", &self.device_read_bps),
            ("throttleWriteBpsDevice", &self.device_write_bps),
            ("throttleReadIOPSDevice", &self.device_read_iops),
            ("throttleWriteIOPSDevice", &self.device_write_iops),
        ] {
            if !list.is_empty() {
                resources["blockIO"][key] = json!(list);
            }
        }
        Ok(resources)
    }
}

impl LimitArgs {
    /// `linux.resources`
    pub(crate) fn resources(&self) -> Result<Value> {
        let mut resources = Map::new();
        let mut put = |name: &str, members: Vec<(&str, Option<Value>)>| {
            let members: Map<String, Value> =
                members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
            if !members.is_empty() {
                resources.insert(name.to_owned(), Value::Object(members));
            }
        };
        put(
            "memory",
            vec![
                ("limit", self.memory.map(Value::from)),
                ("swap", self.swap()?.map(Value::from)),
                ("reservation", self.memory_reservation.map(Value::from)),
                ("swappiness", self.memory_swappiness.map(Value::from)),
            ],
        );
        let (quota, period) = self.quota()?;
        put(
            "cpu",
            vec![
                ("shares", self.cpu_shares.map(Value::from)),
                ("quota", quota.map(Value::from)),
                ("period", period.map(Value::from)),
                ("cpus", self.cpuset_cpus.clone().map(Value::from)),
                ("mems", self.cpuset_mems.clone().map(Value::from)),
                ("realtimeRuntime", self.cpu_rt_runtime.map(Value::from)),
                ("realtimePeriod", self.cpu_rt_period.map(Value::from)),
            ],
        );
        put("pids", vec![("limit", self.pids_limit.map(|limit| json!(if limit == 0 { -1 } else { limit })))]);
        put("blockIO", vec![("weight", self.blkio_weight.map(Value::from))]);
        Ok(Value::Object(resources))
    }

    /// Memory and swap together; docker allows as much swap as memory where nothing is said.
    fn swap(&self) -> Result<Option<i64>> {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        match (self.memory_swap.as_deref(), self.memory) {
            (None, None) => Ok(None),
            (None, Some(memory)) => Ok(Some(signed(memory.saturating_mul(2)))),
            (Some("-1"), _) => Ok(Some(-1)),
            (Some(_), None) => bail!("--memory-swap needs --memory"),
            (Some(text), Some(memory)) => {
                let swap = bytes(text).context("--memory-swap")?;
                if swap < memory {
                    bail!("--memory-swap is memory and swap together, and must not be less than --memory");
                }
                Ok(Some(signed(swap)))
            }
        }
    }

    fn quota(&self) -> Result<(Option<i64>, Option<u64>)> {
        match self.cpus {
            None => Ok((self.cpu_quota, self.cpu_period)),
            Some(_) if self.cpu_quota.is_some() || self.cpu_period.is_some() => {
                bail!("--cpus says the same as --cpu-quota and --cpu-period; give one of them")
            }
            Some(cpus) if cpus > 0.0 && cpus < 10_000.0 => Ok((Some((cpus * PERIOD) as i64), Some(PERIOD as u64))),
            Some(cpus) => bail!("--cpus {cpus}: want a number above 0"),
        }
    }
}

/// `/dev/sda:1mb`
fn throttle(text: &str) -> Result<Value> {
    let (device, rate) = text.rsplit_once(':').ok_or_else(|| Error::new("want DEVICE:RATE"))?;
    let (major, minor) = block_device(device)?;
    Ok(json!({"major": major, "minor": minor, "rate": bytes(rate)?}))
}

/// `/dev/sda:100`
fn weight_device(text: &str) -> Result<Value> {
    let (device, weight) = text.rsplit_once(':').ok_or_else(|| Error::new("want DEVICE:WEIGHT"))?;
    let (major, minor) = block_device(device)?;
    match weight.parse::<u16>() {
        Ok(weight @ 10..=1000) => Ok(json!({"major": major, "minor": minor, "weight": weight})),
        _ => bail!("{weight:?}: want a weight from 10 to 1000"),
    }
}

fn block_device(path: &str) -> Result<(u32, u32)> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let metadata = std::fs::metadata(path).with(|| format!("device {path}"))?;
    if !metadata.file_type().is_block_device() {
        bail!("{path}: not a block device");
    }
    Ok(crate::sys::tree::device_numbers(metadata.rdev()))
}

/// `nofile=1024:2048`
pub(crate) fn ulimit(text: &str) -> Result<(String, u64, u64)> {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let Some((name, limits)) = text.split_once('=').filter(|(name, _)| NAMES.contains(name)) else {
        bail!("want one of {}, = and a number", NAMES.join(", "));
    };
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        text => text.parse().map_err(|_| Error::new(format!("{text:?} is no number"))),
    };
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    match (number(soft)?, number(hard)?) {
        (soft, hard) if soft <= hard => Ok((name.to_owned(), soft, hard)),
        _ => bail!("the soft limit is above the hard one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    fn resources(args: &[&str]) -> Result<Value> {
        let command = ResourceArgs::augment_args(Command::new("x"));
        let matches = command.try_get_matches_from(std::iter::once(&"x").chain(args)).unwrap();
        ResourceArgs::from_arg_matches(&matches).unwrap().resources()
    }

    #[test]
    fn limits_become_the_runtimes() {
        assert_eq!(resources(&[]).unwrap(), json!({}));
        assert_eq!(resources(&["-m", "64m"]).unwrap(), json!({"memory": {"limit": 64 << 20, "swap": 128 << 20}}));
        assert_eq!(resources(&["-m", "1k", "--memory-swap", "-1"]).unwrap()["memory"]["swap"], -1);
        assert_eq!(resources(&["--cpus", "1.5"]).unwrap(), json!({"cpu": {"quota": 150_000, "period": 100_000}}));
        assert_eq!(resources(&["--pids-limit", "-1"]).unwrap(), json!({"pids": {"limit": -1}}));
        for args in [&["--memory-swap", "1g"][..], &["-m", "2g", "--memory-swap", "1g"], &["--cpus", "0"]] {
            assert!(resources(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn ulimits() {
        assert_eq!(ulimit("nofile=10:20").unwrap(), ("nofile".to_owned(), 10, 20));
        assert_eq!(ulimit("core=unlimited").unwrap().1, u64::MAX);
        for text in ["nofile", "what=1", "nofile=2:1", "nofile=x"] {
            assert!(ulimit(text).is_err(), "{text}");
        }
    }
}
