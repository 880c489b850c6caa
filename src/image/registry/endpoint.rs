//! Where the images of a name are: the registry itself, and mirrors of it, as this machine is configured
//! (certs.d with hosts.toml as containerd has it, registries.conf as podman has it).

use super::Options;
use crate::bail;
use crate::error::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The host of docker.io's registry is not the one of its names.
const DOCKER_IO: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// One place that has the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host[:port]`
    pub host: String,
    /// The path before `/NAME/manifests/...`: `/v2`, usually.
    pub prefix: String,
    /// The repository's path there, where it is another one.
    pub location: String,
    pub transport: Transport,
    pub verify: bool,
    pub authorities: Vec<PathBuf>,
    /// Certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
    pub headers: Vec<(String, String)>,
    /// The registry that a mirror is asked for (`?ns=`).
    pub namespace: Option<String>,
    pub can_push: bool,
    /// It stands in for another registry, whose credentials are not for it.
    pub mirror: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Https,
    Http,
    /// Https, and plain http where nobody speaks that.
    Either,
}

/// The host that serves a domain's images.
pub(super) fn registry_host(domain: &str) -> &str {
    if domain == DOCKER_IO.0 { DOCKER_IO.1 } else { domain }
}

/// Whether a host, with a port or without, is this machine: nobody else listens there.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && !name.ends_with(':') => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The places to ask for a repository, in order; the registry itself is the last.
pub(super) fn endpoints(domain: &str, path: &str, options: &Options) -> Result<Vec<Endpoint>> {
    let mut found = Vec::new();
    let places = Places::of_this_user();
    let mut own = endpoint(registry_host(domain), options);
    certificates(&mut own, domain, &places, options)?;
    let hosts = read_hosts(domain, &places)?;
    if let Some(hosts) = hosts {
        for (url, host) in &hosts.host {
            let host = serde_json::from_value(host.clone()).with(|| format!("hosts.toml: host {url:?}"))?;
            found.push(mirror(url, &host, domain, &hosts.directory, options)?);
        }
        if let Some(server) = &hosts.server {
            own = Endpoint { authorities: own.authorities, client: own.client, ..from_url(server, options)? };
        }
        hosts.base.apply(&mut own, &hosts.directory);
    } else if let Some(registry) = read_registries(domain, path, &places)? {
        if registry.blocked {
            bail!("registry {domain} is blocked by registries.conf");
        }
        for other in &registry.mirror {
            found.push(located(other, &registry, path, true, options)?);
        }
        if !registry.location.is_empty() || registry.insecure {
            let here = Located { location: registry.location.clone(), insecure: registry.insecure };
            let moved = located(&here, &registry, path, false, options)?;
            own = Endpoint { authorities: own.authorities, client: own.client, ..moved };
        }
    }
    found.push(own);
    Ok(found)
}

fn endpoint(host: &str, options: &Options) -> Endpoint {
    let insecure = options.tls_verify == Some(false);
    let either = insecure || (is_loopback(host) && options.tls_verify.is_none());
    Endpoint {
        host: host.to_owned(),
        prefix: "/v2".to_owned(),
        location: String::new(),
        transport: if either { Transport::Either } else { Transport::Https },
        verify: !insecure,
        authorities: Vec::new(),
        client: None,
        headers: Vec::new(),
        namespace: None,
        can_push: true,
        mirror: false,
    }
}

/// Where configuration is looked for: what is first wins.
struct Places(Vec<PathBuf>);

impl Places {
    fn of_this_user() -> Places {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
        let own = own.map(|path| path.join("containers"));
        Places(
            own.into_iter().chain(["/etc/containers", "/etc/docker", "/etc/containerd"].map(PathBuf::from)).collect(),
        )
    }

    /// The directories of certs.d about a host.
    fn certs_d(&self, host: &str) -> Vec<PathBuf> {
        let mut names = vec![host.to_owned()];
        if let Some((name, port)) = host.rsplit_once(':') {
            // What containerd writes where a file name cannot have a colon.
            names.push(format!("{name}_{port}_"));
        }
        let directories = self.0.iter().flat_map(|place| names.iter().map(|name| place.join("certs.d").join(name)));
        directories.filter(|path| path.is_dir()).collect()
    }
}

fn certificates(endpoint: &mut Endpoint, domain: &str, places: &Places, options: &Options) -> Result<()> {
    let directories = match &options.cert_dir {
        Some(directory) => vec![directory.clone()],
        None => [places.certs_d(domain), places.certs_d(&endpoint.host)].concat(),
    };
    for directory in directories {
        let read = || -> Result<Vec<PathBuf>> {
            let entries: std::io::Result<Vec<_>> = std::fs::read_dir(&directory)?.collect();
            let mut paths: Vec<PathBuf> = entries?.into_iter().map(|entry| entry.path()).collect();
            paths.sort();
            Ok(paths)
        };
        for path in read().with(|| format!("read {}", directory.display()))? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => endpoint.authorities.push(path),
                Some("cert") => endpoint.client = Some((path.clone(), path.with_extension("key"))),
                _ => {}
            }
        }
    }
    endpoint.authorities.dedup();
    Ok(())
}

/// hosts.toml (containerd docs/hosts.md).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hosts {
    server: Option<String>,
    #[serde(flatten)]
    base: Host,
    /// In the order of the file, which is the order in which they are asked.
    host: serde_json::Map<String, serde_json::Value>,
    #[serde(skip)]
    directory: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Host {
    capabilities: Option<Vec<String>>,
    ca: OneOrMany,
    client: OneOrMany,
    skip_verify: bool,
    header: BTreeMap<String, OneOrMany>,
    override_path: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
    Pairs(Vec<Vec<String>>),
}

impl Default for OneOrMany {
    fn default() -> OneOrMany {
        OneOrMany::Many(Vec::new())
    }
}

impl OneOrMany {
    fn all(&self) -> Vec<&str> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many.iter().map(String::as_str).collect(),
            OneOrMany::Pairs(pairs) => pairs.iter().flatten().map(String::as_str).collect(),
        }
    }
}

impl Host {
    fn apply(&self, endpoint: &mut Endpoint, directory: &Path) {
        endpoint.authorities.extend(self.ca.all().into_iter().map(|path| directory.join(path)));
        if let [certificate, rest @ ..] = self.client.all().as_slice() {
            let key = rest.first().unwrap_or(certificate);
            endpoint.client = Some((directory.join(certificate), directory.join(key)));
        }
        if self.skip_verify {
            endpoint.verify = false;
        }
        for (name, values) in &self.header {
            endpoint.headers.extend(values.all().into_iter().map(|value| (name.clone(), value.to_owned())));
        }
    }

    fn can(&self, what: &str) -> bool {
        self.capabilities.as_ref().is_none_or(|list| list.iter().any(|entry| entry == what))
    }
}

fn read_hosts(domain: &str, places: &Places) -> Result<Option<Hosts>> {
    let mut directories = places.certs_d(domain);
    directories.extend(places.0.iter().map(|place| place.join("certs.d/_default")));
    for directory in directories {
        let path = directory.join("hosts.toml");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.with(|| format!("read {}", path.display()))?,
        };
        let hosts: Hosts = parse(&text, &path)?;
        return Ok(Some(Hosts { directory, ..hosts }));
    }
    Ok(None)
}

fn parse<T: serde::de::DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().and_then(|span| Some(text.get(..span.start)?.matches('\n').count() + 1));
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        crate::error::Error::new(format!("{}{line}: {}", path.display(), error.message()))
    })
}

fn mirror(url: &str, host: &Host, domain: &str, directory: &Path, options: &Options) -> Result<Endpoint> {
    let mut endpoint = from_url(url, options)?;
    if !host.override_path {
        endpoint.prefix = format!("{}/v2", endpoint.prefix.trim_end_matches("/v2"));
    }
    host.apply(&mut endpoint, directory);
    endpoint.can_push = host.can("push");
    endpoint.mirror = endpoint.host != registry_host(domain);
    endpoint.namespace = Some(domain.to_owned()).filter(|_| endpoint.mirror);
    Ok(endpoint)
}

/// `[http[s]://]host[:port][/path]`
fn from_url(url: &str, options: &Options) -> Result<Endpoint> {
    let (transport, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (Some(Transport::Https), rest),
        (_, Some(rest)) => (Some(Transport::Http), rest),
        _ => (None, url),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.is_empty() || host.contains('@') {
        bail!("{url:?}: want http[s]://HOST[:PORT][/PATH]");
    }
    let mut endpoint = endpoint(host, options);
    endpoint.transport = transport.unwrap_or(endpoint.transport);
    let path = path.trim_end_matches('/');
    endpoint.prefix = if path.is_empty() { "/v2".to_owned() } else { path.to_owned() };
    Ok(endpoint)
}

/// registries.conf, version 2 (containers-registries.conf(5)).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Registries {
    registry: Vec<Registry>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror: Vec<Located>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Located {
    /// `host[:port][/path]`, in place of the prefix.
    location: String,
    insecure: bool,
}

impl Registry {
    fn prefix(&self) -> &str {
        if self.prefix.is_empty() { &self.location } else { &self.prefix }
    }

    fn covers(&self, name: &str) -> bool {
        match self.prefix().strip_prefix("*.") {
            Some(domain) => name.split('/').next().is_some_and(|host| host.ends_with(&format!(".{domain}"))),
            None => name.strip_prefix(self.prefix()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

/// What registries.conf says of a repository: the entry with the longest prefix.
fn read_registries(domain: &str, path: &str, places: &Places) -> Result<Option<Registry>> {
    for place in &places.0 {
        let file = place.join("registries.conf");
        let text = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.with(|| format!("read {}", file.display()))?,
        };
        let name = format!("{domain}/{path}");
        let registries: Registries = parse(&text, &file)?;
        let covering =
            registries.registry.into_iter().filter(|entry| !entry.prefix().is_empty() && entry.covers(&name));
        return Ok(covering.max_by_key(|entry| entry.prefix().len()));
    }
    Ok(None)
}

fn located(other: &Located, registry: &Registry, path: &str, mirror: bool, options: &Options) -> Result<Endpoint> {
    let place = if other.location.is_empty() { registry.prefix() } else { &other.location };
    let (host, below) = place.split_once('/').unwrap_or((place, ""));
    let mut endpoint = from_url(host, options)?;
    endpoint.host = registry_host(host).to_owned();
    endpoint.mirror = mirror;
    endpoint.can_push = !mirror;
    if other.insecure {
        endpoint.verify = false;
        endpoint.transport = Transport::Either;
    }
    // What the prefix has of the path is replaced by what the location has.
    let covered = registry.prefix().split_once('/').map_or("", |(_, below)| below);
    let rest = path.strip_prefix(covered).unwrap_or(path).trim_start_matches('/');
    let moved = [below, rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    endpoint.location = moved;
    Ok(endpoint)
}

#[cfg(test)]
mod tests;
