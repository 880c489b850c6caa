//! Another process in a running container.

use super::config::Config;
use super::runtime::Runtime;
use super::{Container, spec};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container_config::absolute;
use crate::image::user;
use crate::sys::root::Root;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

#[derive(Debug, Clone, Default)]
pub struct Exec {
    pub args: Vec<String>,
    pub env: Vec<String>,
    /// Empty: where the container's first process began.
    pub cwd: String,
    /// Empty: who that one is.
    pub user: String,
    pub terminal: bool,
    pub privileged: bool,
}

/// The runtime's command for it, and files that it reads and writes, which must live as long as it does.
pub struct Prepared {
    pub command: Command,
    process: File,
    log: File,
}

impl Prepared {
    /// What the runtime said about why it failed.
    pub fn said(&self) -> String {
        let path = format!("/proc/self/fd/{}", self.log.as_raw_fd());
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Adds `--process FILE ID`, behind further options.
    pub fn finish(&mut self, container: &Container) {
        self.command.arg("--process").arg(path_of(&self.process)).arg(container.id());
    }
}

pub fn prepare(runtime: &Runtime, container: &Container, exec: &Exec, config: &Config) -> Result<Prepared> {
    let state = container.state()?;
    if !state.is_alive() {
        bail!("container {} is not running", config.name);
    }
    let process = process(container, exec, config, state.pid)?;
    let mut file = unnamed(container.directory(), "exec")?;
    file.write_all(&serde_json::to_vec(&process)?).context("write the process")?;
    let log = unnamed(container.directory(), "exec-log")?;
    let command = runtime.command_with_log("exec", path_of(&log));
    Ok(Prepared { command, process: file, log })
}

/// A file that goes with its last descriptor.
fn unnamed(directory: &Path, name: &str) -> Result<File> {
    let path = directory.join(format!("{name}.{}", std::process::id()));
    let make = || -> Result<File> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    };
    make().with(|| format!("create {}", path.display()))
}

/// A path that leads others to our open file.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// The container's own process, changed to what was asked for.
fn process(container: &Container, exec: &Exec, config: &Config, pid: i32) -> Result<Value> {
    let path = container.directory().join("bundle/config.json");
    let read = || -> Result<Value> { Ok(serde_json::from_slice(&std::fs::read(&path)?)?) };
    let mut process = read().with(|| format!("read {}", path.display()))?["process"].take();
    process["args"] = json!(exec.args);
    process["terminal"] = json!(exec.terminal);
    if !exec.cwd.is_empty() {
        process["cwd"] = json!(absolute(&exec.cwd));
    }
    let mut env: Vec<String> = serde_json::from_value(process["env"].take()).unwrap_or_default();
    if exec.terminal {
        spec::set_env(&mut env, "TERM=xterm");
    }
    if !exec.user.is_empty() {
        let root = Root::open(Path::new(&format!("/proc/{pid}/root"))).context("open the container's root")?;
        let user = user::resolve(&root, &exec.user)?;
        process["user"] = json!({"uid": user.uid, "gid": user.gid, "additionalGids": user.groups()});
        spec::set_env(&mut env, &format!("HOME={}", user.home.as_deref().unwrap_or("/")));
    }
    for entry in &exec.env {
        spec::set_env(&mut env, entry);
    }
    process["env"] = json!(env);
    let capabilities = match exec.privileged {
        true => json!(spec::all_capabilities()),
        false => json!(spec::capabilities(config)?),
    };
    let own = if process["user"]["uid"] == 0 { capabilities.clone() } else { json!([]) };
    process["capabilities"] = json!({"bounding": capabilities, "effective": own, "permitted": own});
    Ok(process)
}
