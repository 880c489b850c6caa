//! Where the runtime sends the master of a terminal: a socket, named by a short path that leads through our own descriptor
//! (a socket's address holds 108 bytes).

use crate::error::{Context, Result};
use crate::sys::{Errno, socket, tree};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

pub struct Console {
    listener: OwnedFd,
    directory: File,
    name: String,
}

impl Console {
    pub fn listen(directory: &Path) -> Result<Console> {
        let listen = || -> Result<Console> {
            let name = format!("console.{}", std::process::id());
            let _ = std::fs::remove_file(directory.join(&name));
            let directory = File::open(directory)?;
            Ok(Console { listener: socket::listen_stream_at(directory.as_fd(), &name)?, directory, name })
        };
        listen().context("make the console socket")
    }

    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}/{}", std::process::id(), self.directory.as_raw_fd(), self.name)
    }

    /// The terminal that the runtime has sent.
    pub fn receive_master(self) -> Result<OwnedFd> {
        let connection = socket::accept(self.listener.as_fd()).context("accept the console")?;
        let mut name = [0; 4096];
        let (_, master) = socket::receive(connection.as_fd(), &mut name).context("receive the console")?;
        master.ok_or(Errno::EPROTO).context("receive the console")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Goes with the container's directory at the latest.
        let _ = tree::name(self.name.as_ref()).and_then(|name| tree::unlinkat(self.directory.as_fd(), &name));
    }
}
