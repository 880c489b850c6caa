//! What is left of steps when we are killed: nothing. A process of its own knows the containers that run, and notices
//! when the other end of its pipe is gone; then it removes them. It holds the lock of the directory that they have
//! their state in, so that nobody takes that away before.

use crate::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The verb that nobody types.
pub const VERB: &str = "guard";

#[derive(Debug, Deserialize, Serialize)]
enum Order {
    /// From now on the command has to be run when we are gone.
    Arm(String, Vec<String>),
    Disarm(String),
}

#[derive(Debug)]
pub struct Guard {
    /// Of the directory with the containers' state.
    lock: File,
    process: Mutex<Option<(Child, ChildStdin)>>,
}

/// As long as it lives, the command is run should we die.
pub struct Armed<'a> {
    guard: &'a Guard,
    name: String,
}

impl Guard {
    pub fn new(lock: File) -> Guard {
        Guard { lock, process: Mutex::default() }
    }

    pub fn arm(&self, name: &str, command: Vec<String>) -> Result<Armed<'_>> {
        self.tell(&Order::Arm(name.to_owned(), command)).context("guard the step")?;
        Ok(Armed { guard: self, name: name.to_owned() })
    }

    fn tell(&self, order: &Order) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if process.is_none() {
            *process = Some(start(&self.lock)?);
        }
        let mut line = serde_json::to_vec(order).context("write")?;
        line.push(b'\n');
        match process.as_mut() {
            Some((_, pipe)) => pipe.write_all(&line).context("write"),
            None => Ok(()),
        }
    }
}

fn start(lock: &File) -> Result<(Child, ChildStdin)> {
    let mut command = Command::new("/proc/self/exe");
    // Ctrl-C is not for it.
    command.arg(VERB).process_group(0).current_dir("/");
    // Its standard output is only held.
    command.stdin(Stdio::piped()).stdout(lock.try_clone().context("keep lock")?).stderr(Stdio::null());
    let mut child = command.spawn().context("start the guard")?;
    match child.stdin.take() {
        Some(pipe) => Ok((child, pipe)),
        None => crate::bail!("start the guard: no pipe"),
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        // A guard that is gone does nothing any more.
        let _ = self.guard.tell(&Order::Disarm(std::mem::take(&mut self.name)));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((mut child, pipe)) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(pipe);
            let _ = child.wait();
        }
    }
}

/// The guard itself.
pub fn main(orders: impl BufRead) {
    let mut armed = BTreeMap::new();
    for line in orders.lines().map_while(std::io::Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Order::Arm(name, command)) => drop(armed.insert(name, command)),
            Ok(Order::Disarm(name)) => drop(armed.remove(&name)),
            // Its writer died in the middle.
            Err(_) => break,
        }
    }
    for command in armed.into_values() {
        if let Some((program, args)) = command.split_first() {
            // There is nobody to tell.
            let _ = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_armed_at_the_end_is_run() {
        let directory = std::env::temp_dir().join(format!("guard-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let touch = |name: &str| vec!["touch".to_owned(), directory.join(name).display().to_string()];
        let orders =
            [Order::Arm("a".into(), touch("a")), Order::Arm("b".into(), touch("b")), Order::Disarm("a".into())];
        let text: String = orders.iter().map(|order| serde_json::to_string(order).unwrap() + "\n").collect();
        main((text + "{\"Arm\":[\"c").as_bytes());
        let there = |name: &str| directory.join(name).exists();
        assert!(!there("a") && there("b") && !there("c"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
