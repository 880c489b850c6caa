//! A container's link to its network's bridge, its address, and the rules for its packets.

use super::definition::{BRIDGE_PREFIX, Network};
use super::link::{Links, Mac};
use super::nft::{FORWARD, OUTPUT, POSTROUTING, PREROUTING, RAW, Table, Term};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::container::config::Config;
use crate::image::container::state::{Endpoint, Published};
use crate::image::store::{Lock, Store};
use crate::sys::Errno;
use crate::sys::netlink::Netlink;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;

/// The link's name in the container.
const INSIDE: &str = "eth0";

/// Held by who gives out addresses, or makes or removes a bridge.
pub(super) fn lock(store: &Store) -> Result<Lock> {
    store.lock("network-addresses")
}

/// The name of the link's end that is here.
fn link_name(id: &str) -> String {
    format!("fnv{}", id.get(..11).unwrap_or_default())
}

fn mac_of(address: IpAddr) -> Mac {
    let bytes = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let octets = address.octets();
            [octets[12], octets[13], octets[14], octets[15]]
        }
    };
    // Locally administered; made of the address, so that nobody's memory of who has it is wrong when it is given again.
    [0x02, 0x42, bytes[0], bytes[1], bytes[2], bytes[3]]
}

fn parse_mac(text: &str) -> Result<Mac> {
    let bytes: Option<Vec<u8>> =
        text.split([':', '-']).map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2)).collect();
    match bytes.as_deref().and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) {
        Some(mac) if mac[0] & 1 == 0 => Ok(mac),
        _ => bail!("{text:?} is no hardware address of one machine"),
    }
}

/// Chooses an address that no running container has. The lock is held until the endpoint is written down.
pub(super) fn choose(store: &Store, network: &Network, config: &Config) -> Result<Endpoint> {
    let mut taken: BTreeSet<String> = BTreeSet::from([network.gateway.to_string()]);
    for listed in store.list_containers()?.0 {
        // Another one that is starting has one too, though it does not run yet.
        if listed.config.id != config.id && (listed.is_running() || listed.container.is_supervised().unwrap_or(true)) {
            taken.extend(listed.state.endpoint.into_iter().flat_map(|endpoint| [endpoint.address, endpoint.address6]));
        }
    }
    let wanted = &config.network;
    let mut hosts = (2u32..).map(|host| (host, network.subnet.host(host)));
    let (host, address) = loop {
        match hosts.next() {
            // The last one is everybody's (RFC 919).
            Some((host, Some(address))) if network.subnet.host(host.saturating_add(1)).is_some() => {
                if !taken.contains(&address.to_string()) {
                    break (host, address);
                }
            }
            _ => bail!("network {}: all addresses are in use", network.name),
        }
    };
    let given = |text: &str, subnet: Option<super::definition::Subnet>| -> Result<IpAddr> {
        let address: IpAddr = text.parse().map_err(|_| Error::new(format!("{text:?} is no address")))?;
        match subnet {
            Some(subnet) if subnet.contains(address) && !taken.contains(text) => Ok(address),
            Some(subnet) if subnet.contains(address) => bail!("address {text} is in use"),
            _ => bail!("address {text} is not one of network {}", network.name),
        }
    };
    let address = if wanted.address.is_empty() { address } else { given(&wanted.address, Some(network.subnet))? };
    let address6 = match wanted.address6.is_empty() {
        true => network.subnet6.and_then(|subnet| subnet.host(host)),
        false => Some(given(&wanted.address6, network.subnet6)?),
    };
    let mac = if wanted.mac.is_empty() { mac_of(address) } else { parse_mac(&wanted.mac)? };
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    Ok(Endpoint {
        network: network.name.clone(),
        address: address.to_string(),
        prefix: network.subnet.prefix,
        gateway: network.gateway.to_string(),
        address6: text(address6),
        prefix6: network.subnet6.map_or(0, |subnet| subnet.prefix),
        gateway6: text(network.gateway6()),
        mac: mac.map(|byte| format!("{byte:02x}")).join(":"),
        ports: Vec::new(),
    })
}

/// Links the container's namespace to the bridge.
pub(super) fn connect(store: &Store, network: &Network, id: &str, endpoint: &Endpoint, namespace: &File) -> Result<()> {
    let links = Links::here()?;
    let bridge = network.bridge(store);
    let index = ensure(&links, network, &bridge)?;
    let name = link_name(id);
    // One that a supervisor which was killed left behind.
    links.delete(&name)?;
    links.add_pair(&name, index, INSIDE, parse_mac(&endpoint.mac)?, namespace)?;
    let inside = Links::of(namespace)?;
    let index_of = |name: &str| inside.index(name)?.ok_or(Errno::ENODEV).with(|| format!("link {name}"));
    inside.set_up(index_of("lo")?)?;
    let own = index_of(INSIDE)?;
    inside.add_address(own, parse(&endpoint.address)?, endpoint.prefix)?;
    if !endpoint.address6.is_empty() {
        inside.add_address(own, parse(&endpoint.address6)?, endpoint.prefix6)?;
    }
    inside.set_up(own)?;
    if !network.internal {
        inside.add_default_route(own, network.gateway)?;
        if let Some(gateway) = network.gateway6() {
            inside.add_default_route(own, gateway)?;
        }
    }
    Ok(())
}

fn parse(address: &str) -> Result<IpAddr> {
    address.parse().map_err(|_| Error::new(format!("{address:?} is no address")))
}

fn ensure(links: &Links, network: &Network, bridge: &str) -> Result<u32> {
    let index = links.ensure_bridge(bridge, mac_of(network.gateway)).map_err(|error| match error.errno() {
        Some(Errno::EPERM) => error.context("only root makes networks; --network host and --network none need none"),
        _ => error,
    })?;
    links.add_address(index, network.gateway, network.subnet.prefix)?;
    // Published ports are reached from 127.0.0.1 too; what comes from outside to it is dropped by a rule.
    sysctl(&format!("net/ipv4/conf/{bridge}/route_localnet"), "1")?;
    if !network.internal {
        sysctl("net/ipv4/ip_forward", "1")?;
    }
    if let (Some(subnet), Some(gateway)) = (network.subnet6, network.gateway6()) {
        links.add_address(index, gateway, subnet.prefix)?;
        sysctl("net/ipv6/conf/all/forwarding", "1")?;
    }
    links.set_up(index)?;
    Ok(index)
}

/// Writes only what is not so already: others may watch.
fn sysctl(name: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys").join(name);
    if std::fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    std::fs::write(&path, value).with(|| format!("write {}", path.display()))
}

/// The rules for one container; they last as long as what this gives.
pub(super) fn rules(store: &Store, network: &Network, id: &str, endpoint: &Endpoint) -> Result<Netlink> {
    let bridge = network.bridge(store);
    let mut table = Table::new(&format!("forno-{}", id.get(..12).unwrap_or_default()), true);
    for place in [RAW, PREROUTING, OUTPUT, FORWARD, POSTROUTING] {
        table.chain(place);
    }
    // Nobody on the bridge reaches what listens on 127.0.0.1 only (CVE-2020-8558).
    let loopback = "127.0.0.0".parse::<IpAddr>().map_err(|_| Error::new("loopback"))?;
    table.rule(RAW, &[Term::In(bridge.clone()), Term::To(loopback, 8), Term::Drop]);
    let mut addresses = vec![(parse(&endpoint.address)?, network.subnet)];
    if let (false, Some(subnet)) = (endpoint.address6.is_empty(), network.subnet6) {
        addresses.push((parse(&endpoint.address6)?, subnet));
    }
    for (address, subnet) in addresses {
        let whole = if address.is_ipv4() { 32 } else { 128 };
        // Other networks of ours reach published ports only.
        table.rule(
            FORWARD,
            &[
                Term::InLike(BRIDGE_PREFIX),
                Term::InNot(bridge.clone()),
                Term::To(address, whole),
                Term::Redirected(false),
                Term::Drop,
            ],
        );
        if !network.internal {
            table.rule(POSTROUTING, &[Term::From(address, whole), Term::OutNot(bridge.clone()), Term::Masquerade]);
        }
        // Who is on the same bridge, and this machine's loopback, would be answered past us.
        let near: &[(IpAddr, u8)] = match address.is_ipv4() {
            true => &[(subnet.address, subnet.prefix), (loopback, 8)],
            false => &[(subnet.address, subnet.prefix)],
        };
        for (from, prefix) in near {
            let terms =
                [Term::From(*from, *prefix), Term::To(address, whole), Term::Redirected(true), Term::Masquerade];
            table.rule(POSTROUTING, &terms);
        }
        for port in &endpoint.ports {
            for place in [PREROUTING, OUTPUT] {
                publish(&mut table, place, port, address)?;
            }
        }
    }
    table.commit().map_err(|error| match error.errno() {
        Some(Errno::EOPNOTSUPP | Errno::ENOENT | Errno::EPROTONOSUPPORT) => {
            error.context("the kernel has no nf_tables with NAT; --network host does without")
        }
        _ => error,
    })
}

fn publish(table: &mut Table, place: super::nft::Place, port: &Published, address: IpAddr) -> Result<()> {
    let host: IpAddr = parse(&port.host_ip)?;
    if host.is_ipv4() != address.is_ipv4() {
        return Ok(());
    }
    let whole = if host.is_ipv4() { 32 } else { 128 };
    let to = if host.is_unspecified() { Term::ToLocal { ipv4: host.is_ipv4() } } else { Term::To(host, whole) };
    let to_port = Term::ToPort { udp: port.protocol == "udp", port: port.host_port };
    table.rule(place, &[to, to_port, Term::Redirect(address, port.container_port)]);
    Ok(())
}

/// Removes the container's link, and the bridge where nobody else is on it.
pub(super) fn disconnect(store: &Store, network: &Network, id: &str) -> Result<()> {
    Links::here()?.delete(&link_name(id))?;
    remove_idle(store, network)
}

/// Removes the bridge of a network that nobody is on.
pub(super) fn remove_idle(store: &Store, network: &Network) -> Result<()> {
    let _lock = lock(store)?;
    let links = Links::here()?;
    let (name, all) = (network.bridge(store), links.list()?);
    let Some(bridge) = all.iter().find(|link| link.name == name) else {
        return Ok(());
    };
    if all.iter().any(|link| link.master == Some(bridge.index)) {
        return Ok(());
    }
    links.delete(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        assert_eq!(mac_of("10.88.0.2".parse().unwrap()), [2, 0x42, 10, 88, 0, 2]);
        assert_eq!(parse_mac("02:42:0a:58:00:02").unwrap(), [2, 0x42, 10, 88, 0, 2]);
        for text in ["", "02:42", "01:00:00:00:00:00", "02:42:0a:58:00:0", "zz:42:0a:58:00:02"] {
            assert!(parse_mac(text).is_err(), "{text}");
        }
        assert!(link_name(&"a".repeat(64)).len() < 16);
    }
}
