//! Networks by name: `networks/NAME.json` in the store. Each is a bridge with a range of private addresses; the bridge
//! itself is there only while a container is on it.

use super::link::Links;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::container::names;
use crate::image::container::state::now;
use crate::image::digest::Digest;
use crate::image::events;
use crate::image::store::Store;
use crate::sys::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// The one that containers are in where nothing else is asked for.
pub const DEFAULT: &str = "bridge";
/// Names that are no networks of ours.
pub const RESERVED: [&str; 4] = ["host", "none", "default", "container"];
/// Links of ours begin so.
pub const BRIDGE_PREFIX: &str = "fno-";

/// An address and how many of its bits are the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Subnet {
    fn bits(address: IpAddr) -> (u128, u8) {
        match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        }
    }

    fn mask(prefix: u8) -> u128 {
        if prefix == 0 { 0 } else { u128::MAX << (128 - u32::from(prefix.min(128))) }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.overlaps(address, if address.is_ipv4() { 32 } else { 128 })
    }

    pub fn overlaps(&self, address: IpAddr, prefix: u8) -> bool {
        let mask = Subnet::mask(self.prefix.min(prefix));
        address.is_ipv4() == self.address.is_ipv4()
            && (Subnet::bits(self.address).0 ^ Subnet::bits(address).0) & mask == 0
    }

    /// Address number `host` of the network; 0 is the network itself.
    pub fn host(&self, host: u32) -> Option<IpAddr> {
        let (bits, width) = Subnet::bits(self.address);
        let room = u32::from(width) - u32::from(self.prefix.min(width));
        if room < 32 && u64::from(host) >= 1u64 << room {
            return None;
        }
        let base = bits & Subnet::mask(self.prefix);
        Some(match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(base >> 96).ok()?.checked_add(host)?)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(base.checked_add(u128::from(host))?)),
        })
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Subnet> {
        let wrong = || Error::new(format!("{text:?} is no subnet: want something like 10.1.2.0/24"));
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let subnet =
            Subnet { address: address.parse().map_err(|_| wrong())?, prefix: prefix.parse().map_err(|_| wrong())? };
        let longest = if subnet.address.is_ipv4() { 30 } else { 126 };
        if subnet.prefix < 8 || subnet.prefix > longest {
            return Err(wrong());
        }
        Ok(subnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Subnet> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        subnet.to_string()
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    pub name: String,
    pub id: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    pub subnet: Subnet,
    pub gateway: IpAddr,
    #[serde(default)]
    pub subnet6: Option<Subnet>,
    /// Nothing leads out.
    #[serde(default)]
    pub internal: bool,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a new network is to be.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub subnet: Option<Subnet>,
    pub gateway: Option<IpAddr>,
    pub subnet6: Option<Subnet>,
    /// A range of IPv6 addresses too, where none is given.
    pub ipv6: bool,
    pub internal: bool,
    pub labels: BTreeMap<String, String>,
}

impl Network {
    pub fn gateway6(&self) -> Option<IpAddr> {
        self.subnet6.and_then(|subnet| subnet.host(1))
    }

    /// The bridge's name: the same for the same store, and another one for another.
    pub fn bridge(&self, store: &Store) -> String {
        let whole = format!("{}\n{}", store.path().display(), self.name);
        let digest = Digest::of(whole.as_bytes());
        format!("{BRIDGE_PREFIX}{}", digest.hex().get(..8).unwrap_or_default())
    }
}

fn path(store: &Store, name: &str) -> PathBuf {
    store.path().join("networks").join(format!("{name}.json"))
}

pub fn find(store: &Store, name: &str) -> Result<Option<Network>> {
    if names::check(name).is_err() {
        return Ok(None);
    }
    let read = || -> Result<Network> { Ok(serde_json::from_slice(&std::fs::read(path(store, name))?)?) };
    match read() {
        Ok(network) => Ok(Some(network)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.context(format!("network {name}"))),
    }
}

/// The network, which the default one is made for.
pub fn require(store: &Store, name: &str) -> Result<Network> {
    match find(store, name)? {
        Some(network) => Ok(network),
        None if name == DEFAULT => match create(store, name, Wanted::default()) {
            Ok(network) => Ok(network),
            // Somebody else was faster.
            Err(error) => find(store, name)?.ok_or(error),
        },
        None => bail!("network {name} not found; see forno network ls"),
    }
}

pub fn create(store: &Store, name: &str, wanted: Wanted) -> Result<Network> {
    if RESERVED.contains(&name) || names::check(name).is_err() {
        bail!("network name {name:?}: want letters, digits and _ . - inside, and none of {}", RESERVED.join(", "));
    }
    let _lock = store.lock("networks")?;
    if find(store, name)?.is_some() {
        bail!("network with name {name} already exists");
    }
    let known = list(store)?;
    let taken = |subnet: &Subnet, routes: &[(IpAddr, u8)]| {
        let ours = known.iter().flat_map(|network| [Some(network.subnet), network.subnet6]).flatten();
        let ours = ours.map(|other| (other.address, other.prefix)).collect::<Vec<_>>();
        ours.iter().chain(routes).any(|(address, prefix)| subnet.overlaps(*address, *prefix))
    };
    let routes: Vec<(IpAddr, u8)> = Links::here()?.routes()?.into_iter().filter(|(_, prefix)| *prefix > 0).collect();
    let subnet = match wanted.subnet {
        Some(subnet) if taken(&subnet, &[]) => bail!("subnet {subnet} overlaps with another network's"),
        Some(subnet) => subnet,
        None => {
            let free = candidates().find(|subnet| !taken(subnet, &routes));
            free.ok_or_else(|| Error::new("no private range of addresses is free; give one with --subnet"))?
        }
    };
    let id = names::new_id()?;
    let subnet6 = match (wanted.subnet6, wanted.ipv6) {
        (Some(subnet), _) => Some(subnet),
        (None, true) => Some(unique_local(&id)?),
        (None, false) => None,
    };
    let gateway = match wanted.gateway.or_else(|| subnet.host(1)) {
        Some(gateway) if subnet.contains(gateway) => gateway,
        gateway => bail!("gateway {gateway:?} is not in {subnet}"),
    };
    let Wanted { internal, labels, .. } = wanted;
    let network = Network { name: name.to_owned(), id, created: now(), subnet, gateway, subnet6, internal, labels };
    let file = path(store, name);
    let directory = file.parent().unwrap_or(store.path());
    std::fs::create_dir_all(directory).with(|| format!("create {}", directory.display()))?;
    store.replace(&file, &serde_json::to_vec(&network)?)?;
    events::of(store, "network", &network.name, "create");
    Ok(network)
}

/// Ranges to choose from: 4 094 hosts each.
fn candidates() -> impl Iterator<Item = Subnet> {
    let subnet = |(high, low): (u8, u8)| Subnet { address: Ipv4Addr::new(10, high, low << 4, 0).into(), prefix: 20 };
    (88..96).flat_map(|high| (0..16).map(move |low| (high, low))).map(subnet)
}

/// A range of RFC 4193, at random.
fn unique_local(id: &str) -> Result<Subnet> {
    let digits = |at: usize| u16::from_str_radix(id.get(at..at + 4).unwrap_or_default(), 16);
    match (digits(0), digits(4), digits(8)) {
        (Ok(a), Ok(b), Ok(c)) => {
            Ok(Subnet { address: Ipv6Addr::new(0xfd00 | a & 0xff, b, c, 0, 0, 0, 0, 0).into(), prefix: 64 })
        }
        _ => bail!("network id {id:?}"),
    }
}

/// Every network of ours, by name.
pub fn list(store: &Store) -> Result<Vec<Network>> {
    let directory = store.path().join("networks");
    let entries = match std::fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with(|| format!("read {}", directory.display()))?,
    };
    let mut networks = Vec::new();
    for entry in entries {
        let name = entry.context("read networks")?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
        networks.extend(name.map(|name| find(store, name)).transpose()?.flatten());
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

/// The names of the containers that are to be in the network.
pub fn users(store: &Store, name: &str) -> Result<Vec<String>> {
    let containers = store.list_containers()?.0.into_iter();
    Ok(containers.filter(|listed| listed.config.network.mode == name).map(|listed| listed.config.name).collect())
}

pub fn remove(store: &Store, name: &str) -> Result<()> {
    let _lock = store.lock("networks")?;
    let Some(network) = find(store, name)? else {
        bail!("network {name} not found");
    };
    let users = users(store, name)?;
    if !users.is_empty() {
        bail!("network {name} is in use by {}", users.join(", "));
    }
    super::bridge::remove_idle(store, &network)?;
    std::fs::remove_file(path(store, name)).with(|| format!("remove network {name}"))?;
    events::of(store, "network", name, "destroy");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_overlap_where_one_is_in_the_other() {
        let net = subnet("10.88.16.0/20");
        assert!(net.contains("10.88.31.255".parse().unwrap()) && !net.contains("10.88.32.0".parse().unwrap()));
        assert!(net.overlaps("10.0.0.0".parse().unwrap(), 8) && net.overlaps("0.0.0.0".parse().unwrap(), 0));
        assert!(!net.overlaps("fd00::".parse().unwrap(), 8));
        assert!(subnet("fd00::/64").contains("fd00::1".parse().unwrap()));
    }

    #[test]
    fn hosts_are_numbered() {
        assert_eq!(subnet("10.88.16.5/20").host(2), Some("10.88.16.2".parse().unwrap()));
        assert_eq!(subnet("10.88.16.0/30").host(4), None);
        assert_eq!(subnet("fd00:1::/64").host(258), Some("fd00:1::102".parse().unwrap()));
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/31", "x/8", "fd00::/128", "10.0.0.0/4"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        let all: Vec<Subnet> = candidates().collect();
        assert_eq!(all.len(), 128);
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| !one.overlaps(other.address, other.prefix)));
        }
    }
}
