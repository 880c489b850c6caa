//! The networks of containers: a bridge, a pair of links, an address of a private range, and rules for packets. A
//! container's part in it is held by its supervisor, and made so that nearly all of it goes when the supervisor goes.

mod bridge;
pub mod definition;
mod dns;
mod link;
mod nft;
mod ports;
mod proxy;
mod user;

use super::container::config::Config;
use super::container::state::Endpoint;
use super::container::{Container, files, spec};
use super::rootless;
use super::store::Store;
use crate::error::{Context, Result};
use crate::sys::event::{Ready, Wanted};
use crate::sys::netlink::Netlink;
use crate::sys::process::pid_t;
use definition::Network;
use dns::NameServer;
use ports::Held;
use proxy::Proxy;
use std::fs::File;
use std::net::IpAddr;
use user::UserNetwork;

/// A container's part in a network, while it runs.
pub struct Attached {
    /// Of another container, to be joined.
    namespace: Option<String>,
    bridged: Option<Bridged>,
    user: Option<UserNetwork>,
}

struct Bridged {
    store: std::path::PathBuf,
    network: Network,
    id: String,
    endpoint: Endpoint,
    upstream: Vec<String>,
    held: Vec<Held>,
    proxy: Proxy,
    name_server: Option<NameServer>,
    rules: Option<Netlink>,
}

/// What has to be done before there is a container: ports and an address are taken. `take` writes the endpoint down.
pub fn prepare(
    store: &Store,
    config: &Config,
    take: &mut dyn FnMut(Option<&Endpoint>) -> Result<()>,
) -> Result<Attached> {
    let mode = config.network.mode.as_str();
    if let Some(other) = mode.strip_prefix("container:") {
        let namespace = spec::namespace_of(store, other, "network")?;
        return Ok(Attached { namespace: Some(namespace), bridged: None, user: None });
    }
    if matches!(mode, "host" | "none") {
        return Ok(Attached { namespace: None, bridged: None, user: None });
    }
    if rootless::is_users_root() {
        let user = UserNetwork::prepare(store, config)?;
        take(Some(user.endpoint()))?;
        return Ok(Attached { namespace: None, bridged: None, user: Some(user) });
    }
    let network = definition::require(store, mode)?;
    let held = ports::hold(config)?;
    let _lock = bridge::lock(store)?;
    let mut endpoint = bridge::choose(store, &network, config)?;
    endpoint.ports = held.iter().map(|held| held.published.clone()).collect();
    take(Some(&endpoint))?;
    let bridged = Bridged {
        store: store.path().to_owned(),
        network,
        id: config.id.clone(),
        endpoint,
        upstream: files::upstream(config),
        held,
        proxy: Proxy::default(),
        name_server: None,
        rules: None,
    };
    Ok(Attached { namespace: None, bridged: Some(bridged), user: None })
}

/// Removes what a container that does not run has left: nothing, where its supervisor could end in peace.
pub fn clean(store: &Store, config: &Config) -> Result<()> {
    user::clean(&Container::by_id(store, &config.id))?;
    match definition::find(store, &config.network.mode)? {
        Some(network) => bridge::disconnect(store, &network, &config.id),
        None => Ok(()),
    }
}

impl Attached {
    pub fn endpoint(&self) -> Option<&Endpoint> {
        let of_user = self.user.as_ref().map(UserNetwork::endpoint);
        self.bridged.as_ref().map(|bridged| &bridged.endpoint).or(of_user)
    }

    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub fn name_server(&self) -> Option<String> {
        let of_user = self.user.as_ref().and_then(UserNetwork::name_server);
        self.bridged.as_ref().map(|_| dns::ADDRESS.to_string()).or(of_user)
    }

    /// Connects the namespace of the container's first process.
    pub fn attach(&mut self, pid: pid_t) -> Result<()> {
        if let Some(user) = &mut self.user {
            return user.attach(pid);
        }
        let Some(bridged) = &mut self.bridged else {
            return Ok(());
        };
        let namespace = File::open(format!("/proc/{pid}/ns/net")).context("open the container's network namespace")?;
        let store = Store::open(&bridged.store)?;
        let (network, id) = (&bridged.network, &bridged.id);
        let connect = || -> Result<Netlink> {
            let _lock = bridge::lock(&store)?;
            bridge::connect(&store, network, id, &bridged.endpoint, &namespace)?;
            bridge::rules(&store, network, id, &bridged.endpoint)
        };
        bridged.rules = Some(connect().with(|| format!("network {}", network.name))?);
        let server = NameServer::new(&store, &network.name, &bridged.upstream, &namespace);
        bridged.name_server = Some(server.with(|| format!("network {}", network.name))?);
        Ok(())
    }

    /// Gives everything back.
    pub fn detach(&mut self) {
        if let Some(user) = self.user.take() {
            // As below.
            let _ = user.detach();
        }
        if let Some(bridged) = self.bridged.take() {
            drop((bridged.rules, bridged.name_server, bridged.held));
            // The clean-up that follows does it again, and says what is wrong.
            let _ =
                Store::open(&bridged.store).and_then(|store| bridge::disconnect(&store, &bridged.network, &bridged.id));
        }
    }

    pub fn extend_wanted<'a>(&'a self, wanted: &mut Vec<Wanted<'a>>) {
        if let Some(bridged) = &self.bridged {
            wanted.extend(bridged.held.iter().map(Held::wanted));
            wanted.extend(bridged.proxy.wanted());
            wanted.extend(bridged.name_server.iter().flat_map(NameServer::wanted));
        }
    }

    /// Serves what was wanted, in the same order.
    pub fn serve(&mut self, ready: &[Ready]) {
        let Some(bridged) = &mut self.bridged else {
            return;
        };
        let (held, ready) = ready.split_at_checked(bridged.held.len()).unwrap_or_default();
        let (pairs, servers) = ready.split_at_checked(bridged.proxy.len()).unwrap_or_default();
        bridged.proxy.serve(pairs);
        if let Ok(address) = bridged.endpoint.address.parse::<IpAddr>() {
            for (port, _) in bridged.held.iter().zip(held).filter(|(_, ready)| ready.read) {
                port.serve(&mut bridged.proxy, address);
            }
        }
        if let Some(server) = &mut bridged.name_server {
            server.serve(servers, &mut bridged.proxy);
        }
    }
}
