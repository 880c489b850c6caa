//! `kill`: a signal to the container's first process.

use super::Global;
use super::plan::namespaces::Namespaces;
use super::record::Status;
use super::store::Container;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::process::{self, CLONE_NEWPID, SIGKILL};
use nix::sys::signal::Signal;
use std::str::FromStr;

/// The first and last real-time signal, as C libraries number them (signal(7)).
const SIGRTMIN: i32 = 34;
const SIGRTMAX: i32 = 64;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    /// Name or number of the signal: TERM, SIGTERM, 15, SIGRTMIN+3
    #[arg(default_value = "SIGTERM")]
    signal: String,
    /// To every process of the container
    #[arg(short, long)]
    all: bool,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let signal = parse(&args.signal)?;
    let container = global.store.load(&args.id)?;
    let process = container.process()?;
    if args.all {
        // Processes may be left when the first has gone.
        return match &container.state.cgroup {
            Some(cgroup) => cgroup.kill(signal).map(|()| 0),
            None => bail!("--all: container {} has no cgroup that its processes could be found by", args.id),
        };
    }
    let Some(process) = process else { bail!("container not running: {}", args.id) };
    if signal == SIGKILL && !has_own_pids(&container)? {
        // The first process's end ends the others only in a pid namespace.
        return kill_all(&container).map(|()| 0);
    }
    process::pidfd_send_signal(&process, signal).with(|| format!("send signal {signal} to container {}", args.id))?;
    if signal == SIGKILL
        && container.status()? == Status::Paused
        && let Some(cgroup) = &container.state.cgroup
    {
        // A frozen process of version 1 dies when it thaws.
        cgroup.thaw()?;
    }
    Ok(0)
}

fn has_own_pids(container: &Container) -> Result<bool> {
    let spec = container.spec()?;
    match &spec.linux {
        Some(linux) => Ok(Namespaces::parse(linux)?.has(CLONE_NEWPID)),
        None => Ok(false),
    }
}

/// Every process of the container.
pub fn kill_all(container: &Container) -> Result<()> {
    if let Some(process) = container.process()? {
        match process::pidfd_send_signal(&process, SIGKILL) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            other => other.with(|| format!("kill the first process of container {}", container.id()))?,
        }
    }
    match &container.state.cgroup {
        Some(cgroup) => cgroup.kill(SIGKILL),
        None => Ok(()),
    }
}

/// Names with and without SIG, in any case, numbers, and real-time signals counted from either end.
pub fn parse(text: &str) -> Result<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match name.parse::<i32>() {
        Ok(number) => Some(number),
        Err(_) => realtime(name).or_else(|| Signal::from_str(&format!("SIG{}", old_name(name))).ok().map(|s| s as i32)),
    };
    match number {
        Some(number) if (1..=SIGRTMAX).contains(&number) => Ok(number),
        _ => bail!("unknown signal {text:?}"),
    }
}

fn realtime(name: &str) -> Option<i32> {
    let (from, sign) = match name.strip_prefix("RTMIN") {
        Some(rest) => (SIGRTMIN, rest),
        None => (SIGRTMAX, name.strip_prefix("RTMAX")?),
    };
    let offset = match sign {
        "" => 0,
        sign if sign.starts_with(['+', '-']) => sign.parse().ok()?,
        _ => return None,
    };
    Some(from + offset).filter(|signal| (SIGRTMIN..=SIGRTMAX).contains(signal))
}

fn old_name(name: &str) -> &str {
    match name {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_signal() {
        for (text, number) in [
            ("TERM", 15),
            ("sigterm", 15),
            ("9", 9),
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("POLL", 29),
            ("64", 64),
            ("iot", 6),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in ["", "0", "65", "-9", "SIG", "RTMIN+31", "RTMIN3", "TERMS", "99999999999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
