//! Rules for packets, in tables of nf_tables. They are written to the kernel directly: no program is needed, and nobody
//! else's rules are touched.
//!
//! Each running container has a table of its own, which belongs to the socket that made it (KERNEL(5.12): owner): when
//! its supervisor goes, however that comes, the kernel removes it.

use crate::error::{Context, Result};
use crate::sys::netlink::{Message, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, Netlink, Protocol};
use std::net::IpAddr;

const SUBSYSTEM: u16 = 10;
const NEWTABLE: u16 = 0;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// NFPROTO_INET: IPv4 and IPv6.
const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const TABLE_OWNER: u32 = 2;
const LIST_ELEM: u16 = 1;

/// Where in a packet's way a chain is (netfilter hooks), and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) name: &'static str,
    kind: &'static str,
    hook: u32,
    priority: i32,
}

pub(super) const PREROUTING: Place = Place { name: "prerouting", kind: "nat", hook: 0, priority: -100 };
pub(super) const OUTPUT: Place = Place { name: "output", kind: "nat", hook: 3, priority: -100 };
pub(super) const POSTROUTING: Place = Place { name: "postrouting", kind: "nat", hook: 4, priority: 100 };
/// Before connections are tracked: what a packet says then is what was sent.
pub(super) const RAW: Place = Place { name: "raw", kind: "filter", hook: 0, priority: -300 };
pub(super) const FORWARD: Place = Place { name: "forward", kind: "filter", hook: 2, priority: 0 };

/// A condition, or what is done with a packet that met all before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    From(IpAddr, u8),
    To(IpAddr, u8),
    /// To an address of this machine; of one family.
    ToLocal {
        ipv4: bool,
    },
    /// Of TCP or UDP, and the port it goes to.
    ToPort {
        udp: bool,
        port: u16,
    },
    In(String),
    InNot(String),
    /// The incoming link's name begins so.
    InLike(&'static str),
    OutNot(String),
    /// The connection's destination was changed, or not.
    Redirected(bool),
    Masquerade,
    Redirect(IpAddr, u16),
    Drop,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    name: String,
    messages: Vec<Message>,
}

fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn message(kind: u16, flags: u16) -> Message {
    Message::new(SUBSYSTEM << 8 | kind, flags | NLM_F_ACK, &header(INET, 0))
}

impl Table {
    /// `owned`: it goes with the socket that it is made through.
    pub(super) fn new(name: &str, owned: bool) -> Table {
        let mut table = message(NEWTABLE, NLM_F_CREATE).with_str(1, name);
        if owned {
            table = table.with_be32(2, TABLE_OWNER);
        }
        Table { name: name.to_owned(), messages: vec![table] }
    }

    pub(super) fn chain(&mut self, place: Place) {
        let chain = message(NEWCHAIN, NLM_F_CREATE)
            .with_str(1, &self.name)
            .with_str(3, place.name)
            .nest(4, |hook| hook.with_be32(1, place.hook).with(2, &place.priority.to_be_bytes()))
            .with_str(7, place.kind);
        self.messages.push(chain);
    }

    pub(super) fn rule(&mut self, place: Place, terms: &[Term]) {
        let rule = message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
            .with_str(1, &self.name)
            .with_str(2, place.name)
            .nest(4, |list| terms.iter().fold(list, write_term));
        self.messages.push(rule);
    }

    /// Makes all of it at once, or nothing. What is owned stays as long as the socket that this gives.
    pub(super) fn commit(self) -> Result<Netlink> {
        let netlink = Netlink::open(Protocol::Netfilter).context("open a netfilter socket")?;
        let edge = |kind: u16| Message::new(kind, 0, &header(0, SUBSYSTEM));
        let mut batch = vec![edge(BATCH_BEGIN)];
        batch.extend(self.messages);
        batch.push(edge(BATCH_END));
        netlink.batch(batch).with(|| format!("make packet rules {}", self.name))?;
        Ok(netlink)
    }
}

const REGISTER: u32 = 1;
const REGISTER_2: u32 = 2;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

fn expression(list: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    list.nest(LIST_ELEM, |expression| expression.with_str(1, name).nest(2, data))
}

fn meta(list: Message, key: u32) -> Message {
    expression(list, "meta", |data| data.with_be32(2, key).with_be32(1, REGISTER))
}

fn compare(list: Message, equal: bool, value: &[u8]) -> Message {
    expression(list, "cmp", |data| {
        data.with_be32(1, REGISTER).with_be32(2, u32::from(!equal)).nest(3, |inner| inner.with(1, value))
    })
}

fn mask(list: Message, mask: &[u8]) -> Message {
    let length = u32::try_from(mask.len()).unwrap_or(0);
    expression(list, "bitwise", |data| {
        data.with_be32(1, REGISTER)
            .with_be32(2, REGISTER)
            .with_be32(3, length)
            .nest(4, |inner| inner.with(1, mask))
            .nest(5, |inner| inner.with(1, &vec![0; mask.len()]))
    })
}

fn payload(list: Message, base: u32, offset: u32, length: u32) -> Message {
    expression(list, "payload", |data| {
        data.with_be32(1, REGISTER).with_be32(2, base).with_be32(3, offset).with_be32(4, length)
    })
}

fn immediate(list: Message, register: u32, value: &[u8]) -> Message {
    expression(list, "immediate", |data| data.with_be32(1, register).nest(2, |inner| inner.with(1, value)))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn family(list: Message, ipv4: bool) -> Message {
    const META_NFPROTO: u32 = 15;
    compare(meta(list, META_NFPROTO), true, &[if ipv4 { IPV4 } else { IPV6 }])
}

/// Source or destination address; the offsets are those of the two headers (RFC 791, RFC 8200).
fn address(list: Message, source: bool, address: IpAddr, prefix: u8) -> Message {
    let ipv4 = address.is_ipv4();
    let (offset, length) = match (ipv4, source) {
        (true, true) => (12, 4),
        (true, false) => (16, 4),
        (false, true) => (8, 16),
        (false, false) => (24, 16),
    };
    let list = payload(family(list, ipv4), NETWORK, offset, length);
    let bits: Vec<u8> = (0..length).map(|at| mask_byte(prefix, at)).collect();
    let value: Vec<u8> = octets(address).iter().zip(&bits).map(|(byte, bits)| byte & bits).collect();
    let list = if u32::from(prefix) < length * 8 { mask(list, &bits) } else { list };
    compare(list, true, &value)
}

/// Byte `at` of the mask of a prefix.
fn mask_byte(prefix: u8, at: u32) -> u8 {
    let ones = u32::from(prefix).saturating_sub(at * 8).min(8);
    ((0xff00u16 >> ones) & 0xff) as u8
}

fn link(list: Message, key: u32, name: &str, equal: bool) -> Message {
    let mut value = name.as_bytes().to_vec();
    // IFNAMSIZ: names are compared whole.
    value.resize(16, 0);
    compare(meta(list, key), equal, &value)
}

fn write_term(list: Message, term: &Term) -> Message {
    const META_IIFNAME: u32 = 6;
    const META_OIFNAME: u32 = 7;
    const META_L4PROTO: u32 = 16;
    const CT_STATUS: u32 = 2;
    const IPS_DST_NAT: u32 = 1 << 5;
    const FIB_ADDRTYPE: u32 = 3;
    const FIB_DADDR: u32 = 2;
    const RTN_LOCAL: u32 = 2;
    match term {
        Term::From(from, prefix) => address(list, true, *from, *prefix),
        Term::To(to, prefix) => address(list, false, *to, *prefix),
        Term::ToLocal { ipv4 } => {
            let list = expression(family(list, *ipv4), "fib", |data| {
                data.with_be32(1, REGISTER).with_be32(2, FIB_ADDRTYPE).with_be32(3, FIB_DADDR)
            });
            compare(list, true, &RTN_LOCAL.to_ne_bytes())
        }
        Term::ToPort { udp, port } => {
            let list = compare(meta(list, META_L4PROTO), true, &[if *udp { 17 } else { 6 }]);
            compare(payload(list, TRANSPORT, 2, 2), true, &port.to_be_bytes())
        }
        Term::In(name) => link(list, META_IIFNAME, name, true),
        Term::InNot(name) => link(list, META_IIFNAME, name, false),
        Term::InLike(prefix) => compare(meta(list, META_IIFNAME), true, prefix.as_bytes()),
        Term::OutNot(name) => link(list, META_OIFNAME, name, false),
        Term::Redirected(yes) => {
            let list = expression(list, "ct", |data| data.with_be32(1, REGISTER).with_be32(2, CT_STATUS));
            compare(mask(list, &IPS_DST_NAT.to_ne_bytes()), !yes, &0u32.to_ne_bytes())
        }
        Term::Masquerade => expression(list, "masq", |data| data),
        Term::Redirect(to, port) => {
            let list = immediate(list, REGISTER, &octets(*to));
            let list = immediate(list, REGISTER_2, &port.to_be_bytes());
            let family = if to.is_ipv4() { IPV4 } else { IPV6 };
            expression(list, "nat", |data| {
                const NAT_DESTINATION: u32 = 1;
                data.with_be32(1, NAT_DESTINATION)
                    .with_be32(2, family.into())
                    .with_be32(3, REGISTER)
                    .with_be32(4, REGISTER)
                    .with_be32(5, REGISTER_2)
                    .with_be32(6, REGISTER_2)
            })
        }
        Term::Drop => expression(list, "immediate", |data| {
            const VERDICT_REGISTER: u32 = 0;
            const NF_DROP: u32 = 0;
            data.with_be32(1, VERDICT_REGISTER).nest(2, |inner| inner.nest(2, |verdict| verdict.with_be32(1, NF_DROP)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        let bytes = |prefix: u8| -> Vec<u8> { (0..4).map(|at| mask_byte(prefix, at)).collect() };
        assert_eq!(bytes(0), [0, 0, 0, 0]);
        assert_eq!(bytes(8), [255, 0, 0, 0]);
        assert_eq!(bytes(20), [255, 255, 240, 0]);
        assert_eq!(bytes(32), [255, 255, 255, 255]);
    }
}
