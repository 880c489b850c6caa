//! Sockets of the Internet protocols (ip(7), ipv6(7)), where std's are not enough.

use super::fd::{check, owned};
use super::{Errno, Result};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// An address as the kernel takes it, and how long it is.
fn kernel_address(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: sockaddr_storage is plain data; zero is a valid value of it.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let place = &raw mut storage;
    let length = match address {
        SocketAddr::V4(address) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is as large as, and aligned for, every kind of address.
            unsafe { place.cast::<libc::sockaddr_in>().write(value) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(address) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { place.cast::<libc::sockaddr_in6>().write(value) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

fn socket(address: SocketAddr, kind: libc::c_int) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers.
    owned(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) }.into())
}

fn switch_on(socket: &OwnedFd, level: libc::c_int, option: libc::c_int) -> Result<()> {
    let one: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option takes an int, whose length is given.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const one).cast(), length) }.into())
}

/// A socket bound to the address, and where it is a stream, listening. An IPv6 one takes no IPv4. It does not wait.
pub fn bind(address: SocketAddr, stream: bool) -> Result<OwnedFd> {
    let bound = socket(address, if stream { libc::SOCK_STREAM } else { libc::SOCK_DGRAM })?;
    if address.is_ipv6() {
        switch_on(&bound, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)?;
    }
    if stream {
        // Connections that have ended a moment ago do not keep the port.
        switch_on(&bound, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    }
    let (storage, length) = kernel_address(address);
    // SAFETY: storage holds an address of that length.
    check(unsafe { libc::bind(bound.as_raw_fd(), (&raw const storage).cast(), length) }.into())?;
    if stream {
        // SAFETY: no pointers.
        check(unsafe { libc::listen(bound.as_raw_fd(), libc::SOMAXCONN) }.into())?;
    }
    Ok(bound)
}

/// A stream socket that is being connected; it can be written to when it is. It does not wait.
pub fn connect(address: SocketAddr) -> Result<OwnedFd> {
    let connecting = socket(address, libc::SOCK_STREAM)?;
    let (storage, length) = kernel_address(address);
    // SAFETY: storage holds an address of that length.
    match check(unsafe { libc::connect(connecting.as_raw_fd(), (&raw const storage).cast(), length) }.into()) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(connecting),
        Err(errno) => Err(errno),
    }
}

/// The port that a socket is bound to.
pub fn local_port(socket: impl AsFd) -> Result<u16> {
    // SAFETY: sockaddr_storage is plain data; zero is a valid value of it.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let (place, fd) = (&raw mut storage, socket.as_fd().as_raw_fd());
    // SAFETY: storage has room for length bytes.
    check(unsafe { libc::getsockname(fd, place.cast(), &raw mut length) }.into())?;
    // SAFETY: both kinds of address have the port behind the family, and storage is large enough for either.
    let address = unsafe { place.cast::<libc::sockaddr_in>().read() };
    match i32::from(address.sin_family) {
        libc::AF_INET | libc::AF_INET6 => Ok(u16::from_be(address.sin_port)),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_by_one() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let first = match bind(any.parse().unwrap(), true) {
                Err(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT) if any.starts_with('[') => continue,
                first => first.unwrap(),
            };
            let mut address: SocketAddr = any.parse().unwrap();
            address.set_port(local_port(&first).unwrap());
            assert_eq!(bind(address, true).unwrap_err(), Errno::EADDRINUSE);
            connect(address).unwrap();
        }
    }
}
