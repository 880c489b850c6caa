//! Unix sockets: the rendezvous between a container's first process and those who wait for it, and descriptors sent to
//! engines.

use super::fd::{check, owned};
use super::{Errno, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Two ends of a connection that keeps messages apart.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    nix::sys::socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// A socket that listens at `name` in `directory`. The name is looked up through the descriptor, so that the directory's
/// own path may be longer than the 108 bytes that a socket's address holds (unix(7)).
pub fn listen_at(directory: BorrowedFd, name: &str) -> Result<OwnedFd> {
    let socket = seqpacket()?;
    let address = UnixAddr::new(path_below(directory, name).as_str())?;
    nix::sys::socket::bind(socket.as_raw_fd(), &address)?;
    nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(1)?)?;
    Ok(socket)
}

/// Like [`listen_at`], for connections that are streams of bytes: what runtimes send a terminal's master over.
pub fn listen_stream_at(directory: BorrowedFd, name: &str) -> Result<OwnedFd> {
    let socket = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    nix::sys::socket::bind(socket.as_raw_fd(), &UnixAddr::new(path_below(directory, name).as_str())?)?;
    nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(1)?)?;
    Ok(socket)
}

pub fn connect_at(directory: BorrowedFd, name: &str) -> Result<OwnedFd> {
    let socket = seqpacket()?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path_below(directory, name).as_str())?)?;
    Ok(socket)
}

/// A socket for datagrams at `name` in `directory`.
pub fn bind_datagram_at(directory: BorrowedFd, name: &str) -> Result<OwnedFd> {
    let socket = datagram()?;
    nix::sys::socket::bind(socket.as_raw_fd(), &UnixAddr::new(path_below(directory, name).as_str())?)?;
    Ok(socket)
}

/// A socket whose datagrams go to the one at `address`: a path, or with `@` in front a name without a file (unix(7)).
pub fn connect_datagram(address: &str) -> Result<OwnedFd> {
    let socket = datagram()?;
    let address = match address.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
        None => UnixAddr::new(address)?,
    };
    nix::sys::socket::connect(socket.as_raw_fd(), &address)?;
    Ok(socket)
}

fn datagram() -> Result<OwnedFd> {
    nix::sys::socket::socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

fn seqpacket() -> Result<OwnedFd> {
    nix::sys::socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
}

fn path_below(directory: BorrowedFd, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())
}

pub fn accept(listener: BorrowedFd) -> Result<OwnedFd> {
    loop {
        // SAFETY: we do not ask for the peer's address.
        let answer = unsafe {
            libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC)
        };
        match owned(answer.into()) {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// A stream connection to the socket that an engine listens on at a path of the host.
pub fn connect_stream(path: &Path) -> Result<OwnedFd> {
    let socket = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

/// The same for a socket that has a name without a file (unix(7), "abstract").
pub fn connect_abstract(name: &[u8]) -> Result<OwnedFd> {
    let socket = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    Ok(socket)
}

/// Sends bytes, and with them copies of descriptors.
pub fn send(socket: BorrowedFd, bytes: &[u8], fds: &[RawFd]) -> Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Receives one message and at most one descriptor with it. No bytes: the other end is closed.
pub fn receive(socket: BorrowedFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut space = nix::cmsg_space!(RawFd);
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Ok(message) => {
                let mut received = None;
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(fds) = control {
                        for fd in fds {
                            received = Some(owned(fd.into())?);
                        }
                    }
                }
                return Ok((message.bytes, received));
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Brings the loopback interface of the network namespace up (netdevice(7), SIOCSIFFLAGS).
pub fn loopback_up() -> Result<()> {
    let socket = nix::sys::socket::socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: ifreq is plain data; zero is a valid value of each part.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: request is an ifreq with a name that ends in zero.
    check(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }.into())
}
