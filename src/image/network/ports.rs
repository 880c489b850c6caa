//! Published ports. Each is held by a socket of ours, so that nobody else has it and a conflict is told before the start;
//! packets are led past it by rules, and keep their sender's address. What rules cannot lead, connections to ::1 and to
//! IPv6 addresses for a container that has none, is carried by hand.

use super::proxy::Proxy;
use crate::error::{Context, Error, Result};
use crate::image::container::config::{Config, Publish};
use crate::image::container::state::Published;
use crate::sys::Errno;
use crate::sys::event::Wanted;
use crate::sys::{inet, socket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Held {
    socket: OwnedFd,
    pub published: Published,
}

/// Takes all ports that the container publishes.
pub(super) fn hold(config: &Config) -> Result<Vec<Held>> {
    let network = &config.network;
    let mut wanted = network.publish.clone();
    if network.publish_all {
        for entry in &config.exposed {
            let (port, protocol) = entry.split_once('/').unwrap_or((entry, "tcp"));
            let Ok(container_port) = port.parse() else {
                continue;
            };
            if !wanted.iter().any(|known| known.container_port == container_port && known.protocol == protocol) {
                wanted.push(Publish { container_port, protocol: protocol.to_owned(), ..Publish::default() });
            }
        }
    }
    let mut held = Vec::new();
    for publish in &wanted {
        held.extend(hold_one(publish)?);
    }
    Ok(held)
}

fn hold_one(publish: &Publish) -> Result<Vec<Held>> {
    if let Ok(ip) = publish.host_ip.parse::<IpAddr>() {
        return Ok(vec![bind(publish, ip, publish.host_port)?]);
    }
    // Both families; for a free port, one that is free in both.
    for attempt in 0.. {
        let first = bind(publish, Ipv4Addr::UNSPECIFIED.into(), publish.host_port)?;
        match bind(publish, Ipv6Addr::UNSPECIFIED.into(), first.published.host_port) {
            Ok(second) => return Ok(vec![first, second]),
            // A host without IPv6.
            Err(error) if matches!(error.errno(), Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)) => {
                return Ok(vec![first]);
            }
            Err(error) if publish.host_port != 0 || attempt > 20 => return Err(error),
            Err(_) => {}
        }
    }
    Ok(Vec::new())
}

fn bind(publish: &Publish, ip: IpAddr, port: u16) -> Result<Held> {
    let stream = publish.protocol == "tcp";
    let held = inet::bind(SocketAddr::new(ip, port), stream).map_err(|errno| match errno {
        Errno::EADDRINUSE => {
            Error::from(errno).context(format!("port {port}/{} of {ip} is already allocated", publish.protocol))
        }
        Errno::EACCES => Error::from(errno).context(format!(
            "publish port {port}/{} of {ip}: low ones are root's (sysctl net.ipv4.ip_unprivileged_port_start says \
             which); publish a higher one",
            publish.protocol
        )),
        _ => Error::from(errno).context(format!("publish port {port}/{} of {ip}", publish.protocol)),
    })?;
    let host_port = if port == 0 { inet::local_port(&held).context("read the port")? } else { port };
    let published = Published {
        host_ip: ip.to_string(),
        host_port,
        container_port: publish.container_port,
        protocol: publish.protocol.clone(),
    };
    Ok(Held { socket: held, published })
}

/// Whether somebody listens there, whom nobody can take for us.
pub(super) fn is_taken(published: &Published) -> bool {
    let Ok(ip) = published.host_ip.parse() else {
        return false;
    };
    inet::bind(SocketAddr::new(ip, published.host_port), published.protocol == "tcp").is_err()
}

impl Held {
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { fd: self.socket.as_fd(), read: true, write: false }
    }

    /// Carries on what no rule has led past us.
    pub(super) fn serve(&self, proxy: &mut Proxy, container: IpAddr) {
        if self.published.protocol != "tcp" {
            // Who is not led past us is not answered.
            let mut nothing = [0; 1];
            let _ = socket::receive(self.socket.as_fd(), &mut nothing);
            return;
        }
        if let Ok(client) = socket::accept(self.socket.as_fd()) {
            proxy.carry(client, SocketAddr::new(container, self.published.container_port));
        }
    }
}
