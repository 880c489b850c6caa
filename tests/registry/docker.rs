//! Debian's docker-registry, one for each test that wants it.

use super::kit::*;
use super::server::{Answer, Request, Server};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

pub const USER: &str = "ana";
pub const PASSWORD: &str = "secret";
/// `ana:secret`, as bcrypt has it.
const HTPASSWD: &str = "ana:$2b$04$9zQR3eBkK7hkYWGG4t/nye57/0NmS0g796sBXJNRwFz29Cssu2Oxm\n";

#[derive(Default, Clone, Copy, PartialEq)]
pub enum Login {
    #[default]
    None,
    Basic,
    Token,
}

pub struct Registry {
    child: Child,
    port: u16,
    directory: PathBuf,
    /// Who gives tokens.
    tokens: Option<Server>,
}

impl Registry {
    /// `None`, and a word about it, where docker-registry is not installed.
    pub fn start(kitchen: &Kitchen, login: Login, tls: bool) -> Option<Registry> {
        if !has("docker-registry") || (tls || login == Login::Token) && !has("openssl") {
            return None;
        }
        let directory = kitchen.path("docker-registry");
        fs::create_dir(&directory).unwrap();
        let port = free_port();
        let at = |name: &str| directory.join(name).display().to_string();
        let mut config =
            format!("version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n", at("data"));
        config += &format!("http:\n  addr: 127.0.0.1:{port}\n  secret: x\n");
        if tls {
            authority(&directory);
            config += &format!("  tls: {{certificate: {}, key: {}}}\n", at("server.crt"), at("server.key"));
        }
        let mut tokens = None;
        match login {
            Login::None => {}
            Login::Basic => {
                fs::write(at("htpasswd"), HTPASSWD).unwrap();
                config += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", at("htpasswd"));
            }
            Login::Token => {
                if !tls {
                    authority(&directory);
                }
                let keys = directory.clone();
                let server = Server::start(move |request| token(request, &keys));
                config += &format!(
                    "auth: {{token: {{realm: 'http://localhost:{}/token', service: test, issuer: tests, rootcertbundle: {}}}}}\n",
                    server.host().rsplit(':').next().unwrap(),
                    at("server.crt")
                );
                tokens = Some(server);
            }
        }
        fs::write(at("config.yml"), config).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve", &at("config.yml")]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        // That somebody listens does not say that it is this one: another test may have found the same port free.
        while !fs::read_to_string(at("log")).unwrap().contains("listening on") {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "docker-registry: {}", fs::read_to_string(at("log")).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Registry { child, port, directory, tokens })
    }

    /// `localhost:PORT/NAME`
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// What its token server has been asked.
    pub fn token_requests(&self) -> Vec<Request> {
        self.tokens.iter().flat_map(Server::requests).collect()
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// A directory with the certificate of whoever signed the registry's.
    pub fn authority(&self) -> PathBuf {
        self.directory.join("authority")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on, and that no other test is given.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// An authority and a certificate of it for localhost.
fn authority(directory: &std::path::Path) {
    let script = r#"set -e
        cd "$1"; mkdir authority
        printf '[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n' >openssl.cnf
        export OPENSSL_CONF=$PWD/openssl.cnf
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test authority" -keyout ca.key -out authority/ca.crt
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >names
        openssl x509 -req -in server.csr -CA authority/ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt"#;
    let made = Command::new("sh").args(["-c", script, "sh"]).arg(directory).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// The token server: one user may do everything, and nobody else anything but pull from `public/`.
fn token(request: &Request, keys: &std::path::Path) -> Answer {
    let known = format!("Basic {}", base64(format!("{USER}:{PASSWORD}").as_bytes(), false));
    let known = match request.header("authorization") {
        None => false,
        Some(given) if given == known => true,
        Some(_) => return Answer::new(401).bytes(r#"{"details":"incorrect username or password"}"#),
    };
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|field| field.strip_prefix("scope=")).map(unescape);
    let mut access = Vec::new();
    for scope in scopes.flat_map(|scopes| scopes.split(' ').map(str::to_owned).collect::<Vec<_>>()) {
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else { continue };
        let allowed = |action: &&str| known || (name.starts_with("public/") && *action == "pull");
        let actions: Vec<&str> = actions.split(',').filter(allowed).collect();
        access.push(json!({"type": kind, "name": name, "actions": actions}));
    }
    let certificate = fs::read_to_string(keys.join("server.crt")).unwrap();
    let der: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]}).to_string();
    let claims = json!({"iss": "tests", "aud": "test", "sub": USER, "jti": format!("{now}-{query}"), "access": access,
        "iat": now, "nbf": now - 10, "exp": now + 60})
    .to_string();
    let signed = format!("{}.{}", base64(header.as_bytes(), true), base64(claims.as_bytes(), true));
    let mut command = Command::new("openssl");
    command
        .args(["dgst", "-sha256", "-sign"])
        .arg(keys.join("server.key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
    let signature = base64(&child.wait_with_output().unwrap().stdout, true);
    Answer::new(200)
        .header("Content-Type", "application/json")
        .bytes(json!({"token": format!("{signed}.{signature}"), "expires_in": 60}).to_string())
}

pub fn base64(bytes: &[u8], for_urls: bool) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at > chunk.len() { '=' } else { digit });
        }
    }
    if for_urls { text.trim_end_matches('=').replace('+', "-").replace('/', "_") } else { text }
}

pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}
