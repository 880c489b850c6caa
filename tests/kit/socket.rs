//! Receivers of what a runtime sends: descriptors and datagrams.

use super::{HANG, until};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

/// A listening socket to which a runtime sends one message with descriptors (console socket, pidfd socket, seccomp
/// listener).
pub struct Receiver {
    listener: UnixListener,
    path: PathBuf,
}

impl Receiver {
    pub fn listen(path: PathBuf) -> Receiver {
        let listener = UnixListener::bind(&path).unwrap_or_else(|e| panic!("bind {path:?}: {e}"));
        listener.set_nonblocking(true).unwrap();
        Receiver { listener, path }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }

    /// One message: its bytes and its descriptors.
    #[track_caller]
    pub fn receive(&self) -> (Vec<u8>, Vec<OwnedFd>) {
        let (stream, _) = until("somebody connects to our socket", || self.listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        let mut bytes = vec![0; 65536];
        let mut space = nix::cmsg_space!([RawFd; 8]);
        let mut fds = Vec::new();
        let length = {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
            for control in message.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(numbers) = control {
                    // SAFETY: the kernel has just made these descriptors for us, and nobody else knows of them.
                    fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
                }
            }
            message.bytes
        };
        bytes.truncate(length);
        (bytes, fds)
    }
}

/// What a service manager is to a service with `Type=notify` (sd_notify(3)).
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    pub fn bind(path: PathBuf) -> NotifySocket {
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        NotifySocket { socket, path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next datagram; a descriptor that comes with it (BARRIER=1) is closed, which is the answer to it.
    #[track_caller]
    pub fn receive(&self) -> String {
        let mut bytes = vec![0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a datagram");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}
