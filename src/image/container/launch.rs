//! Starting a container: a supervisor of its own is started, and tells how that went.

use super::Container;
use super::channel::{self, Event, Request};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::store::Store;
use crate::sys::{fd, socket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The verb that a supervisor is started with.
pub const VERB: &str = "supervise";

/// Starts the container's supervisor; the connection to it, over which it tells what happens from now on. The terminal
/// size is rows and columns.
pub fn launch(
    store: &Store,
    container: &Container,
    runtime: &Path,
    output: bool,
    size: Option<(u16, u16)>,
) -> Result<OwnedFd> {
    let (ours, theirs) = socket::seqpacket_pair().context("make a socket pair")?;
    channel::send(ours.as_fd(), &Request::Hello { output })?;
    if let Some((rows, columns)) = size {
        channel::send(ours.as_fd(), &Request::Resize { rows, columns })?;
    }
    fd::set_cloexec(&theirs, false).context("prepare the supervisor")?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("forno").arg("--root").arg(store.path()).arg("--runtime").arg(runtime);
    command.arg(VERB).arg("--channel").arg(theirs.as_raw_fd().to_string()).arg(container.id());
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("start the supervisor")?;
    drop(theirs);
    if !status.success() {
        bail!("start the supervisor: {status}");
    }
    Ok(ours)
}

/// Waits until the container runs.
pub fn wait_until_started(channel: &OwnedFd) -> Result<()> {
    loop {
        match channel::receive(channel.as_fd())? {
            Some(Event::Started) => return Ok(()),
            Some(Event::Failed { code, why }) => return Err(Error::new(why).exit(code)),
            Some(_) => {}
            None => bail!("the supervisor has ended without a word"),
        }
    }
}

/// Waits until the container has ended, and nothing is left of its run; its exit code.
pub fn wait_until_ended(channel: &OwnedFd) -> Result<Option<u8>> {
    loop {
        match channel::receive(channel.as_fd())? {
            Some(Event::Ended { code, last: true }) => return Ok(Some(code)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

/// Connects to the supervisor of a container; `None` where there is none.
pub fn connect(container: &Container, output: bool) -> Result<Option<OwnedFd>> {
    let directory = match std::fs::File::open(container.directory()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        directory => directory.context("open the container's directory")?,
    };
    match socket::connect_at(directory.as_fd(), super::ATTACH) {
        Ok(channel) => {
            channel::send(channel.as_fd(), &Request::Hello { output })?;
            Ok(Some(channel))
        }
        // One that was killed leaves its socket's name.
        Err(crate::sys::Errno::ENOENT | crate::sys::Errno::ECONNREFUSED) => Ok(None),
        Err(errno) => Err(errno).context("connect to the supervisor"),
    }
}
