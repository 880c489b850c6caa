//! The files that every container gets from us: /etc/hosts, /etc/hostname and /etc/resolv.conf.

use super::Container;
use super::config::Config;
use super::state::Endpoint;
use crate::error::{Context, Result};
use std::fmt::Write;
use std::path::PathBuf;

pub const HOSTS: &str = "hosts";
pub const HOSTNAME: &str = "hostname";
pub const RESOLV_CONF: &str = "resolv.conf";

const HOST_RESOLV_CONF: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/// For a container whose host has only name servers that it cannot reach; docker asks the same.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// Writes them anew for this start. `name_server` is ours, where the container's network has one.
pub fn write(
    container: &Container,
    config: &Config,
    endpoint: Option<&Endpoint>,
    name_server: Option<&str>,
) -> Result<()> {
    let put = |name: &str, text: String| -> Result<()> {
        let path = container.directory().join(name);
        // In place: a container that shares these files sees the new text.
        std::fs::write(&path, text).with(|| format!("write {}", path.display()))
    };
    put(HOSTNAME, format!("{}\n", config.hostname))?;
    put(HOSTS, hosts(config, endpoint))?;
    put(RESOLV_CONF, resolv_conf(config, name_server))
}

fn hosts(config: &Config, endpoint: Option<&Endpoint>) -> String {
    let mut text = if config.network.mode == "host" {
        std::fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n".to_owned()
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for entry in &config.network.extra_hosts {
        if let Some((name, address)) = entry.split_once([':', '=']) {
            let gateway = endpoint.map_or("127.0.0.1", |endpoint| endpoint.gateway.as_str());
            let address = if address == "host-gateway" { gateway } else { address };
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    let mut names = config.hostname.clone();
    if !config.domainname.is_empty() {
        names = format!("{names}.{} {names}", config.domainname);
    }
    for address in endpoint.iter().flat_map(|endpoint| [&endpoint.address, &endpoint.address6]) {
        if !address.is_empty() {
            let _ = writeln!(text, "{address}\t{names}");
        }
    }
    text
}

/// The host's resolv.conf, where it leads somewhere.
fn host_resolv_conf() -> String {
    let read = |path: &&str| std::fs::read_to_string(PathBuf::from(path)).ok();
    let texts: Vec<String> = HOST_RESOLV_CONF.iter().filter_map(read).collect();
    let stub = |text: &String| name_servers(text).iter().all(|server| server.starts_with("127."));
    // A stub on the host's loopback answers nobody else; systemd keeps the real list beside it.
    texts.iter().find(|text| !stub(text)).or(texts.first()).cloned().unwrap_or_default()
}

pub fn name_servers(resolv_conf: &str) -> Vec<String> {
    let server = |line: &str| line.strip_prefix("nameserver").map(|rest| rest.trim().to_owned());
    resolv_conf.lines().filter_map(|line| server(line.trim())).filter(|server| !server.is_empty()).collect()
}

/// The servers that a name server of ours asks what it does not know.
pub fn upstream(config: &Config) -> Vec<String> {
    if !config.network.dns.is_empty() {
        return config.network.dns.clone();
    }
    name_servers(&host_resolv_conf())
}

fn resolv_conf(config: &Config, name_server: Option<&str>) -> String {
    let host = host_resolv_conf();
    let network = &config.network;
    let own = network.mode == "host" || network.mode == "none";
    let servers = match (name_server, network.dns.is_empty()) {
        (Some(server), _) => vec![server.to_owned()],
        (None, false) => network.dns.clone(),
        (None, true) => {
            let servers = name_servers(&host);
            // The host's loopback is not the container's.
            let reachable: Vec<String> =
                servers.into_iter().filter(|server| own || !(server.starts_with("127.") || server == "::1")).collect();
            if reachable.is_empty() && !own { PUBLIC.map(str::to_owned).to_vec() } else { reachable }
        }
    };
    let lines = |keyword: &str| {
        host.lines()
            .filter(|line| line.split_whitespace().next() == Some(keyword))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    let mut add = |keyword: &str, given: &[String]| match given {
        [] => lines(keyword).iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        }),
        [nothing] if nothing == "." => {}
        given => {
            let _ = writeln!(text, "{keyword} {}", given.join(" "));
        }
    };
    add("search", &network.dns_search);
    add("options", &network.dns_options);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::container::config::Network;

    fn config() -> Config {
        Config { hostname: "tart".to_owned(), domainname: "oven".to_owned(), ..Config::default() }
    }

    #[test]
    fn hosts_has_the_containers_own_name_and_what_was_added() {
        let extra_hosts = vec!["db:10.0.0.9".to_owned(), "up:host-gateway".to_owned()];
        let config = Config { network: Network { extra_hosts, ..Network::default() }, ..config() };
        let endpoint =
            Endpoint { address: "10.1.0.2".to_owned(), gateway: "10.1.0.1".to_owned(), ..Endpoint::default() };
        let text = hosts(&config, Some(&endpoint));
        for line in ["127.0.0.1\tlocalhost", "10.0.0.9\tdb", "10.1.0.1\tup", "10.1.0.2\ttart.oven tart"] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn given_name_servers_are_the_only_ones() {
        let network =
            Network { dns: vec!["10.9.9.9".to_owned()], dns_search: vec!["x".to_owned()], ..Network::default() };
        let text = resolv_conf(&Config { network, ..config() }, None);
        assert_eq!(name_servers(&text), ["10.9.9.9"]);
        assert!(text.contains("search x\n"));
        assert_eq!(name_servers(&resolv_conf(&config(), Some("127.0.0.11"))), ["127.0.0.11"]);
    }
}
