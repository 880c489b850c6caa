//! Calls of the OCI runtime: a program, as engines start it.

use super::Container;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::process::pid_t;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The runtime keeps its state in the container's directory, so that it goes with the container.
pub const STATE_ROOT: &str = "runtime";
const LOG: &str = "runtime.log";
const PID_FILE: &str = "pid";

#[derive(Debug, Clone)]
pub struct Runtime {
    program: PathBuf,
    container: Container,
}

/// The exit code of the program that the runtime could not become (docker run, "Exit status").
fn code_of(message: &str) -> u8 {
    let message = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    // What the user asked to run is named by these words of all runtimes.
    let is_program = has(&["exec", "process.args", "start", "starting container process"]);
    if is_program && has(&["no such file or directory", "not found in", "not found"]) {
        127
    } else if is_program && has(&["permission denied", "is a directory", "exec format error"]) {
        126
    } else {
        125
    }
}

impl Runtime {
    pub fn new(program: &Path, container: &Container) -> Runtime {
        Runtime { program: program.to_owned(), container: container.clone() }
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    fn path(&self, name: &str) -> PathBuf {
        self.container.directory().join(name)
    }

    /// `PROGRAM --root R --log L --log-format json VERB`
    fn command(&self, verb: &str) -> Command {
        self.command_with_log(verb, self.path(LOG))
    }

    pub fn command_with_log(&self, verb: &str, log: impl AsRef<Path>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.path(STATE_ROOT));
        command.arg("--log").arg(log.as_ref()).args(["--log-format", "json", verb]);
        command.current_dir("/");
        command
    }

    /// Makes the container's first process, with this process's standard descriptors as `streams` says; its pid. It
    /// becomes a child of the nearest subreaper.
    pub fn create(&self, console: Option<&str>, streams: [Stdio; 3]) -> Result<pid_t> {
        let mut command = self.command("create");
        command.arg("--bundle").arg(self.path("bundle")).arg("--pid-file").arg(self.path(PID_FILE));
        if let Some(socket) = console {
            command.args(["--console-socket", socket]);
        }
        let [stdin, stdout, stderr] = streams;
        command.arg(self.container.id()).stdin(stdin).stdout(stdout).stderr(stderr);
        self.run(command, "create")?;
        let pid = std::fs::read_to_string(self.path(PID_FILE)).context("read the runtime's pid file")?;
        pid.trim().parse().with_pid(&pid)
    }

    pub fn start(&self) -> Result<()> {
        let mut command = self.command("start");
        command.arg(self.container.id());
        self.quiet(command, "start")
    }

    /// A signal to the container's first process.
    pub fn kill(&self, signal: i32) -> Result<()> {
        let mut command = self.command("kill");
        command.arg(self.container.id()).arg(signal.to_string());
        self.quiet(command, "kill")
    }

    pub fn pause(&self) -> Result<()> {
        let mut command = self.command("pause");
        command.arg(self.container.id());
        self.quiet(command, "pause")
    }

    pub fn resume(&self) -> Result<()> {
        let mut command = self.command("resume");
        command.arg(self.container.id());
        self.quiet(command, "resume")
    }

    /// Changes limits; `resources` is a file with `linux.resources`.
    pub fn update(&self, resources: &Path) -> Result<()> {
        let mut command = self.command("update");
        command.arg("--resources").arg(resources).arg(self.container.id());
        self.quiet(command, "update")
    }

    /// Removes what the runtime knows of the container, with every process of it. What is not there is no error.
    pub fn delete(&self) -> Result<()> {
        if !self.path(STATE_ROOT).exists() {
            return Ok(());
        }
        let mut command = self.command("delete");
        command.arg("--force").arg(self.container.id());
        self.quiet(command, "delete")
    }

    fn quiet(&self, mut command: Command, verb: &str) -> Result<()> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.run(command, verb)
    }

    fn run(&self, mut command: Command, verb: &str) -> Result<()> {
        // What an earlier call said would be taken for this one's.
        let _ = std::fs::remove_file(self.path(LOG));
        let status = command.status().map_err(|error| self.not_run(error))?;
        if status.success() {
            return Ok(());
        }
        Err(self.error(verb, &status.to_string()))
    }

    pub fn not_run(&self, error: std::io::Error) -> Error {
        Error::from(error).context(format!("run the OCI runtime {}", self.program.display())).exit(125)
    }

    /// What the runtime said about why it failed.
    fn error(&self, verb: &str, status: &str) -> Error {
        let log = std::fs::read_to_string(self.path(LOG)).unwrap_or_default();
        self.error_in(&log, verb).unwrap_or_else(|| Error::new(format!("{}: {status}", self.name(verb))).exit(125))
    }

    fn name(&self, verb: &str) -> String {
        format!("{} {verb}", self.program.file_name().unwrap_or_default().to_string_lossy())
    }

    /// The last error in a runtime's log.
    pub fn error_in(&self, log: &str, verb: &str) -> Option<Error> {
        let message = last_error(log)?;
        let code = code_of(&format!("{verb} {message}"));
        Some(Error::new(message).context(self.name(verb)).exit(code))
    }
}

#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
}

/// The last message of level `error` in a runtime's log.
pub fn last_error(log: &str) -> Option<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.filter(|line| matches!(line.level.as_str(), "error" | "fatal")).map(|line| line.msg).next_back()
}

trait WithPid {
    fn with_pid(self, text: &str) -> Result<pid_t>;
}

impl WithPid for std::result::Result<pid_t, std::num::ParseIntError> {
    fn with_pid(self, text: &str) -> Result<pid_t> {
        match self {
            Ok(pid) if pid > 0 => Ok(pid),
            _ => bail!("the runtime's pid file says {text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_127_and_one_that_must_not_be_run_126() {
        let runc =
            |cause: &str| format!("start runc create failed: unable to start container process: exec: \"/x\": {cause}");
        assert_eq!(code_of(&runc("stat /x: no such file or directory")), 127);
        assert_eq!(code_of("create executable file `nosuch` not found in $PATH: No such file or directory"), 127);
        assert_eq!(code_of(&runc("permission denied")), 126);
        assert_eq!(code_of("create mounts[3]: invalid argument"), 125);
    }
}
