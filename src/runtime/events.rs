//! `events`: what the container uses, now and then or once, and when it runs out of memory; a JSON object per line, in
//! runc's shape.

use super::Global;
use super::cgroup::{Cgroup, OomWatch, Stats};
use super::output::print;
use super::record::Status;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::kernfs;
use serde::Serialize;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    /// How often to print what it uses, like 5s or 500ms
    #[arg(long, default_value = "5s", value_parser = duration)]
    interval: Duration,
    /// Print what it uses now, and nothing else
    #[arg(long)]
    stats: bool,
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stats>,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    if args.interval.is_zero() {
        bail!("--interval: it must be greater than 0");
    }
    let container = global.store.load(&args.id)?;
    let process = container.process()?;
    let (Some(process), false) = (process, container.status()? == Status::Stopped) else {
        bail!("container not running: {}", args.id);
    };
    let Some(cgroup) = &container.state.cgroup else { bail!("container {} has no cgroup to be read", args.id) };
    let stats = |cgroup: &Cgroup| line("stats", &args.id, Some(cgroup.stats()?));
    if args.stats {
        return stats(cgroup);
    }
    let mut watch = cgroup.watch_oom()?;
    let mut next = Instant::now() + args.interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        // Rounded up, so that we do not wake just before the time.
        let left = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let ended = match &watch {
            Some(watch) => watch.wait(process.as_fd(), left),
            None => kernfs::poll_process(process.as_fd(), None, None, left),
        };
        let ended = ended.context("wait for events")?;
        if watch.as_mut().is_some_and(OomWatch::has_happened) {
            line("oom", &args.id, None)?;
        }
        if ended {
            return Ok(0);
        }
        if Instant::now() >= next {
            stats(cgroup)?;
            next += args.interval;
        }
    }
}

fn line(kind: &'static str, id: &str, data: Option<Stats>) -> Result<u8> {
    print(&format!("{}\n", serde_json::to_string(&Event { kind, id, data })?))
}

/// As Go writes one: `1m30s`, `1.5s`, `500ms`.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || Error::new(format!("{text:?} is no length of time like 5s or 500ms"));
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit_and_more) = rest.split_at(end);
        let end = unit_and_more.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit_and_more.len());
        let (unit, more) = unit_and_more.split_at(end);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong()),
        };
        seconds += number.parse::<f64>().map_err(|_| wrong())? * unit;
        rest = more;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, milliseconds) in [("5s", 5000), ("500ms", 500), ("1m30s", 90_000), ("1.5s", 1500), ("2h", 7_200_000)]
        {
            assert_eq!(duration(text).ok(), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "5x", "-1s", "1e99h", "1..s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
