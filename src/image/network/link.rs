//! Links, addresses and routes of a network namespace (rtnetlink(7)).

use crate::error::{Context, Result};
use crate::sys::Errno;
use crate::sys::netlink::{Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Netlink, Protocol};
use crate::sys::process::{CLONE_NEWNET, setns};
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// No waiting for duplicates of an address that we give out ourselves.
const IFA_F_NODAD: u32 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
/// `struct ifinfomsg` and `struct rtmsg`.
const IFINFO_LEN: usize = 16;
const RTMSG_LEN: usize = 12;

pub(super) type Mac = [u8; 6];

/// What a namespace's links are changed through.
pub(super) struct Links {
    netlink: Netlink,
}

/// A link as a dump tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// The bridge that it is a port of.
    pub(super) master: Option<u32>,
}

fn ifinfo(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &change.to_ne_bytes()].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

impl Links {
    /// Of this process's namespace.
    pub(super) fn here() -> Result<Links> {
        Ok(Links { netlink: Netlink::open(Protocol::Route).context("open a route socket")? })
    }

    /// Of another namespace.
    pub(super) fn of(namespace: &File) -> Result<Links> {
        inside(namespace, Links::here)
    }

    pub(super) fn list(&self) -> Result<Vec<Link>> {
        let request = Message::new(RTM_GETLINK, NLM_F_DUMP, &[0; IFINFO_LEN]);
        let mut links = Vec::new();
        for answer in self.netlink.request(request).context("list links")? {
            if answer.kind != RTM_NEWLINK {
                continue;
            }
            let number = |bytes: &[u8]| bytes.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes));
            let index = answer.payload.get(4..8).and_then(number).unwrap_or(0);
            let mut link = Link { index, name: String::new(), master: None };
            for (kind, value) in answer.attributes(IFINFO_LEN) {
                match kind {
                    IFLA_IFNAME => link.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
                    IFLA_MASTER => link.master = number(value),
                    _ => {}
                }
            }
            links.push(link);
        }
        Ok(links)
    }

    pub(super) fn index(&self, name: &str) -> Result<Option<u32>> {
        Ok(self.list()?.into_iter().find(|link| link.name == name).map(|link| link.index))
    }

    /// The destinations of all routes: address and length of its prefix.
    pub(super) fn routes(&self) -> Result<Vec<(IpAddr, u8)>> {
        let request = Message::new(RTM_GETROUTE, NLM_F_DUMP, &[0; RTMSG_LEN]);
        let answers = self.netlink.request(request).context("list routes")?;
        let destination = |answer: &crate::sys::netlink::Answer| -> Option<(IpAddr, u8)> {
            let (_, bytes) = answer.attributes(RTMSG_LEN).find(|(kind, _)| *kind == RTA_DST)?;
            let address = match bytes.len() {
                4 => IpAddr::from(*bytes.first_chunk::<4>()?),
                16 => IpAddr::from(*bytes.first_chunk::<16>()?),
                _ => return None,
            };
            Some((address, *answer.payload.get(1)?))
        };
        Ok(answers.iter().filter_map(destination).collect())
    }

    /// A bridge, by its index; one that is there stays as it is.
    pub(super) fn ensure_bridge(&self, name: &str, mac: Mac) -> Result<u32> {
        let message = Message::new(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &ifinfo(0, IFF_UP, IFF_UP))
            .with_str(IFLA_IFNAME, name)
            // Without one of its own it would change with its ports.
            .with(IFLA_ADDRESS, &mac)
            .nest(IFLA_LINKINFO, |info| info.with_str(IFLA_INFO_KIND, "bridge"));
        match self.netlink.request(message) {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno).with(|| format!("make bridge {name}")),
        }
        self.index(name)?.ok_or(Errno::ENODEV).with(|| format!("bridge {name}"))
    }

    /// A pair of links: `name` here, as a port of the bridge, and `peer` in another namespace, still down.
    pub(super) fn add_pair(&self, name: &str, bridge: u32, peer: &str, mac: Mac, namespace: &File) -> Result<()> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let of_peer = |inner: Message| {
            inner
                .with_str(IFLA_IFNAME, peer)
                .with(IFLA_ADDRESS, &mac)
                .with_u32(IFLA_NET_NS_FD, namespace.as_raw_fd().unsigned_abs())
        };
        let message = Message::new(RTM_NEWLINK, flags, &ifinfo(0, IFF_UP, IFF_UP))
            .with_str(IFLA_IFNAME, name)
            .with_u32(IFLA_MASTER, bridge)
            .nest(IFLA_LINKINFO, |info| {
                info.with_str(IFLA_INFO_KIND, "veth")
                    .nest(IFLA_INFO_DATA, |data| data.nest_with_body(VETH_INFO_PEER, &ifinfo(0, 0, 0), of_peer))
            });
        self.netlink.request(message).map(drop).with(|| format!("make link {name}"))
    }

    pub(super) fn set_up(&self, index: u32) -> Result<()> {
        let message = Message::new(RTM_NEWLINK, NLM_F_ACK, &ifinfo(index, IFF_UP, IFF_UP));
        self.netlink.request(message).map(drop).context("set link up")
    }

    /// What is not there is no error.
    pub(super) fn delete(&self, name: &str) -> Result<()> {
        let message = Message::new(RTM_DELLINK, NLM_F_ACK, &ifinfo(0, 0, 0)).with_str(IFLA_IFNAME, name);
        match self.netlink.request(message) {
            Ok(_) | Err(Errno::ENODEV) => Ok(()),
            Err(errno) => Err(errno).with(|| format!("delete link {name}")),
        }
    }

    /// Gives a link an address; one that it has is no error.
    pub(super) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
        let mut body = vec![family(address), prefix, 0, 0];
        body.extend_from_slice(&index.to_ne_bytes());
        let message = Message::new(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &body)
            .with(IFA_LOCAL, &octets(address))
            .with(IFA_ADDRESS, &octets(address))
            .with_u32(IFA_FLAGS, if address.is_ipv6() { IFA_F_NODAD } else { 0 });
        match self.netlink.request(message) {
            Ok(_) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno).with(|| format!("give link address {address}/{prefix}")),
        }
    }

    /// The route to everywhere.
    pub(super) fn add_default_route(&self, index: u32, gateway: IpAddr) -> Result<()> {
        let body = [family(gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0];
        let message = Message::new(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &body)
            .with(RTA_GATEWAY, &octets(gateway))
            .with_u32(RTA_OIF, index);
        self.netlink.request(message).map(drop).with(|| format!("add route by {gateway}"))
    }
}

/// Does something in another network namespace; sockets made there stay there. For a process with one thread.
pub(super) fn inside<T>(namespace: &File, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = File::open("/proc/self/ns/net").context("open own network namespace")?;
    setns(namespace, CLONE_NEWNET).context("enter network namespace")?;
    let done = act();
    // Everything else that we do belongs in our own.
    setns(&own, CLONE_NEWNET).context("leave network namespace")?;
    done
}
