//! linux.netDevices: devices of our network namespace that become the container's (runtime-spec, config-linux.md, "Network
//! Devices"; rtnetlink(7)).

use super::plan::{Launch, NetDevice};
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::netlink::{Answer, Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Netlink, Protocol};
use crate::sys::process::{self, CLONE_NEWNET, pid_t};
use crate::sys::{Errno, OFlag, fd};
use std::os::fd::{AsRawFd, OwnedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
/// struct ifinfomsg: family, type, index, flags, change
const LINK_BODY: usize = 16;
/// struct ifaddrmsg: family, prefix length, flags, scope, index
const ADDRESS_BODY: usize = 8;
const IFF_UP: u32 = 1;
const IFA_F_PERMANENT: u32 = 0x80;
/// What somebody chose for an address, beside what the kernel says of it: NODAD, HOMEADDRESS, NOPREFIXROUTE, MCAUTOJOIN.
const IFA_F_CHOSEN: u32 = 0x02 | 0x10 | 0x200 | 0x400;
const RT_SCOPE_UNIVERSE: u8 = 0;

/// Devices that moved, and how to get them back.
#[derive(Debug)]
pub struct Moved {
    ours: Netlink,
    our_namespace: OwnedFd,
    theirs: Netlink,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    /// Here.
    name: String,
    was_up: bool,
    addresses: Vec<Address>,
    /// There.
    index: i32,
}

/// Refuses, before anything is made, what is not there.
pub fn check(launch: &Launch) -> Result<()> {
    if launch.net_devices.is_empty() {
        return Ok(());
    }
    let ours = Netlink::open(Protocol::Route).context("open a netlink socket")?;
    for device in &launch.net_devices {
        find(&ours, &device.name).with(|| format!("linux.netDevices.{}: find the device", device.name))?;
    }
    Ok(())
}

/// Moves the devices into the network namespace of `pid`, or into the one that it is going to join.
pub fn send(launch: &Launch, pid: pid_t) -> Result<Option<Moved>> {
    if launch.net_devices.is_empty() {
        return Ok(None);
    }
    let open = |path: &std::ffi::CStr| fd::open(path, OFlag::O_RDONLY);
    let own = || "linux.netDevices: open our own network namespace".to_owned();
    let our_namespace = open(c"/proc/self/ns/net").with(own)?;
    let their_namespace = match &launch.network {
        Some(joined) => open(&joined.path).with(|| format!("linux.namespaces[{}].path: open it", joined.index))?,
        None => open(&super::host::proc_file(pid, "ns/net")).context("open the container's network namespace")?,
    };
    if process::namespace_type(&their_namespace).ok() != Some(CLONE_NEWNET) {
        bail!("linux.netDevices: what the container joins is no network namespace");
    }
    if fd::stat(&their_namespace).ok() == fd::stat(&our_namespace).ok() {
        bail!("linux.netDevices: the container's network namespace is our own; there is nowhere to move to");
    }
    let ours = Netlink::open(Protocol::Route).context("open a netlink socket")?;
    process::setns(&their_namespace, CLONE_NEWNET)
        .context("linux.netDevices: enter the container's network namespace")?;
    let theirs = Netlink::open(Protocol::Route);
    process::setns(&our_namespace, CLONE_NEWNET).context("return to our own network namespace")?;
    let theirs = theirs.context("open a netlink socket in the container's network namespace")?;
    let mut moved = Moved { ours, our_namespace, theirs, devices: Vec::new() };
    for device in &launch.net_devices {
        let sent = moved.send(device, &their_namespace);
        if let Err(error) = sent {
            moved.back();
            return Err(error.context(format!("linux.netDevices.{}", device.name)));
        }
    }
    Ok(Some(moved))
}

impl Moved {
    fn send(&mut self, wanted: &NetDevice, to: &OwnedFd) -> Result<()> {
        let (index, was_up) = find(&self.ours, &wanted.name).context("find the device")?;
        let addresses = addresses(&self.ours, index).context("read its addresses")?;
        let name = free_name(&self.theirs, &wanted.rename)?;
        // In one request: under a name that is taken over there it would arrive and not be renamed.
        let message = link(index, 0).with_u32(IFLA_NET_NS_FD, to.as_raw_fd() as u32).with_str(IFLA_IFNAME, &name);
        self.ours.request(message).with(|| format!("move it into the container as {name}"))?;
        // The kernel keeps the index only where it is free.
        let (index, _) = find(&self.theirs, &name).context("find it in the container")?;
        let device = Device { name: wanted.name.clone(), was_up, addresses, index };
        let settled = settle(&self.theirs, index, &device.addresses, true);
        self.devices.push(device);
        settled
    }

    /// After a failure: a device that only exists in memory would go with its namespace.
    pub fn back(&mut self) {
        for device in self.devices.drain(..).rev() {
            let fd = self.our_namespace.as_raw_fd() as u32;
            let message = link(device.index, 0).with_u32(IFLA_NET_NS_FD, fd).with_str(IFLA_IFNAME, &device.name);
            // What cannot be taken back is lost, and the error that led here matters more.
            if self.theirs.request(message).is_ok()
                && let Ok((index, _)) = find(&self.ours, &device.name)
            {
                let _ = settle(&self.ours, index, &device.addresses, device.was_up);
            }
        }
    }
}

/// A request about a link, with acknowledgement.
fn link(index: i32, up: u32) -> Message {
    let mut body = [0; LINK_BODY];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&up.to_ne_bytes());
    body[12..16].copy_from_slice(&up.to_ne_bytes());
    Message::new(RTM_SETLINK, NLM_F_ACK, &body)
}

/// The index of a device, and whether it is up.
fn find(netlink: &Netlink, name: &str) -> crate::sys::Result<(i32, bool)> {
    let links = netlink.request(Message::new(RTM_GETLINK, NLM_F_DUMP, &[0; LINK_BODY]))?;
    let named = |link: &&Answer| link.kind == RTM_NEWLINK && name_of(link) == Some(name.as_bytes());
    let link = links.iter().find(named).ok_or(Errno::ENODEV)?;
    let word = |at: usize| link.payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    let (index, flags) = word(4).zip(word(8)).ok_or(Errno::EPROTO)?;
    Ok((index, flags as u32 & IFF_UP != 0))
}

fn name_of(link: &Answer) -> Option<&[u8]> {
    let name = link.attributes(LINK_BODY).find(|(kind, _)| *kind == IFLA_IFNAME)?.1;
    Some(name.strip_suffix(&[0]).unwrap_or(name))
}

/// `%d` stands for the lowest number that gives a free name.
fn free_name(netlink: &Netlink, wanted: &str) -> Result<String> {
    let links = netlink.request(Message::new(RTM_GETLINK, NLM_F_DUMP, &[0; LINK_BODY]));
    let links = links.context("read the names in the container")?;
    let is_free = |name: &str| links.iter().all(|link| name_of(link) != Some(name.as_bytes()));
    if !wanted.contains("%d") {
        if !is_free(wanted) {
            bail!("name {wanted} is in use in the container");
        }
        return Ok(wanted.to_owned());
    }
    let names = (0..=links.len()).map(|number| wanted.replace("%d", &number.to_string()));
    match names.into_iter().find(|name| is_free(name)) {
        Some(name) => Ok(name),
        None => bail!("no name like {wanted} is free in the container"),
    }
}

/// An address, to be given to a device again.
#[derive(Debug)]
struct Address {
    /// struct ifaddrmsg: family, prefix length, flags, scope; then the device's index.
    header: [u8; 4],
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Of the device `of`, if it is permanent and global: what the kernel or a lease made, it makes again.
    fn parse(answer: &Answer, of: i32) -> Option<Address> {
        let [family, prefix, flags, scope, index @ ..]: [u8; ADDRESS_BODY] = *answer.payload.first_chunk()?;
        if answer.kind != RTM_NEWADDR || scope != RT_SCOPE_UNIVERSE || i32::from_ne_bytes(index) != of {
            return None;
        }
        let found: Vec<_> = answer.attributes(ADDRESS_BODY).collect();
        let wide = found.iter().find(|(kind, _)| *kind == IFA_FLAGS);
        let wide = wide.and_then(|(_, value)| <[u8; 4]>::try_from(*value).ok()).map(u32::from_ne_bytes);
        let flags = wide.unwrap_or(flags.into());
        if flags & IFA_F_PERMANENT == 0 {
            return None;
        }
        let kept = found.into_iter().filter(|(kind, _)| [IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST].contains(kind));
        let mut attributes: Vec<_> = kept.map(|(kind, value)| (kind, value.to_vec())).collect();
        attributes.push((IFA_FLAGS, (flags & IFA_F_CHOSEN).to_ne_bytes().to_vec()));
        Some(Address { header: [family, prefix, 0, scope], attributes })
    }

    fn give_to(&self, index: i32) -> Message {
        let body = [self.header, index.to_ne_bytes()].concat();
        let message = Message::new(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &body);
        self.attributes.iter().fold(message, |message, (kind, value)| message.with(*kind, value))
    }
}

/// A move takes all of them from a device.
fn addresses(netlink: &Netlink, index: i32) -> crate::sys::Result<Vec<Address>> {
    let answers = netlink.request(Message::new(RTM_GETADDR, NLM_F_DUMP, &[0; ADDRESS_BODY]))?;
    Ok(answers.iter().filter_map(|answer| Address::parse(answer, index)).collect())
}

/// Addresses, and up.
fn settle(netlink: &Netlink, index: i32, addresses: &[Address], up: bool) -> Result<()> {
    for address in addresses {
        match netlink.request(address.give_to(index)) {
            // KERNEL: what a device gives itself as soon as it is there.
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno).context("give it its addresses"),
        }
    }
    if up {
        netlink.request(link(index, IFF_UP)).context("bring it up")?;
    }
    Ok(())
}
