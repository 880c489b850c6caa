//! Names and passwords: from docker's config.json, containers' auth.json, and the programs that keep them elsewhere
//! (docker-credential-*).

use super::endpoint::registry_host;
use crate::bail;
use crate::error::{Context, Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The key that docker's registry has had since before it had another name.
const DOCKER_KEY: &str = "https://index.docker.io/v1/";
/// The user name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Basic {
        user: String,
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

/// Secrets are not printed.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Credentials::Basic { user, .. } => write!(f, "Basic({user})"),
            Credentials::IdentityToken(_) => f.write_str("IdentityToken"),
        }
    }
}

impl Credentials {
    /// `Authorization: Basic ...`; an identity token is none that can be shown this way.
    pub fn basic(&self) -> Option<String> {
        match self {
            Credentials::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Credentials::IdentityToken(_) => None,
        }
    }
}

/// The files that are asked, in order.
#[derive(Debug, Clone)]
pub struct CredentialFiles(Vec<PathBuf>);

impl CredentialFiles {
    /// The one that is given, or docker's, where `login` writes, and then those of containers-auth.json(5).
    pub fn new(authfile: Option<&Path>) -> CredentialFiles {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(file) = authfile.map(Path::to_owned).or_else(|| variable("REGISTRY_AUTH_FILE")) {
            return CredentialFiles(vec![file]);
        }
        let home = variable("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let docker = variable("DOCKER_CONFIG").or_else(|| below_home(".docker"));
        let config = variable("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        let uid = crate::sys::tree::effective_ids().0;
        let files = [
            docker.map(|path| path.join("config.json")),
            variable("XDG_RUNTIME_DIR").map(|path| path.join("containers/auth.json")),
            Some(PathBuf::from(format!("/run/containers/{uid}/auth.json"))),
            config.map(|path| path.join("containers/auth.json")),
            below_home(".dockercfg"),
        ];
        CredentialFiles(files.into_iter().flatten().collect())
    }

    /// What is known for a repository of a domain; `None`: go without.
    pub fn find(&self, domain: &str, path: &str) -> Result<Option<Credentials>> {
        for file in &self.0 {
            let Some(config) = read(file)? else { continue };
            let found = find(&config, domain, path).with(|| file.display().to_string())?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn own(&self) -> Result<&Path> {
        match self.0.first() {
            Some(file) => Ok(file),
            None => bail!("HOME is not set; say where credentials are kept with --authfile"),
        }
    }

    /// Keeps credentials; where. A helper that the file names for the registry gets them instead of the file.
    pub fn store(&self, domain: &str, credentials: &Credentials) -> Result<String> {
        let file = self.own()?;
        let mut config = read(file)?.unwrap_or_default();
        let key = key_of(domain);
        let (user, secret) = match credentials {
            Credentials::Basic { user, password } => (user.as_str(), password.as_str()),
            Credentials::IdentityToken(token) => (TOKEN_USER, token.as_str()),
        };
        if let Some(helper) = helper_for(&config, domain) {
            let entry = json!({"ServerURL": key, "Username": user, "Secret": secret}).to_string();
            run_helper(&helper, "store", &entry)?;
            return Ok(format!("docker-credential-{helper}"));
        }
        let entry = match credentials {
            Credentials::Basic { .. } => json!({"auth": STANDARD.encode(format!("{user}:{secret}"))}),
            Credentials::IdentityToken(_) => json!({"auth": "", "identitytoken": secret}),
        };
        let auths = config.entry("auths").or_insert_with(|| json!({}));
        match auths.as_object_mut() {
            Some(auths) => auths.insert(key, entry),
            None => bail!("{}: auths is not an object", file.display()),
        };
        write(file, &config)?;
        Ok(file.display().to_string())
    }

    /// Forgets credentials; whether there were any.
    pub fn erase(&self, domain: &str) -> Result<bool> {
        let mut erased = false;
        for file in &self.0 {
            let Some(mut config) = read(file)? else { continue };
            if let Some(helper) = helper_for(&config, domain)
                && ask_helper(&helper, &key_of(domain))?.is_some()
            {
                run_helper(&helper, "erase", &key_of(domain))?;
                erased = true;
            }
            let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) else { continue };
            let before = auths.len();
            auths.retain(|key, _| !same_host(key, domain));
            if auths.len() < before {
                write(file, &config)?;
                erased = true;
            }
        }
        Ok(erased)
    }
}

/// The key under which a registry's credentials are kept.
fn key_of(domain: &str) -> String {
    if registry_host(domain) == domain { domain.to_owned() } else { DOCKER_KEY.to_owned() }
}

/// The host and the path that a key names: `https://host/v2/` means `host`, `host/a` means one part of it.
fn place_of(key: &str) -> (&str, &str) {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    (host, if matches!(path, "v1" | "v2") { "" } else { path })
}

fn same_host(key: &str, domain: &str) -> bool {
    let host = place_of(key).0;
    let docker = |host: &str| matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    host == domain || (docker(host) && docker(domain))
}

fn find(config: &Map<String, Value>, domain: &str, path: &str) -> Result<Option<Credentials>> {
    if let Some(helper) = helper_for(config, domain)
        && let Some(found) = ask_helper(&helper, &key_of(domain))?
    {
        return Ok(Some(found));
    }
    // The old file has the entries at its top.
    let auths = match config.get("auths") {
        Some(auths) => auths.as_object(),
        None => Some(config),
    };
    let covers = |key: &str| {
        let below = place_of(key).1;
        same_host(key, domain)
            && (below.is_empty()
                || path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let entries = auths.into_iter().flatten().filter(|(key, _)| covers(key));
    match entries.max_by_key(|(key, _)| place_of(key).1.len()) {
        Some((key, entry)) => parse_entry(entry).with(|| format!("credentials of {key}")),
        None => Ok(None),
    }
}

fn parse_entry(entry: &Value) -> Result<Option<Credentials>> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::IdentityToken(token.to_owned())));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Ok(Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() }));
    }
    let Some(auth) = text("auth") else { return Ok(None) };
    let bytes = STANDARD.decode(auth.trim()).map_err(|_| Error::new("auth is not base64"))?;
    let plain = String::from_utf8(bytes).map_err(|_| Error::new("auth is not UTF-8"))?;
    match plain.split_once(':') {
        // Some programs write a NUL at the end.
        Some((user, password)) => {
            Ok(Some(Credentials::Basic { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() }))
        }
        None => bail!("auth has no colon between name and password"),
    }
}

/// The helper that a file names for a registry.
fn helper_for(config: &Map<String, Value>, domain: &str) -> Option<String> {
    let helpers = config.get("credHelpers").and_then(Value::as_object);
    let own = helpers.into_iter().flatten().find(|(key, _)| same_host(key, domain)).and_then(|(_, name)| name.as_str());
    let name = own.or_else(|| config.get("credsStore").and_then(Value::as_str));
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

fn ask_helper(helper: &str, key: &str) -> Result<Option<Credentials>> {
    let Some(answer) = run_helper(helper, "get", key)? else { return Ok(None) };
    let answer: Value =
        serde_json::from_str(&answer).with(|| format!("parse the answer of docker-credential-{helper}"))?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(match (text("Username"), text("Secret")) {
        (_, secret) if secret.is_empty() => None,
        (user, secret) if user == TOKEN_USER => Some(Credentials::IdentityToken(secret)),
        (user, password) => Some(Credentials::Basic { user, password }),
    })
}

/// What the helper prints; `None` where it knows nothing.
fn run_helper(helper: &str, verb: &str, input: &str) -> Result<Option<String>> {
    let name = format!("docker-credential-{helper}");
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        bail!("credential helper {helper:?}: not the end of a program's name");
    }
    let run = || -> Result<std::process::Output> {
        let mut command = Command::new(&name);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read its input is to say why by its exit code.
            let _ = stdin.write_all(input.as_bytes());
        }
        Ok(child.wait_with_output()?)
    };
    let output = run().with(|| format!("run {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(Some(text));
    }
    if verb != "store" && text.contains("credentials not found") {
        return Ok(None);
    }
    bail!("{name} {verb}: {}", if text.is_empty() { output.status.to_string() } else { text })
}

fn read(file: &Path) -> Result<Option<Map<String, Value>>> {
    match std::fs::read(file) {
        // An empty file is what `touch` leaves.
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => serde_json::from_slice(&bytes).with(|| format!("parse {}", file.display())).map(Some),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        // What another user's login left is not ours to use.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error).with(|| format!("read {}", file.display())),
    }
}

/// A link stays one; other people see nothing, also not for a moment.
fn write(file: &Path, config: &Map<String, Value>) -> Result<()> {
    let replace = || -> Result<()> {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let new = file.with_extension(format!("{}.new", std::process::id()));
        let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        out.write_all(&serde_json::to_vec_pretty(config)?)?;
        out.sync_all()?;
        std::fs::rename(&new, &file)?;
        Ok(())
    };
    replace().with(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn basic(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn keys_of_all_ages_are_found_and_the_closest_wins() {
        let entry = |text: &str| json!({"auth": STANDARD.encode(text)});
        let config = config(json!({"auths": {
            "https://index.docker.io/v1/": entry("hub:a:b"),
            "host:5000": entry("all:x"),
            "host:5000/team": entry("team:y"),
            "https://old.example/v2/": entry("old:z\0"),
            "token.example": {"auth": "", "identitytoken": "t"},
            "plain.example": {"username": "u", "password": "p"},
            "empty.example": {},
        }}));
        let find = |domain, path| find(&config, domain, path).unwrap();
        assert_eq!(find("docker.io", "library/debian"), basic("hub", "a:b"));
        assert_eq!(find("host:5000", "other/app"), basic("all", "x"));
        assert_eq!(find("host:5000", "team/app"), basic("team", "y"));
        assert_eq!(find("host:5000", "teams/app"), basic("all", "x"));
        assert_eq!(find("old.example", "x"), basic("old", "z"));
        assert_eq!(find("token.example", "x"), Some(Credentials::IdentityToken("t".to_owned())));
        assert_eq!(find("plain.example", "x"), basic("u", "p"));
        for domain in ["empty.example", "host", "host:50001", "evil-host:5000", "example"] {
            assert_eq!(find(domain, "x"), None, "{domain}");
        }
    }

    #[test]
    fn helpers_are_named_by_host_or_for_all() {
        let config = config(json!({"credHelpers": {"a.example": "own", "b.example": ""}, "credsStore": "all"}));
        assert_eq!(helper_for(&config, "a.example").as_deref(), Some("own"));
        assert_eq!(helper_for(&config, "b.example"), None);
        assert_eq!(helper_for(&config, "c.example").as_deref(), Some("all"));
        assert!(run_helper("../../bin/sh", "get", "").unwrap_err().to_string().contains("not the end"));
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", basic("user", "hunter2")).contains("hunter2"));
    }
}
