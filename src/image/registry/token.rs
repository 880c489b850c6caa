//! Bearer tokens (distribution-spec's "token authentication", as docker and OAuth2 word it).

use super::answer::{header, read_document};
use super::challenge::Challenge;
use super::client::Origin;
use super::credentials::Credentials;
use crate::bail;
use crate::error::{Context, Error, Result};
use serde::Deserialize;
use std::time::{Duration, Instant};
use ureq::http::{Method, Request, Uri};
use ureq::{Agent, SendBody};

const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What a token lasts where the server does not say.
const SECONDS: u64 = 60;
/// A token is not used in its last seconds: it has to arrive, too.
const MARGIN: u64 = 10;

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    until: Instant,
}

impl Token {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

/// Asks the server that the challenge names for a token with these scopes.
pub(super) fn fetch(
    agent: &Agent,
    registry: &Origin,
    challenge: &Challenge,
    credentials: Option<&Credentials>,
    scopes: &[String],
) -> Result<Token> {
    let Some(realm) = challenge.parameter("realm") else {
        bail!("the registry asks for a token and does not say from where");
    };
    let uri: Uri = realm.parse().map_err(|_| Error::new(format!("token server {realm:?}: not a URL")))?;
    let server = Origin::of(&uri).with(|| format!("token server {realm:?}"))?;
    if registry.secure && !server.secure {
        bail!("the registry sends us to a token server without TLS ({realm}); nothing is said there");
    }
    if credentials.is_some() && !belongs(registry, &server) {
        bail!(
            "the registry {} sends us to {} for a token, which is somebody else's host: credentials do not go there",
            registry.host,
            server.host
        );
    }
    let ask = || -> Result<Token> {
        let service = challenge.parameter("service").unwrap_or_default();
        let answer = match credentials {
            Some(Credentials::IdentityToken(token)) => by_refresh(agent, realm, service, scopes, token)?,
            other => by_name(agent, realm, service, scopes, other)?,
        };
        let text = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if text.is_empty() {
            bail!("there is no token in the answer");
        }
        // A server that gives none at all means the default, too (docker's registry does).
        let seconds = answer.expires_in.unwrap_or(0).max(SECONDS) - MARGIN;
        let now = Instant::now();
        Ok(Token { text, until: now.checked_add(Duration::from_secs(seconds)).unwrap_or(now) })
    };
    ask().with(|| format!("get a token from {}", server.host))
}

/// Whether a token server is the registry's own: on the same host, or in the domain that it is in.
fn belongs(registry: &Origin, server: &Origin) -> bool {
    let name = |origin: &Origin| origin.name().to_ascii_lowercase();
    let (registry, server) = (name(registry), name(server));
    if registry == server {
        return true;
    }
    let is_address =
        |name: &str| name.starts_with('[') || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_address(&registry) || is_address(&server) {
        return false;
    }
    // `registry.gitlab.com` and `gitlab.com`, `registry-1.docker.io` and `auth.docker.io`.
    let domain = domain_of(&registry);
    domain.contains('.') && (server == domain || server.ends_with(&format!(".{domain}")))
}

/// The domain that somebody can have registered: two labels, or three where the second is a country's `co` or `com`.
fn domain_of(name: &str) -> &str {
    let labels: Vec<&str> = name.split('.').collect();
    let wanted = match labels.as_slice() {
        [.., second, country] if country.len() == 2 && second.len() <= 3 => 3,
        _ => 2,
    };
    let drop: usize = labels.iter().rev().skip(wanted).map(|label| label.len() + 1).sum();
    if labels.len() < wanted { "" } else { name.get(drop..).unwrap_or_default() }
}

fn by_name(
    agent: &Agent,
    realm: &str,
    service: &str,
    scopes: &[String],
    credentials: Option<&Credentials>,
) -> Result<Answer> {
    let mut query = form(&[("service", service)]);
    if let Some(Credentials::Basic { user, .. }) = credentials {
        query.push_str(&form(&[("account", user)]));
    }
    for scope in scopes {
        query.push_str(&form(&[("scope", scope)]));
    }
    let separator = if realm.contains('?') { '&' } else { '?' };
    let mut request = Request::builder().method(Method::GET).uri(format!("{realm}{separator}{}", &query[1..]));
    if let Some(basic) = credentials.and_then(Credentials::basic) {
        request = request.header("Authorization", basic);
    }
    let request = request.body(SendBody::none()).map_err(|error| Error::new(error.to_string()))?;
    answer(agent, request)
}

fn by_refresh(agent: &Agent, realm: &str, service: &str, scopes: &[String], token: &str) -> Result<Answer> {
    let scope = scopes.join(" ");
    let fields = [
        ("grant_type", "refresh_token"),
        ("service", service),
        ("client_id", "forno"),
        ("scope", &scope),
        ("refresh_token", token),
    ];
    let text = form(&fields);
    let mut body = &text.as_bytes()[1..];
    let request = Request::builder()
        .method(Method::POST)
        .uri(realm)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Content-Length", body.len());
    let request = request.body(SendBody::from_reader(&mut body)).map_err(|error| Error::new(error.to_string()))?;
    answer(agent, request)
}

fn answer(agent: &Agent, request: Request<SendBody>) -> Result<Answer> {
    let mut response = agent.run(request).map_err(super::answer::explain)?;
    let status = response.status();
    if status.is_redirection() {
        bail!("it sends us on to {:?}", header(&response, "location").unwrap_or_default());
    }
    let bytes = read_document(&mut response, ANSWER_BYTES_MAX)?;
    if !status.is_success() {
        bail!("{}", super::answer::refusal(status, &bytes));
    }
    serde_json::from_slice(&bytes).context("parse its answer")
}

/// `&name=value`, escaped.
fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        text.push('&');
        text.push_str(name);
        text.push('=');
        text.push_str(&super::client::escape(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_server_is_the_registrys_own_or_gets_no_credentials() {
        let origin = |host: &str| Origin { secure: true, host: host.to_owned() };
        for (registry, server, want) in [
            ("registry-1.docker.io:443", "auth.docker.io:443", true),
            ("ghcr.io:443", "ghcr.io:443", true),
            ("registry.gitlab.com:443", "gitlab.com:443", true),
            ("reg.corp.example:5000", "auth.corp.example:443", true),
            ("localhost:5000", "localhost:5001", true),
            ("127.0.0.1:5000", "127.0.0.2:5000", false),
            ("127.0.0.1:5000", "0.0.1:5000", false),
            ("docker.io:443", "docker.io.evil.com:443", false),
            ("registry.a.co.uk:443", "evil.co.uk:443", false),
            ("a.co.uk:443", "auth.a.co.uk:443", true),
            ("localhost:5000", "evil.localhost:5000", false),
            ("ghcr.io:443", "evil.io:443", false),
        ] {
            assert_eq!(belongs(&origin(registry), &origin(server)), want, "{registry} {server}");
        }
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(
            form(&[("scope", "repository:a/b:pull,push"), ("service", "x y&z")]),
            "&scope=repository%3Aa%2Fb%3Apull%2Cpush&service=x%20y%26z"
        );
    }
}
