//! One endpoint: requests with credentials, redirects and retries. Credentials and the headers of the configuration go to
//! the endpoint itself alone, whatever it says (CVE-2020-15157, CVE-2024-3727).

use super::answer::{explain, header, refused};
use super::challenge::{self, Challenge};
use super::credentials::{CredentialFiles, Credentials};
use super::endpoint::{Endpoint, Transport, endpoints};
use super::token::{self, Token};
use super::{Options, tls};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::reference::Reference;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use ureq::http::{self, Method, StatusCode, Uri, uri::PathAndQuery};
use ureq::{Agent, Body, SendBody};

pub(super) type Response = http::Response<Body>;

const REDIRECTS_MAX: usize = 10;
const HEADER_BYTES_MAX: usize = 256 << 10;
/// A registry that says nothing for so long is dead, or the way to it.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(30);
/// Between tries; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Who is told to wait for longer than this gives up.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Scheme, host and port: what credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) secure: bool,
    /// With the port, always.
    pub(super) host: String,
}

impl Origin {
    pub(super) fn of(uri: &Uri) -> Result<Origin> {
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("{uri}: want http or https"),
        };
        let Some(authority) = uri.authority() else { bail!("{uri}: no host") };
        if authority.as_str().contains('@') {
            bail!("{}: a name before the host is not followed", authority.host());
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Origin { secure, host: format!("{}:{port}", authority.host().to_ascii_lowercase()) })
    }

    /// Without the port.
    pub(super) fn name(&self) -> &str {
        self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name)
    }
}

/// What a request carries.
pub(super) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// Made anew for each try, with its length.
    Stream(&'a dyn Fn() -> Result<Box<dyn Read + 'a>>, u64),
}

pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload<'a>,
    /// `pull` or `pull,push`, and what else a token must be good for.
    pub(super) scopes: Vec<String>,
    /// Whether it may be sent again after a failure that leaves open whether it arrived.
    pub(super) repeat: bool,
}

/// What the registry wants to see.
#[derive(Debug, Clone)]
enum Scheme {
    Basic,
    Bearer(Challenge),
}

#[derive(Default)]
struct Session {
    scheme: Option<Scheme>,
    /// By their scopes.
    tokens: BTreeMap<String, Token>,
}

pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    /// The repository's path there.
    pub(super) path: String,
    origin: Origin,
    base: Uri,
    agent: Agent,
    credentials: Option<Credentials>,
    session: Mutex<Session>,
    retries: u32,
}

impl Client {
    /// Those that have the images of a name, in the order in which they are to be asked.
    pub(super) fn all(name: &Reference, options: &Options) -> Result<Vec<Client>> {
        let endpoints = endpoints(name.domain(), name.path(), options)?;
        endpoints.into_iter().map(|endpoint| Client::new(endpoint, name.domain(), name.path(), options)).collect()
    }

    pub(super) fn new(endpoint: Endpoint, domain: &str, path: &str, options: &Options) -> Result<Client> {
        let secure = endpoint.transport != Transport::Http;
        let base = base_of(&endpoint, secure)?;
        let agent = agent(&endpoint)?;
        let path = if endpoint.location.is_empty() { path.to_owned() } else { endpoint.location.clone() };
        let credentials = match &options.credentials {
            Some(credentials) if !endpoint.mirror => Some(credentials.clone()),
            _ => {
                let owner = if endpoint.mirror { endpoint.host.as_str() } else { domain };
                CredentialFiles::new(options.authfile.as_deref()).find(owner, &path)?
            }
        };
        let (origin, session) = (Origin::of(&base)?, Mutex::default());
        let retries = options.retries;
        let mut client = Client { endpoint, path, origin, base, agent, credentials, session, retries };
        if client.endpoint.transport == Transport::Either {
            client.choose_transport()?;
        }
        Ok(client)
    }

    /// Https where it is spoken, else plain http.
    fn choose_transport(&mut self) -> Result<()> {
        let ping = http::Request::builder().uri(self.uri("/")?).body(SendBody::none()).map_err(invalid)?;
        let Err(error) = self.agent.run(ping) else { return Ok(()) };
        let error = explain(error);
        // Somebody is there and speaks TLS; that nobody can be believed is not to be had by asking without.
        if error.to_string().contains("certificate") {
            return Err(error.context(format!("connect to {}", self.endpoint.host)));
        }
        self.base = base_of(&self.endpoint, false)?;
        self.origin = Origin::of(&self.base)?;
        Ok(())
    }

    /// The address of `rest` below the API's root: `/NAME/manifests/latest`.
    pub(super) fn uri(&self, rest: &str) -> Result<Uri> {
        let mut text = format!("{}{rest}", self.endpoint.prefix);
        if let Some(namespace) = &self.endpoint.namespace {
            text.push_str(if text.contains('?') { "&ns=" } else { "?ns=" });
            text.push_str(&escape(namespace));
        }
        with_path(&self.base, &text)
    }

    /// The address of something of the repository.
    pub(super) fn in_repository(&self, rest: &str) -> Result<Uri> {
        self.uri(&format!("/{}/{rest}", self.path))
    }

    pub(super) fn get(&self, uri: Uri, headers: Vec<(&'static str, String)>) -> Result<Response> {
        let scopes = vec![self.scope("pull")];
        self.send(&Call { method: Method::GET, uri, headers, payload: Payload::None, scopes, repeat: true })
    }

    pub(super) fn head(&self, uri: Uri, headers: Vec<(&'static str, String)>, actions: &str) -> Result<Response> {
        let scopes = vec![self.scope(actions)];
        self.send(&Call { method: Method::HEAD, uri, headers, payload: Payload::None, scopes, repeat: true })
    }

    /// `repository:NAME:ACTIONS`
    pub(super) fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.path)
    }

    /// Sends until there is an answer that is worth something; its status may be any but 401, 408, 429 and 5xx.
    pub(super) fn send(&self, call: &Call) -> Result<Response> {
        let mut pause = PAUSE;
        let mut tries = 0;
        loop {
            let last = tries >= self.retries;
            tries += 1;
            let wait = match self.try_once(call) {
                Ok(response) if !is_passing(response.status()) || !call.repeat => return Ok(response),
                Ok(mut response) => {
                    let asked = retry_after(&response);
                    if last || asked.is_some_and(|wait| wait > RETRY_AFTER_MAX) {
                        return Err(refused(&mut response)).with(|| described(call));
                    }
                    asked.unwrap_or(pause)
                }
                Err(failure) if last || failure.lasting || !call.repeat => {
                    return Err(failure.error).with(|| described(call));
                }
                Err(_) => pause,
            };
            std::thread::sleep(wait);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One try, with what it takes to be let in.
    fn try_once(&self, call: &Call) -> std::result::Result<Response, Failure> {
        let mut scopes = call.scopes.clone();
        let mut rounds = 0..2;
        loop {
            let authorization = self.authorization(&scopes)?;
            let mut response = self.follow(call, authorization.as_deref())?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            let ours = Origin::of(&call.uri)? == self.origin;
            // The first answer says what is wanted, the second that our token is too old or allows too little.
            if rounds.next().is_some() && ours && self.learn(&response, &mut scopes, authorization.is_some()) {
                continue;
            }
            return Err(Failure::lasting(self.unauthorized(&mut response)));
        }
    }

    fn unauthorized(&self, response: &mut Response) -> Error {
        let error = refused(response);
        let host = &self.endpoint.host;
        match self.credentials {
            Some(_) => error.context(format!("{host} does not take the credentials")),
            None => error.context(format!("{host} wants credentials (forno login {host})")),
        }
    }

    /// Takes from a 401 what to do about it; whether there is anything.
    fn learn(&self, response: &Response, scopes: &mut Vec<String>, tried: bool) -> bool {
        let lines = response.headers().get_all("www-authenticate");
        let challenges: Vec<Challenge> =
            lines.iter().filter_map(|line| line.to_str().ok()).flat_map(challenge::parse).collect();
        let by_scheme = |name: &str| challenges.iter().find(|challenge| challenge.scheme == name);
        let mut session = self.session();
        session.tokens.remove(&scopes.join(" "));
        if let Some(bearer) = by_scheme("bearer") {
            // A wider scope than ours, where the registry asks for one (`insufficient_scope`).
            let wanted = bearer.parameter("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
            scopes.extend(wanted.map(str::to_owned).filter(|scope| !scopes.contains(scope)).collect::<Vec<_>>());
            session.scheme = Some(Scheme::Bearer(bearer.clone()));
            return true;
        }
        let basic = by_scheme("basic").is_some() && self.credentials.as_ref().is_some_and(|c| c.basic().is_some());
        if basic {
            session.scheme = Some(Scheme::Basic);
        }
        basic && !tried
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorization(&self, scopes: &[String]) -> Result<Option<String>> {
        // While one thread gets a token the others wait for it.
        let mut session = self.session();
        let challenge = match &session.scheme {
            None => return Ok(None),
            Some(Scheme::Basic) => return Ok(self.credentials.as_ref().and_then(Credentials::basic)),
            Some(Scheme::Bearer(challenge)) => challenge.clone(),
        };
        let key = scopes.join(" ");
        if let Some(token) = session.tokens.get(&key).filter(|token| token.is_fresh()) {
            return Ok(Some(format!("Bearer {}", token.text)));
        }
        let token = token::fetch(&self.agent, &self.origin, &challenge, self.credentials.as_ref(), scopes)?;
        let text = format!("Bearer {}", token.text);
        session.tokens.insert(key, token);
        Ok(Some(text))
    }

    /// Sends, and goes where the answer points to.
    fn follow(&self, call: &Call, authorization: Option<&str>) -> std::result::Result<Response, Failure> {
        let mut uri = call.uri.clone();
        for _ in 0..=REDIRECTS_MAX {
            let response = self.exchange(call, &uri, authorization)?;
            let status = response.status();
            let moves = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(location) = header(&response, "location").filter(|_| moves) else { return Ok(response) };
            if !matches!(call.payload, Payload::None) {
                return Err(Failure::lasting(Error::new(format!("redirect of what is uploaded, to {location}"))));
            }
            let next = join(&uri, &location).map_err(Failure::lasting)?;
            if Origin::of(&uri)?.secure && !Origin::of(&next).map_err(Failure::lasting)?.secure {
                return Err(Failure::lasting(Error::new(format!("redirect to {next}, without TLS"))));
            }
            uri = next;
        }
        Err(Failure::lasting(Error::new(format!("more than {REDIRECTS_MAX} redirects"))))
    }

    fn exchange(&self, call: &Call, uri: &Uri, authorization: Option<&str>) -> std::result::Result<Response, Failure> {
        let mut request = http::Request::builder().method(&call.method).uri(uri.clone());
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if Origin::of(uri).map_err(Failure::lasting)? == self.origin {
            for (name, value) in &self.endpoint.headers {
                request = request.header(name, value);
            }
            if let Some(authorization) = authorization {
                request = request.header("Authorization", authorization);
            }
        }
        let (mut stream, length): (Box<dyn Read>, u64) = match &call.payload {
            Payload::None => {
                let request = request.body(SendBody::none()).map_err(invalid)?;
                return self.agent.run(request).map_err(Failure::of);
            }
            Payload::Bytes(bytes) => (Box::new(*bytes), bytes.len() as u64),
            Payload::Stream(open, length) => (open()?, *length),
        };
        let request = request.header("Content-Length", length).body(SendBody::from_reader(&mut stream));
        self.agent.run(request.map_err(invalid)?).map_err(Failure::of)
    }
}

/// Why there is no answer.
struct Failure {
    error: Error,
    /// Another try would end in the same way.
    lasting: bool,
}

impl Failure {
    fn lasting(error: Error) -> Failure {
        Failure { error, lasting: true }
    }

    fn of(error: ureq::Error) -> Failure {
        use ureq::Error::{ConnectionFailed, Io, Protocol, Timeout};
        let lasting = match &error {
            Io(error) => {
                matches!(error.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::InvalidData)
            }
            ConnectionFailed | Protocol(_) | Timeout(_) => false,
            _ => true,
        };
        Failure { error: explain(error), lasting }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::lasting(error)
    }
}

fn agent(endpoint: &Endpoint) -> Result<Agent> {
    let config = Agent::config_builder()
        .tls_config(tls::config(endpoint, endpoint.verify)?)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEADER_BYTES_MAX)
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .input_buffer_size(256 << 10)
        .output_buffer_size(256 << 10)
        .user_agent(concat!("forno/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("")
        .proxy(ureq::Proxy::try_from_env());
    Ok(config.build().new_agent())
}

fn base_of(endpoint: &Endpoint, secure: bool) -> Result<Uri> {
    let text = format!("{}://{}/", if secure { "https" } else { "http" }, endpoint.host);
    text.parse().map_err(|_| Error::new(format!("registry {:?}: not a host", endpoint.host)))
}

/// Statuses that another try may change.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// In seconds, or until a point of time (RFC 9110 section 10.2.3).
fn retry_after(response: &Response) -> Option<Duration> {
    let text = header(response, "retry-after")?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = crate::image::time::parse_http(&text)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(u64::try_from(at).ok()?.saturating_sub(now)))
}

fn described(call: &Call) -> String {
    format!("{} {}", call.method, call.uri)
}

fn invalid(error: http::Error) -> Error {
    Error::new(format!("make a request: {error}"))
}

/// Where a `Location` leads from an address (RFC 3986 section 5.2, as far as anybody uses it).
pub(super) fn join(base: &Uri, location: &str) -> Result<Uri> {
    let bad = || Error::new(format!("location {location:?}: not a URL"));
    if location.starts_with("https://") || location.starts_with("http://") {
        return location.parse().map_err(|_| bad());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{}://{rest}", base.scheme_str().unwrap_or("https")).parse().map_err(|_| bad());
    }
    let text = match location.chars().next() {
        Some('/') => location.to_owned(),
        Some('?') => format!("{}{location}", base.path()),
        _ => format!("{}/{location}", base.path().rsplit_once('/').map_or("", |(above, _)| above)),
    };
    with_path(base, &text).map_err(|_| bad())
}

fn with_path(base: &Uri, text: &str) -> Result<Uri> {
    let path: PathAndQuery = text.parse().map_err(|_| Error::new(format!("path {text:?}: not one of a URL")))?;
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|error| Error::new(format!("path {text:?}: {error}")))
}

/// Percent-encodes all but what never needs it (RFC 3986 section 2.3).
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_of_all_kinds_are_followed() {
        let base: Uri = "https://host:5000/v2/a/blobs/uploads/1?x=y".parse().unwrap();
        for (location, want) in [
            ("https://other/b?c", "https://other/b?c"),
            ("//other/b", "https://other/b"),
            ("/v2/b?_state=z", "https://host:5000/v2/b?_state=z"),
            ("?q", "https://host:5000/v2/a/blobs/uploads/1?q"),
            ("2", "https://host:5000/v2/a/blobs/uploads/2"),
        ] {
            assert_eq!(join(&base, location).unwrap().to_string(), want);
        }
        assert!(join(&base, "http://").is_err());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| Origin::of(&text.parse().unwrap());
        assert_eq!(origin("https://Host/a").unwrap(), origin("https://host:443/b").unwrap());
        assert_ne!(origin("https://host/a").unwrap(), origin("http://host/a").unwrap());
        assert_ne!(origin("http://host:1/a").unwrap(), origin("http://host:2/a").unwrap());
        assert_eq!(origin("http://[::1]:5/").unwrap().name(), "[::1]");
        assert!(origin("https://user@host/").is_err());
        assert!(origin("/path").is_err());
    }
}
