//! Containers: what one is made of, and where it is kept.
//!
//! ```text
//! containers/.names/NAME -> ID      who has a name
//! containers/ID/
//!   config.json                     what was asked for; changed by the verbs, under the lock
//!   state.json                      what became of it; written by the supervisor while there is one
//!   lock                            held by a verb that changes the container
//!   supervisor                      held (flock) by the supervisor as long as it lives
//!   attach                          the supervisor's socket
//!   log.json  log.json.1 ...        what the container said
//!   hosts  hostname  resolv.conf    mounted in the container
//!   bundle/{config.json,rootfs}     what the OCI runtime gets
//!   runtime/                        the OCI runtime's own state
//! ```
//!
//! There is no daemon. Each running container has one supervisor, a process of forno's own that is the parent of the
//! container's first process; everything else reads files. What a process that was killed leaves behind is told from
//! the locks, which the kernel takes away, and from the boot that a state was written in.

pub mod attach;
pub mod channel;
pub mod config;
pub mod console;
pub mod copy_up;
pub mod create;
pub mod end;
pub mod exec;
pub mod files;
pub mod init;
pub mod inspect;
pub mod launch;
pub mod log;
pub mod names;
pub mod processes;
pub mod remove;
pub mod runtime;
pub mod seccomp;
pub mod signals;
pub mod spec;
pub mod state;
pub mod supervise;
pub mod usage;
pub mod view;

use super::store::Store;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::Errno;
use crate::sys::file::{Lock, flock, try_flock};
use config::Config;
use state::{State, Status};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub const CONFIG: &str = "config.json";
const STATE: &str = "state.json";
const LOCK: &str = "lock";
const SUPERVISOR: &str = "supervisor";
/// The supervisor's socket.
pub const ATTACH: &str = "attach";

/// A container by its directory; what is in the files is read when it is asked for.
#[derive(Debug, Clone)]
pub struct Container {
    directory: PathBuf,
}

impl Container {
    /// The container with this id, all 64 digits of it.
    pub fn by_id(store: &Store, id: &str) -> Container {
        Container { directory: store.containers().join(id) }
    }

    pub fn id(&self) -> &str {
        self.directory.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The twelve digits that docker shows.
    pub fn short_id(&self) -> &str {
        self.id().get(..12).unwrap_or_default()
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn rootfs(&self) -> PathBuf {
        self.directory.join("bundle/rootfs")
    }

    pub fn exists(&self) -> bool {
        self.directory.join(CONFIG).exists()
    }

    pub fn config(&self) -> Result<Config> {
        self.read(CONFIG)
    }

    pub fn set_config(&self, store: &Store, config: &Config) -> Result<()> {
        let bytes = serde_json::to_vec(config).with(|| format!("write {CONFIG}"))?;
        store.replace(&self.directory.join(CONFIG), &bytes)
    }

    /// What is true of the container now, whatever its last supervisor could write down.
    pub fn state(&self) -> Result<State> {
        let state: State = self.read(STATE)?;
        if !state.status.needs_supervisor() || self.is_supervised()? {
            return Ok(state);
        }
        // It may have ended properly in between.
        let state: State = self.read(STATE)?;
        Ok(if state.status.needs_supervisor() { state.without_supervisor() } else { state })
    }

    /// What the last supervisor has left, for the next one: what is true without any.
    fn state_left(&self) -> Result<State> {
        let state: State = self.read(STATE)?;
        Ok(if state.status.needs_supervisor() { state.without_supervisor() } else { state })
    }

    /// Without waiting for the disk: after a power cut nothing runs, whatever is written here.
    pub fn set_state(&self, state: &State) -> Result<()> {
        let write = || -> Result<()> {
            let bytes = serde_json::to_vec(state)?;
            // Two processes may be at it, the last supervisor and who cleans up after it.
            let path = self.directory.join(format!("{STATE}.{}", std::process::id()));
            std::fs::write(&path, bytes)?;
            Ok(std::fs::rename(&path, self.directory.join(STATE))?)
        };
        write().with(|| format!("container {}: write {STATE}", self.short_id()))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, file: &str) -> Result<T> {
        let read = || -> Result<T> { Ok(serde_json::from_slice(&std::fs::read(self.directory.join(file))?)?) };
        read().map_err(|error| match error.errno() {
            Some(Errno::ENOENT) => Error::new(format!("No such container: {}", self.short_id())),
            _ => error.context(format!("container {}: read {file}", self.short_id())),
        })
    }

    /// Waits until nobody else changes the container.
    pub fn lock(&self) -> Result<File> {
        let lock = || -> Result<File> {
            let file = self.open_lock(LOCK)?;
            flock(&file, Lock::Exclusive)?;
            Ok(file)
        };
        let file = lock().map_err(|error| self.missing(error, "lock"))?;
        if !self.exists() {
            bail!("No such container: {}", self.short_id());
        }
        Ok(file)
    }

    /// Becomes the one supervisor of the container; `None` where there is one.
    pub fn supervise(&self) -> Result<Option<File>> {
        let file = self.open_lock(SUPERVISOR)?;
        // Whoever asks whether there is a supervisor holds the lock for a moment.
        for _ in 0..100 {
            if try_flock(&file, Lock::Exclusive).context("lock")? {
                return Ok(Some(file));
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Ok(None)
    }

    pub fn is_supervised(&self) -> Result<bool> {
        let file = self.open_lock(SUPERVISOR).map_err(|error| self.missing(error, "open supervisor's lock"))?;
        Ok(!try_flock(&file, Lock::Shared).context("lock")?)
    }

    /// Waits until there is no supervisor.
    pub fn wait_for_supervisor(&self) -> Result<()> {
        match self.open_lock(SUPERVISOR) {
            Ok(file) => flock(&file, Lock::Shared).context("wait for the supervisor"),
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.context("wait for the supervisor")),
        }
    }

    fn open_lock(&self, name: &str) -> Result<File> {
        let path = self.directory.join(name);
        Ok(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?)
    }

    fn missing(&self, error: Error, doing: &str) -> Error {
        match error.errno() {
            Some(Errno::ENOENT) => Error::new(format!("No such container: {}", self.short_id())),
            _ => error.context(format!("container {}: {doing}", self.short_id())),
        }
    }
}

impl Store {
    /// Every container with what can be read of it, the newest first, and why others cannot be read.
    pub fn list_containers(&self) -> Result<(Vec<Listed>, Vec<Error>)> {
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        for container in self.container_directories()? {
            match container.clone().listed() {
                Ok(listed) => found.push(listed),
                Err(_) if !container.exists() => {}
                Err(error) => broken.push(error),
            }
        }
        found.sort_by(|a, b| b.config.created.cmp(&a.config.created));
        Ok((found, broken))
    }

    fn container_directories(&self) -> Result<Vec<Container>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.containers()).context("read containers")? {
            let directory = entry.context("read containers")?.path();
            let container = Container { directory };
            if names::is_id(container.id()) {
                found.push(container);
            }
        }
        Ok(found)
    }
}

impl Container {
    pub fn listed(self) -> Result<Listed> {
        let (config, state) = (self.config()?, self.state()?);
        Ok(Listed { container: self, config, state })
    }
}

/// A container with its files read.
#[derive(Debug, Clone)]
pub struct Listed {
    pub container: Container,
    pub config: Config,
    pub state: State,
}

impl Listed {
    pub fn is_running(&self) -> bool {
        matches!(self.state.status, Status::Running | Status::Paused)
    }
}
