//! ADD of what is not here: files by their URL, git repositories.

use super::copy::Copier;
use super::execute::Executor;
use super::git::Access;
use super::http::{self, Answer, Known, Request};
use super::tree::Tree;
use super::unpack;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::digest::Digest;
use crate::image::dockerignore::Ignore;
use crate::image::plan::git::Git;
use crate::image::store::Pin;
use crate::sys::root::Root;
use crate::sys::tree::Time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// docker's, for what a server gives without a mode.
const MODE: u32 = 0o600;

/// What this build has asked for already.
#[derive(Default)]
pub struct Remotes {
    files: Mutex<BTreeMap<String, Got>>,
    commits: Mutex<BTreeMap<String, String>>,
}

#[derive(Debug, Clone)]
struct Got {
    known: Known,
    /// `None`: it is what it was the last time, and nobody has needed its bytes yet.
    path: Option<PathBuf>,
}

/// What the file at `url` is now; its bytes are fetched only where that cannot be known otherwise.
pub fn digest(executor: &Executor, url: &str) -> Result<Digest> {
    Ok(got(executor, url, false)?.known.digest)
}

fn got(executor: &Executor, url: &str, bytes: bool) -> Result<Got> {
    let mut files = executor.remotes.files.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(got) = files.get(url).filter(|got| !bytes || got.path.is_some()) {
        return Ok(got.clone());
    }
    let pin = Digest::of(format!("url {url}").as_bytes());
    let known = executor.store.pin(executor.lease, &pin)?.and_then(|pin| serde_json::from_value(pin.value).ok());
    let known: Option<Known> = known.filter(|known: &Known| !bytes && known.etag.is_some());
    let request = Request { url: url.to_owned(), authorization: authorization(executor, url)?, known: known.clone() };
    let path = executor.trees.directory("download")?.join("file");
    let answer = http::get_interruptibly(request, path.clone(), executor.interrupt)?;
    let got = match (answer, known) {
        (Answer::Unchanged, Some(known)) => Got { known, path: None },
        (Answer::Unchanged, None) => bail!("the server says that nothing has changed, which was not the question"),
        (Answer::New(known), _) => {
            let value = serde_json::to_value(&known).context("write pin")?;
            executor.store.set_pin(executor.lease, &pin, &Pin { holds: Vec::new(), value })?;
            Got { known, path: Some(path) }
        }
    };
    files.insert(url.to_owned(), got.clone());
    Ok(got)
}

/// docker's names for secrets that belong to a host.
fn authorization(executor: &Executor, url: &str) -> Result<Option<String>> {
    let host = http::host(url);
    let secret = |name: &str| super::mounts::secret_text(executor, &format!("{name}_{host}"));
    if let Some(value) = secret("HTTP_AUTH_HEADER")? {
        return Ok(Some(value));
    }
    Ok(secret("HTTP_AUTH_TOKEN")?.map(|token| format!("Bearer {token}")))
}

pub struct Url<'a> {
    pub url: &'a str,
    pub checksum: Option<&'a str>,
    pub unpack: bool,
}

pub fn add_url(executor: &Executor, source: &Url, copier: &Copier, to: &str) -> Result<()> {
    let got = got(executor, source.url, true)?;
    if let Some(wanted) = source.checksum
        && got.known.digest.as_str() != wanted
    {
        bail!("its digest is {}, not {wanted} as demanded", got.known.digest);
    }
    let Some(path) = &got.path else {
        bail!("not downloaded");
    };
    let mut file = File::open(path).context("open what was downloaded")?;
    if source.unpack && unpack::is_archive_file(file.try_clone().context("open")?)? {
        let file = File::open(path).context("open what was downloaded")?;
        return unpack::unpack_file(copier, file, to);
    }
    std::io::Seek::rewind(&mut file).context("rewind")?;
    let name = match http::file_name(source.url) {
        Some(name) => name,
        None if to.ends_with('/') => bail!("the URL has no file name, and {to} is a directory"),
        None => "download".to_owned(),
    };
    let time = Time { seconds: got.known.modified, nanoseconds: 0 };
    copier.file_from(&mut file, &name, to, MODE, Some(time))
}

fn access<'a>(executor: &'a Executor, git: &Git) -> Result<Access<'a>> {
    let secret = |name: &str| -> Result<Option<String>> {
        let host = http::host(&git.remote);
        let own = super::mounts::secret_text(executor, &format!("{name}.{host}"))?;
        if own.is_some() { Ok(own) } else { super::mounts::secret_text(executor, name) }
    };
    let authorization = match secret("GIT_AUTH_HEADER")? {
        Some(header) => Some(header),
        None => secret("GIT_AUTH_TOKEN")?
            .map(|token| format!("Basic {}", STANDARD.encode(format!("x-access-token:{token}")))),
    };
    let agent = executor.settings.agents.get("default").cloned();
    Ok(Access { agent, authorization, interrupt: Some(executor.interrupt) })
}

/// The commit that stands for the repository in the cache.
pub fn commit(executor: &Executor, git: &Git) -> Result<String> {
    let key = format!("{} {}", git.remote, git.reference.as_deref().unwrap_or_default());
    let mut commits = executor.remotes.commits.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(commit) = commits.get(&key) {
        return Ok(commit.clone());
    }
    let commit = access(executor, git)?.commit(git)?;
    commits.insert(key, commit.clone());
    Ok(commit)
}

pub fn add_git(executor: &Executor, git: &Git, copier: &mut Copier, to: &str, exclude: &Ignore) -> Result<()> {
    let commit = commit(executor, git)?;
    let access = access(executor, git)?;
    let directory = executor.trees.directory("git")?.join("tree");
    let time = access.check_out(git, &commit, &directory)?;
    let root = Root::open(&directory).context("open")?;
    let name = format!("repository {}", git.remote);
    let tree = Tree { root, ignore: Ignore::default(), anonymous: true, name };
    let source = git.directory.as_deref().unwrap_or_default().trim_start_matches('/');
    copier.plain = Some(time);
    let copied = copier.copy(&tree, Path::new(source), to, exclude);
    copier.plain = None;
    copied
}
