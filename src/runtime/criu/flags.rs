//! Flags of `checkpoint` and `restore` alike, and what CRIU is told of them.

use super::message::{CGROUP_MODES, Number, Options, Switch, Text};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::runtime::spec::Map;
use crate::sys::process::CLONE_NEWNET;
use crate::sys::{OFlag, fd};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Directory of the images: "checkpoint" where it is not given
    #[arg(long, value_name = "DIR", default_value = "checkpoint", hide_default_value = true)]
    pub image_path: String,
    /// Directory for CRIU's log and other files: that of the images where it is not given
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<String>,
    /// Allow established TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Allow unix sockets whose other end is outside
    #[arg(long)]
    ext_unix_sk: bool,
    /// Allow the caller's terminal
    #[arg(long)]
    shell_job: bool,
    /// Allow file locks
    #[arg(long)]
    file_locks: bool,
    /// What happens to cgroups and their limits: soft, full, strict or ignore
    #[arg(long, value_name = "MODE", default_value = "", value_parser = CGROUP_MODES.map(|mode| mode.0), hide_possible_values = true, hide_default_value = true)]
    manage_cgroups_mode: String,
    /// Leave a namespace of this type to others: network, which is always left
    #[arg(long, value_name = "TYPE", value_parser = ["network"])]
    empty_ns: Vec<String>,
    /// Keep each page of memory once, over all images
    #[arg(long)]
    auto_dedup: bool,
    /// Memory goes over when it is used (userfaultfd)
    #[arg(long)]
    pub lazy_pages: bool,
}

/// What CRIU is told by its configuration file where no annotation names another: it overrides flags.
const CONFIG_FILE: &str = "/etc/criu/runc.conf";
const CONFIG_ANNOTATION: &str = "org.criu.config";
/// Warnings, errors, and what led to them.
const LOG_LEVEL: u64 = 4;

/// The directories that CRIU works with, open as long as it does.
#[derive(Debug)]
pub struct Directories {
    pub images: OwnedFd,
    work: Option<OwnedFd>,
    log: &'static str,
    /// The log's path, as it was given.
    shown: String,
}

impl Flags {
    /// `make`: those that are missing are made.
    pub fn open(&self, make: bool, log: &'static str) -> Result<Directories> {
        let images = open("--image-path", &self.image_path, make)?;
        let work = self.work_path.as_deref().map(|path| open("--work-path", path, true)).transpose()?;
        let shown = format!("{}/{log}", self.work_path.as_deref().unwrap_or(&self.image_path));
        Ok(Directories { images, work, log, shown })
    }

    pub fn options(&self, directories: &Directories, annotations: &Map) -> Options {
        let mut options = Options::default();
        options.number(Number::ImagesDirectory, directories.images.as_raw_fd() as u64);
        if let Some(work) = &directories.work {
            options.number(Number::WorkDirectory, work.as_raw_fd() as u64);
        }
        options.number(Number::LogLevel, LOG_LEVEL);
        options.text(Text::LogFile, directories.log);
        match annotations.get(CONFIG_ANNOTATION).map(String::as_str) {
            Some("") => {}
            Some(file) => options.text(Text::ConfigFile, file),
            None => options.text(Text::ConfigFile, CONFIG_FILE),
        }
        let mode = CGROUP_MODES.iter().find(|mode| mode.0 == self.manage_cgroups_mode);
        options.switch(Switch::ManageCgroups, true);
        options.number(Number::CgroupsMode, mode.map_or(CGROUP_MODES[0].1, |mode| mode.1));
        options.switch(Switch::NotifyScripts, true);
        options.switch(Switch::OrphanPtsMaster, true);
        options.switch(Switch::TcpEstablished, self.tcp_established);
        options.switch(Switch::ExternalUnixSockets, self.ext_unix_sk);
        options.switch(Switch::ShellJob, self.shell_job);
        options.switch(Switch::FileLocks, self.file_locks);
        options.switch(Switch::AutoDedup, self.auto_dedup);
        options.switch(Switch::LazyPages, self.lazy_pages);
        // Devices and addresses are the engine's, which makes them again.
        options.number(Number::EmptyNamespaces, CLONE_NEWNET as u64);
        options
    }
}

impl Directories {
    /// The cause as CRIU's log has it, where there is one.
    pub fn explain(&self, error: Error) -> Error {
        let name = CString::new(self.log).unwrap_or_default();
        let directory = self.work.as_ref().unwrap_or(&self.images);
        let log = fd::openat(directory, &name, OFlag::O_RDONLY | OFlag::O_NONBLOCK)
            .and_then(|log| fd::read_up_to(log, LOG_MAX));
        let log = log.unwrap_or_default();
        match first_error(&String::from_utf8_lossy(&log)) {
            Some(why) => Error::new(format!("criu: {why} (more is in {})", self.shown)),
            None => error,
        }
    }
}

/// More than a log of some thousand processes has.
const LOG_MAX: usize = 64 << 20;

/// `(00.012) 7: Error (criu/mount.c:42): why`. The first: those that follow come of it. CRIU would like to have more
/// descriptors, and goes on without.
fn first_error(log: &str) -> Option<&str> {
    let errors = log.lines().filter_map(|line| line.split_once("Error (")?.1.split_once("): "));
    errors.map(|(_, why)| why.trim()).find(|why| !why.starts_with("rlimit: "))
}

fn open(flag: &str, path: &str, make: bool) -> Result<OwnedFd> {
    if path.is_empty() {
        bail!("{flag}: empty");
    }
    if make {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(path).with(|| format!("{flag}: make {path}"))?;
    }
    let name = CString::new(path).map_err(|_| Error::new(format!("{flag}: a zero byte in it")))?;
    fd::open(&name, OFlag::O_RDONLY | OFlag::O_DIRECTORY).with(|| format!("{flag}: open {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_of_a_log() {
        let log = "(00.1) Version\n(00.1) Error (u.c:1): rlimit: no\n(00.2)    12: Error (criu/a.c:7): x: no (such) thing: yes\n(00.3) Error (b.c:1): so\n";
        assert_eq!(first_error(log), Some("x: no (such) thing: yes"));
        assert_eq!(first_error("(00.1) fine\n"), None);
    }
}
