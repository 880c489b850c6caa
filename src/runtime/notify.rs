//! sd_notify(3): a service manager hears when the program in the container is ready (NOTIFY_SOCKET).
//!
//! The container gets a socket of its own; whoever starts the program listens there and passes on READY, with the pid to
//! watch. Everything else a program says stays inside: it is not to be believed about the host.

use super::spec::Spec;
use super::store::Container;
use crate::error::{Context, Result};
use crate::sys::poll::{Interest, poll};
use crate::sys::process::{self, pid_t};
use crate::sys::socket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Below the container's state directory, and what is bound read-only into the container: the socket may be made later.
pub const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";
/// Where the directory is in the container.
pub const TARGET: &str = "/run/notify";
/// More than a program has to say (systemd reads no more).
const DATAGRAM_MAX: usize = 4096;
/// Milliseconds that a service manager gets for what it was told; one that knows no BARRIER never answers.
const BARRIER_WAIT: i32 = 30_000;

/// Where our own service manager listens.
pub fn of_our_manager() -> Option<String> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty())
}

/// What the program looks for.
pub fn add_to_environment(spec: &mut Spec) {
    if let Some(process) = &mut spec.process {
        process.env.get_or_insert_default().push(format!("NOTIFY_SOCKET={TARGET}/{SOCKET}"));
    }
}

/// Ours, that the container writes to, and the manager's.
#[derive(Debug)]
pub struct Relay {
    inside: OwnedFd,
    manager: String,
    told: bool,
}

impl Relay {
    /// Before the program starts, or it would find nobody.
    pub fn listen(container: &Container, manager: String) -> Result<Relay> {
        let directory = container.notify_directory()?;
        let inside = socket::bind_datagram_at(directory.as_fd(), SOCKET);
        let inside = inside.with(|| format!("NOTIFY_SOCKET: bind {}/{DIRECTORY}/{SOCKET}", container.path()))?;
        // Whatever user the program is.
        crate::sys::tree::fchmodat(directory.as_fd(), c"notify.sock", 0o777)
            .context("NOTIFY_SOCKET: open it to all")?;
        Ok(Relay { inside, manager, told: false })
    }

    /// Where a program's word can be read; nothing any more once it has been passed on.
    pub fn waiting(&self) -> Option<BorrowedFd<'_>> {
        (!self.told).then(|| self.inside.as_fd())
    }

    /// Returns when the program is ready, or has ended.
    pub fn wait(&mut self, pid: pid_t, pidfd: &OwnedFd) -> Result<()> {
        while !self.told {
            let both = [Some((self.inside.as_fd(), Interest::Read)), Some((pidfd.as_fd(), Interest::Read))];
            let [said, ended] = poll(both).context("wait for the container")?;
            if said && let Some(done) = self.pass_on(pid)? {
                done.wait()?;
            }
            if ended {
                break;
            }
        }
        Ok(())
    }

    /// Reads one datagram; if it says that the program is ready, the manager hears it and is told to watch `pid`.
    pub fn pass_on(&mut self, pid: pid_t) -> Result<Option<Barrier>> {
        let mut buffer = [0; DATAGRAM_MAX];
        let (count, _) = socket::receive(self.inside.as_fd(), &mut buffer).context("NOTIFY_SOCKET: read")?;
        let said = buffer.get(..count).unwrap_or_default();
        let Some(ready) = said.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY=")) else {
            return Ok(None);
        };
        self.told = true;
        let manager = || format!("NOTIFY_SOCKET: tell {}", self.manager);
        let socket = socket::connect_datagram(&self.manager).with(manager)?;
        socket::send(socket.as_fd(), &[ready, b"\n"].concat(), &[]).with(manager)?;
        socket::send(socket.as_fd(), format!("MAINPID={pid}\n").as_bytes(), &[]).with(manager)?;
        let (ours, theirs) = nix::unistd::pipe2(crate::sys::OFlag::O_CLOEXEC).context("make a pipe")?;
        socket::send(socket.as_fd(), b"BARRIER=1", &[theirs.as_raw_fd()]).with(manager)?;
        Ok(Some(Barrier(ours)))
    }
}

/// sd_notify_barrier(3): the manager closes its end when it has read everything before.
#[derive(Debug)]
pub struct Barrier(OwnedFd);

impl Barrier {
    /// A message of a process that has gone meanwhile may be passed over.
    fn wait(self) -> Result<()> {
        process::wait_until_exit(self.0.as_fd(), BARRIER_WAIT).map(drop).context("NOTIFY_SOCKET: wait for the manager")
    }
}
