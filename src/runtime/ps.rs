//! `ps`: the container's processes, as ps(1) shows them, or their numbers.

use super::Global;
use super::output::print;
use crate::bail;
use crate::error::{Context, Result};
use std::process::Command;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print what ps(1) tells, or the numbers as JSON
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Name of the container
    id: String,
    /// Options of ps(1), -ef where there are none
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<String>,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let container = global.store.load(&args.id)?;
    let Some(cgroup) = &container.state.cgroup else {
        bail!("container {} has no cgroup that its processes could be found by", args.id);
    };
    let pids = cgroup.pids()?;
    if args.format == "json" {
        return print(&format!("{}\n", serde_json::to_string(&pids)?));
    }
    let options = if args.options.is_empty() { vec!["-ef".to_owned()] } else { args.options };
    let output = Command::new("ps").args(&options).output().context("run ps")?;
    if !output.status.success() {
        bail!("ps {}: {}", options.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    print(&of(&String::from_utf8_lossy(&output.stdout), &pids)?)
}

/// The head of a table of ps(1), and the lines of these processes.
fn of(table: &str, pids: &[i32]) -> Result<String> {
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    let Some(column) = head.split_whitespace().position(|word| word == "PID") else {
        bail!("ps: there is no column PID in its output");
    };
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(head).chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_own_processes() {
        let table = "USER   PID COMMAND\nroot     1 init 7\nroot     7 sh\nx y\n";
        assert_eq!(of(table, &[7]).unwrap(), "USER   PID COMMAND\nroot     7 sh\n");
        assert!(of("USER COMMAND\n", &[7]).is_err());
    }
}
