//! The name server of a container: 127.0.0.11 in its own network namespace, answered by its supervisor. It knows the
//! containers of its network, and asks the host's name servers for everything else (RFC 1035).

use super::link;
use super::nft::{OUTPUT, Table, Term};
use super::proxy::Proxy;
use crate::error::{Context, Result};
use crate::image::store::Store;
use crate::sys::event::{Ready, Wanted};
use crate::sys::netlink::Netlink;
use crate::sys::{fd, inet, socket};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// docker's choice; programs have come to expect it.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// As large as an answer over UDP can be in practice.
const PACKET_MAX: usize = 4096;
const PENDING_MAX: usize = 64;
/// Resolvers ask again after five seconds.
const PATIENCE: Duration = Duration::from_secs(10);
const HEADER_LEN: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// Seconds; a container that is restarted may have another address.
const TTL: u32 = 1;

pub(super) struct NameServer {
    udp: UdpSocket,
    tcp: OwnedFd,
    upstream: Vec<SocketAddr>,
    pending: Vec<Pending>,
    asked: usize,
    store: PathBuf,
    network: String,
    _rules: Netlink,
}

struct Pending {
    socket: UdpSocket,
    client: SocketAddr,
    since: Instant,
}

impl NameServer {
    /// Serves the namespace, whose loopback is up.
    pub(super) fn new(store: &Store, network: &str, upstream: &[String], namespace: &File) -> Result<NameServer> {
        let any = SocketAddr::new(ADDRESS.into(), 0);
        let (udp, tcp, rules) = link::inside(namespace, || {
            // Any port: the container may want 53 itself. A rule leads there.
            let udp = UdpSocket::from(inet::bind(any, false).context("make the name server's socket")?);
            let tcp = inet::bind(any, true).context("make the name server's socket")?;
            let mut table = Table::new("forno-dns", true);
            table.chain(OUTPUT);
            let udp_port = udp.local_addr().context("read the port")?.port();
            let tcp_port = inet::local_port(&tcp).context("read the port")?;
            for (is_udp, port) in [(true, udp_port), (false, tcp_port)] {
                let terms = [
                    Term::To(ADDRESS.into(), 32),
                    Term::ToPort { udp: is_udp, port: PORT },
                    Term::Redirect(ADDRESS.into(), port),
                ];
                table.rule(OUTPUT, &terms);
            }
            Ok((udp, tcp, table.commit()?))
        })?;
        let servers = upstream.iter().filter_map(|server| server.parse::<IpAddr>().ok());
        Ok(NameServer {
            udp,
            tcp,
            upstream: servers.map(|server| SocketAddr::new(server, PORT)).collect(),
            pending: Vec::new(),
            asked: 0,
            store: store.path().to_owned(),
            network: network.to_owned(),
            _rules: rules,
        })
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = Wanted<'_>> {
        let own = [self.udp.as_fd(), self.tcp.as_fd()].into_iter();
        own.chain(self.pending.iter().map(|pending| pending.socket.as_fd())).map(|fd| Wanted {
            fd,
            read: true,
            write: false,
        })
    }

    pub(super) fn serve(&mut self, ready: &[Ready], proxy: &mut Proxy) {
        let is_ready = |at: usize| ready.get(at).is_some_and(|ready| ready.read);
        let mut done = Vec::new();
        for (at, pending) in self.pending.iter().enumerate() {
            if is_ready(at + 2) {
                let mut packet = [0; PACKET_MAX];
                if let Ok(length) = pending.socket.recv(&mut packet) {
                    // Who has gone away needs no answer.
                    let _ = self.udp.send_to(packet.get(..length).unwrap_or_default(), pending.client);
                }
                done.push(at);
            }
        }
        let mut at = 0;
        self.pending.retain(|pending| {
            at += 1;
            !done.contains(&(at - 1)) && pending.since.elapsed() < PATIENCE
        });
        if is_ready(0) {
            let mut packet = [0; PACKET_MAX];
            while let Ok((length, client)) = self.udp.recv_from(&mut packet) {
                self.answer(packet.get(..length).unwrap_or_default(), client);
            }
        }
        if let (true, Some(server)) = (is_ready(1), self.upstream.first())
            && let Ok(client) = socket::accept(self.tcp.as_fd())
        {
            proxy.carry(client, *server);
        }
    }

    fn answer(&mut self, query: &[u8], client: SocketAddr) {
        if let Some(question) = question(query)
            && let Some(addresses) = self.addresses(&question.name)
        {
            let _ = self.udp.send_to(&reply(query, &question, &addresses), client);
            return;
        }
        self.ask_upstream(query, client);
    }

    fn ask_upstream(&mut self, query: &[u8], client: SocketAddr) {
        if self.pending.len() >= PENDING_MAX || self.upstream.is_empty() {
            return;
        }
        // Asked again, the next one gets its turn.
        let Some(server) = self.upstream.get(self.asked % self.upstream.len()).copied() else {
            return;
        };
        self.asked = self.asked.wrapping_add(1);
        let any = if server.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
        let ask = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(server)?;
            fd::set_nonblocking(&socket)?;
            socket.send(query)?;
            Ok(socket)
        };
        // A server that cannot be asked is like one that does not answer.
        if let Ok(socket) = ask() {
            self.pending.push(Pending { socket, client, since: Instant::now() });
        }
    }

    /// The addresses of a container of the network; `None`: there is none of that name.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let store = Store::open(&self.store).ok()?;
        let mut found = None;
        for listed in store.list_containers().ok()?.0 {
            let Some(endpoint) = listed.state.endpoint.as_ref().filter(|endpoint| endpoint.network == self.network)
            else {
                continue;
            };
            let config = &listed.config;
            let names = config.network.aliases.iter().map(String::as_str);
            let mut names = names.chain([config.name.as_str(), config.hostname.as_str(), listed.container.short_id()]);
            if listed.is_running() && names.any(|known| known.eq_ignore_ascii_case(name)) {
                let addresses =
                    [&endpoint.address, &endpoint.address6].into_iter().filter_map(|text| text.parse::<IpAddr>().ok());
                found.get_or_insert_with(Vec::new).extend(addresses);
            }
        }
        found
    }
}

struct Question {
    name: String,
    kind: u16,
    /// Where it ends in the query.
    end: usize,
}

/// The one question of an ordinary query.
fn question(query: &[u8]) -> Option<Question> {
    let number = |at: usize| Some(u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]));
    // A query, of the usual kind, with one question.
    if number(2)? & 0xf800 != 0 || number(4)? != 1 {
        return None;
    }
    let (mut at, mut labels) = (HEADER_LEN, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..64 => {
                labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
                at += length;
            }
            // A pointer, to where?
            _ => return None,
        }
        if labels.len() > 128 {
            return None;
        }
    }
    let (kind, class) = (number(at)?, number(at + 2)?);
    (class == CLASS_IN).then(|| Question { name: labels.join("."), kind, end: at + 4 })
}

fn reply(query: &[u8], question: &Question, addresses: &[IpAddr]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (address, question.kind) {
            (IpAddr::V4(address), TYPE_A) => Some(address.octets().to_vec()),
            (IpAddr::V6(address), TYPE_AAAA) => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut bytes = query.get(..question.end).unwrap_or_default().to_vec();
    let Some(header) = bytes.first_chunk_mut::<HEADER_LEN>() else {
        return bytes;
    };
    // An answer, from who is asked for the name, recursion wanted as asked and to be had.
    header[2] = 0x84 | header[2] & 1;
    header[3] = 0x80;
    header[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap_or(0).to_be_bytes());
    header[8..12].fill(0);
    for record in records {
        // The name is at the place of the question's.
        bytes.extend_from_slice(&[0xc0, HEADER_LEN as u8]);
        bytes.extend_from_slice(&question.kind.to_be_bytes());
        bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        bytes.extend_from_slice(&TTL.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(record.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&record);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        bytes
    }

    #[test]
    fn a_question_is_answered_with_what_fits() {
        let asked = query("db.oven", TYPE_A);
        let found = question(&asked).unwrap();
        assert_eq!((found.name.as_str(), found.kind, found.end), ("db.oven", TYPE_A, asked.len()));
        let both = ["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let answer = reply(&asked, &found, &both);
        assert_eq!(answer[..2], asked[..2]);
        assert_eq!(answer[7], 1);
        assert_eq!(answer[answer.len() - 4..], [10, 0, 0, 2]);
        let asked = query("db", TYPE_AAAA);
        assert_eq!(reply(&asked, &question(&asked).unwrap(), &both[..1])[7], 0);
    }

    #[test]
    fn what_is_no_question_is_none() {
        let whole = query("a", TYPE_A);
        assert!((0..whole.len()).all(|length| question(&whole[..length]).is_none()));
        let mut pointer = whole.clone();
        pointer[12] = 0xc0;
        assert!(question(&pointer).is_none());
        let mut answer = whole;
        answer[2] = 0x84;
        assert!(question(&answer).is_none());
    }
}
