//! The state directory: ROOT/ID/ holds state.json, a copy of config.json and, until `start`, the socket start.sock.
//!
//! state.json is there before anything else is made (cgroup, process), so that `delete --force` finds what a crash at any
//! moment left. Whoever changes a container holds a lock on its directory.

use super::bundle::parse_json;
use super::notify;
use super::record::{State, Status};
use super::spec::Spec;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::{Errno, Mode, OFlag, fd, process, tree};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const STATE: &CStr = c"state.json";
const STATE_NEW: &CStr = c".state.json.new";
const CONFIG: &CStr = c"config.json";
/// The socket that a created container waits at; `start` takes it away.
pub const START_SOCKET: &str = "start.sock";
const FILE_MAX: usize = 64 << 20;
const ID_MAX: usize = 1024;
/// Milliseconds that whoever holds a container's lock gets to finish.
const LOCK_WAIT: i32 = 10_000;
const LOCK_PAUSE: i32 = 5;

/// Where containers are kept.
#[derive(Debug)]
pub struct Store {
    path: String,
}

/// A container's state directory.
#[derive(Debug)]
pub struct Container {
    pub state: State,
    directory: OwnedFd,
    store: String,
}

impl Store {
    /// `root`: `--root`. Otherwise a place that goes at reboot, as containers do.
    pub fn locate(root: Option<&str>) -> Result<Store> {
        let path = match root {
            Some("") => bail!("--root: empty"),
            Some(root) if root.starts_with('/') => root.trim_end_matches('/').to_owned(),
            Some(root) => format!("{}/{root}", current_directory()?),
            None if super::caller::is_user() => match std::env::var("XDG_RUNTIME_DIR") {
                Ok(directory) if directory.starts_with('/') => format!("{directory}/bolo"),
                _ => bail!("XDG_RUNTIME_DIR is not set: say with --root where to keep containers"),
            },
            None => "/run/bolo".to_owned(),
        };
        if path.is_empty() {
            bail!("--root: / will not do");
        }
        Ok(Store { path })
    }

    /// Where the state of container `id` is or will be.
    pub fn directory_of(&self, id: &str) -> String {
        format!("{}/{id}", self.path)
    }

    fn open(&self) -> Result<Option<OwnedFd>> {
        match fd::open(&cstring(&self.path)?, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            Err(Errno::ENOENT) => Ok(None),
            root => root.map(Some).with(|| format!("open {}", self.path)),
        }
    }

    /// Makes the directory of a new container, locked, with the intent written down.
    pub fn create(&self, state: State, config: &[u8]) -> Result<Container> {
        check_id(&state.id)?;
        let root = match self.open()? {
            Some(root) => root,
            None => self.make()?,
        };
        let name = cstring(&state.id)?;
        match tree::mkdirat(root.as_fd(), &name, 0o711) {
            Err(Errno::EEXIST) => bail!("container with id exists: {}", state.id),
            made => made.with(|| format!("make {}/{}", self.path, state.id))?,
        }
        let container = open_directory(root.as_fd(), &name).and_then(|directory| {
            let locked = fd::try_lock(&directory)?;
            if !locked {
                bail!("container {} is being deleted", state.id);
            }
            let container = Container { state, directory, store: self.path.clone() };
            container.write(CONFIG, CONFIG, config)?;
            container.save()?;
            Ok(container)
        });
        if container.is_err() {
            let _ = tree::remove_all(root.as_fd(), &name);
        }
        container
    }

    fn make(&self) -> Result<OwnedFd> {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(&self.path).with(|| format!("make {}", self.path))?;
        match self.open()? {
            Some(root) => Ok(root),
            None => bail!("{} vanished", self.path),
        }
    }

    /// The container `id`, as it is written down.
    pub fn load(&self, id: &str) -> Result<Container> {
        match self.find(id)? {
            Some(container) => container,
            None => bail!("container does not exist: {id}"),
        }
    }

    /// None: there is no directory of that name. An inner error: there is one, and its state cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<Result<Container>>> {
        check_id(id)?;
        let Some(root) = self.open()? else { return Ok(None) };
        match open_directory(root.as_fd(), &cstring(id)?) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error),
            Ok(directory) => Ok(Some(Container::load(directory, &self.path, id))),
        }
    }

    /// The names of all that may be containers, sorted.
    pub fn ids(&self) -> Result<Vec<String>> {
        let Some(root) = self.open()? else { return Ok(Vec::new()) };
        let names = tree::read_dir(root.as_fd()).with(|| format!("read {}", self.path))?;
        let mut ids: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        ids.retain(|id| check_id(id).is_ok());
        ids.sort_unstable();
        Ok(ids)
    }

    /// Removes a container's directory whose state cannot be read.
    pub fn remove_damaged(&self, id: &str) -> Result<()> {
        check_id(id)?;
        let Some(root) = self.open()? else { return Ok(()) };
        remove(root.as_fd(), &self.path, id)
    }
}

impl Container {
    fn load(directory: OwnedFd, store: &str, id: &str) -> Result<Container> {
        let mut container = Container { state: State::default(), directory, store: store.to_owned() };
        let text = container.read(STATE)?;
        container.state = parse_json(&text).with(|| format!("{store}/{id}/state.json"))?;
        container.state.id = id.to_owned();
        Ok(container)
    }

    pub fn id(&self) -> &str {
        &self.state.id
    }

    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The state directory's path, for what must be named to others.
    pub fn path(&self) -> String {
        format!("{}/{}", self.store, self.state.id)
    }

    /// For the socket of sd_notify(3).
    pub fn make_notify_directory(&self) -> Result<()> {
        let made = tree::mkdirat(self.directory(), &cstring(notify::DIRECTORY)?, 0o755);
        made.with(|| format!("make {}/{}", self.path(), notify::DIRECTORY))
    }

    pub fn notify_directory(&self) -> Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let directory = fd::openat(&self.directory, &cstring(notify::DIRECTORY)?, flags);
        directory.with(|| format!("NOTIFY_SOCKET: open {}/{}", self.path(), notify::DIRECTORY))
    }

    pub fn has_notify_directory(&self) -> bool {
        cstring(notify::DIRECTORY).is_ok_and(|name| tree::stat_at(self.directory(), &name).is_ok())
    }

    /// config.json as it was at `create`.
    pub fn spec(&self) -> Result<Spec> {
        let text = self.read(CONFIG)?;
        super::bundle::parse(&text).with(|| format!("{}/config.json", self.path()))
    }

    pub fn save(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.state)?;
        self.write(STATE_NEW, STATE, &text)
    }

    /// Replaces the copy of config.json: `update` changes the limits in it.
    pub fn save_spec(&self, spec: &Spec) -> Result<()> {
        self.write(c".config.json.new", CONFIG, &serde_json::to_vec(spec)?)
    }

    /// Takes the lock, waiting for whoever has it.
    pub fn lock(&self) -> Result<()> {
        let mut waited = 0;
        while !fd::try_lock(&self.directory).with(|| format!("lock {}", self.path()))? {
            if waited >= LOCK_WAIT {
                bail!("container {} is in use by another call of this program", self.id());
            }
            process::pause(LOCK_PAUSE);
            waited += LOCK_PAUSE;
        }
        Ok(())
    }

    /// Lets others change it, as long as we only watch.
    pub fn unlock(&self) -> Result<()> {
        fd::unlock(&self.directory).with(|| format!("unlock {}", self.path()))
    }

    /// The first process, if it is still the one that was created and lives.
    pub fn process(&self) -> Result<Option<OwnedFd>> {
        if self.state.pid <= 0 {
            return Ok(None);
        }
        let pidfd = match process::pidfd_open(self.state.pid) {
            Err(Errno::ESRCH | Errno::EINVAL) => return Ok(None),
            pidfd => pidfd.with(|| format!("open process {}", self.state.pid))?,
        };
        // The descriptor is of whoever has the pid now; the start time tells whether that is still ours.
        match process::stat(self.state.pid) {
            Ok(stat) if stat.start_time == self.state.start_time && !stat.is_dead() => Ok(Some(pidfd)),
            _ => Ok(None),
        }
    }

    pub fn status(&self) -> Result<Status> {
        if self.process()?.is_none() {
            return Ok(Status::Stopped);
        }
        if self.waits_for_start()? {
            return Ok(Status::Created);
        }
        match &self.state.cgroup {
            Some(cgroup) if cgroup.is_frozen()? => Ok(Status::Paused),
            _ => Ok(Status::Running),
        }
    }

    fn waits_for_start(&self) -> Result<bool> {
        match tree::stat_at(self.directory.as_fd(), &cstring(START_SOCKET)?) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error).with(|| format!("look at {}/{START_SOCKET}", self.path())),
        }
    }

    /// The container is not only created any more.
    pub fn remove_start_socket(&self) -> Result<()> {
        match tree::unlinkat(self.directory.as_fd(), &cstring(START_SOCKET)?) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).with(|| format!("remove {}/{START_SOCKET}", self.path())),
        }
    }

    /// Removes the directory: the container is no more.
    pub fn remove(&self) -> Result<()> {
        let root = fd::open(&cstring(&self.store)?, OFlag::O_PATH | OFlag::O_DIRECTORY);
        remove(root.with(|| format!("open {}", self.store))?.as_fd(), &self.store, self.id())
    }

    fn read(&self, name: &CStr) -> Result<Vec<u8>> {
        let file = fd::openat(&self.directory, name, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW);
        let text = file.and_then(|file| fd::read_up_to(file, FILE_MAX));
        text.with(|| format!("read {}/{}", self.path(), name.to_string_lossy()))
    }

    /// Writes a file whole or not at all; `name` is where it is made.
    fn write(&self, name: &CStr, last: &CStr, text: &[u8]) -> Result<()> {
        self.write_file(name, last, text).with(|| format!("write {}/{}", self.path(), last.to_string_lossy()))
    }

    fn write_file(&self, name: &CStr, last: &CStr, text: &[u8]) -> crate::sys::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW;
        let file =
            nix::fcntl::openat(&self.directory, name, flags | OFlag::O_CLOEXEC, Mode::from_bits_truncate(0o600))?;
        fd::write_all(&file, text)?;
        if name != last {
            nix::unistd::fsync(&file)?;
            nix::fcntl::renameat(&self.directory, name, &self.directory, last)?;
        }
        Ok(())
    }
}

fn remove(root: BorrowedFd, store: &str, id: &str) -> Result<()> {
    match tree::remove_all(root, &cstring(id)?) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error).with(|| format!("remove {store}/{id}")),
    }
}

fn open_directory(root: BorrowedFd, name: &CStr) -> Result<OwnedFd> {
    let directory = fd::openat(root, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW);
    directory.with(|| format!("open the state of container {}", name.to_string_lossy()))
}

/// A container's id is the name of a directory, of a cgroup and of a systemd unit.
pub fn check_id(id: &str) -> Result<()> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() {
        bail!("container id: empty");
    }
    if id.len() > ID_MAX || id == "." || id == ".." || !id.chars().all(is_good) {
        let shown: String = id.chars().take(80).collect();
        bail!("container id {shown:?}: use letters, digits and _ + - . (not . or .. alone), {ID_MAX} at most");
    }
    Ok(())
}

fn cstring(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(format!("{text:?}: a zero byte in a name")))
}

fn current_directory() -> Result<String> {
    let here = nix::unistd::getcwd().context("find the current directory")?;
    here.into_os_string().into_string().map_err(|_| Error::new("the current directory's name is not UTF-8"))
}
