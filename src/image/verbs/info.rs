//! `forno info` and `forno version`.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::config::host_architecture;
use crate::image::container::state::Status;
use crate::image::container::usage::machine_memory;
use crate::image::{listing, rootless};
use clap::Args;
use serde_json::{Value, json};
use std::process::Command;

#[derive(Debug, Args)]
pub(super) struct Info {
    /// `json`, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Version {
    /// `json`, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Verb for Info {
    const NAME: &'static str = "info";
    const ABOUT: &'static str = "Show what is here, and what it runs on";

    fn run(self, forno: &Forno) -> Result<u8> {
        show(forno, self.format.as_deref(), &describe(forno)?)
    }
}

impl Verb for Version {
    const NAME: &'static str = "version";
    const ABOUT: &'static str = "Show the versions of forno and of its OCI runtime";
    const TOUCHES_STORE: bool = false;

    fn run(self, forno: &Forno) -> Result<u8> {
        let client = json!({
            "Version": env!("CARGO_PKG_VERSION"),
            "Os": "linux",
            "Arch": host_architecture(),
            "KernelVersion": kernel(),
            "Runtime": runtime(forno),
        });
        // There is no daemon: both halves are this program.
        show(forno, self.format.as_deref(), &json!({"Client": client, "Server": client}))
    }
}

pub(super) fn describe(forno: &Forno) -> Result<Value> {
    let store = forno.store()?;
    let (containers, _) = store.list_containers()?;
    let count = |status: Status| containers.iter().filter(|listed| listed.state.status == status).count();
    let (running, paused) = (count(Status::Running), count(Status::Paused));
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let system = file("/etc/os-release");
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    let pure_v2 = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    Ok(json!({
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Containers": containers.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": containers.len().saturating_sub(running).saturating_sub(paused),
        "Images": store.images()?.0.len(),
        "Driver": "overlay",
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": if pure_v2 { "2" } else { "1" },
        "DefaultRuntime": forno.runtime(),
        "Rootless": rootless::in_namespace(),
        "KernelVersion": kernel(),
        "OperatingSystem": system,
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": machine_memory(),
        "Name": file("/proc/sys/kernel/hostname"),
        "DockerRootDir": store.path(),
    }))
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The first line of what the OCI runtime says of itself.
fn runtime(forno: &Forno) -> String {
    let said = Command::new(forno.runtime()).arg("--version").output().map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).lines().next().unwrap_or("not found").to_owned()
}

/// As lines of `Name: value`, where no format is asked for.
fn show(forno: &Forno, format: Option<&str>, value: &Value) -> Result<u8> {
    match format {
        Some(format) => forno.print(&listing::render(format, std::slice::from_ref(value))?)?,
        None => {
            let mut text = String::new();
            lines(value, 0, &mut text);
            forno.print(&text)?;
        }
    }
    Ok(0)
}

fn lines(value: &Value, depth: usize, text: &mut String) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let indent = " ".repeat(depth);
        match value {
            Value::Object(_) => {
                text.push_str(&format!("{indent}{key}:\n"));
                lines(value, depth + 1, text);
            }
            Value::String(word) => text.push_str(&format!("{indent}{key}: {word}\n")),
            other => text.push_str(&format!("{indent}{key}: {other}\n")),
        }
    }
}
