//! Whether a registry takes credentials.

use super::answer::refused;
use super::client::{Call, Client, Payload};
use super::endpoint::endpoints;
use super::{Credentials, Options};
use crate::bail;
use crate::error::{Context, Result};
use ureq::http::Method;

/// The registry that a user names: `https://host/v1/`, `host:5000/`, or nothing for docker.io.
pub fn login_key(server: Option<&str>) -> String {
    let server = server.unwrap_or("docker.io");
    let rest = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = rest.split('/').next().unwrap_or(rest);
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io".to_owned() } else { host.to_owned() }
}

pub fn check_login(domain: &str, credentials: &Credentials, options: &Options) -> Result<()> {
    let options = Options { credentials: Some(credentials.clone()), ..options.clone() };
    let check = || -> Result<()> {
        let own = endpoints(domain, "", &options)?.into_iter().find(|endpoint| !endpoint.mirror);
        let Some(endpoint) = own else { bail!("no registry to ask") };
        let client = Client::new(endpoint, domain, "", &options)?;
        let (uri, headers) = (client.uri("/")?, Vec::new());
        let call = Call { method: Method::GET, uri, headers, payload: Payload::None, scopes: Vec::new(), repeat: true };
        let mut response = client.send(&call)?;
        if response.status().is_success() { Ok(()) } else { Err(refused(&mut response)) }
    };
    check().with(|| format!("log in to {domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_in_many_ways() {
        for (server, want) in [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("localhost:5000"), "localhost:5000"),
            (Some("http://host.example:5000/v2/"), "host.example:5000"),
        ] {
            assert_eq!(login_key(server), want);
        }
    }
}
