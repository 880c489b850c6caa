//! Files by their URL.

use super::interrupt::Interrupt;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::digest::Digest;
use crate::image::store::Hashed;
use crate::image::time;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Servers that say nothing for so long have nothing to say.
const PATIENCE: Duration = Duration::from_secs(60);
const BUFFER: usize = 256 << 10;

/// What a server has said of a file, so that it can be asked whether that is still so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Known {
    pub digest: Digest,
    /// Last-Modified, seconds since 1970; 0 where the server does not say.
    pub modified: i64,
    pub etag: Option<String>,
}

pub enum Answer {
    /// It is in the file that was asked for.
    New(Known),
    Unchanged,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub url: String,
    /// `Authorization`; another host that the server sends us to does not get it.
    pub authorization: Option<String>,
    pub known: Option<Known>,
}

/// Downloads into a new file, or finds that it is not necessary.
pub fn get(request: &Request, file: &Path) -> Result<Answer> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("forno/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        // The bytes of the file, not what a server makes of them on the way.
        .accept_encoding("identity")
        .build()
        .new_agent();
    let mut call = agent.get(&request.url);
    if let Some(value) = &request.authorization {
        call = call.header("authorization", value);
    }
    if let Some(etag) = request.known.as_ref().and_then(|known| known.etag.as_ref()) {
        call = call.header("if-none-match", etag);
    }
    let mut response = call.call().map_err(|error| Error::new(error.to_string()))?;
    let status = response.status();
    if status.as_u16() == 304 && request.known.is_some() {
        return Ok(Answer::Unchanged);
    }
    if !status.is_success() {
        bail!("the server says {status}");
    }
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let modified = header("last-modified").as_deref().and_then(time::parse_http_date).unwrap_or(0);
    let etag = header("etag");
    let out = File::create_new(file).with(|| format!("create {}", file.display()))?;
    let mut out = Hashed::new(out);
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = body.read(&mut buffer).context("download")?;
        match buffer.get(..count) {
            Some(bytes) if !bytes.is_empty() => out.write_all(bytes).with(|| format!("write {}", file.display()))?,
            _ => break,
        }
    }
    let (_, digest, _) = out.finish();
    Ok(Answer::New(Known { digest, modified, etag }))
}

/// The same, but whoever wants us to stop need not wait for the server.
pub fn get_interruptibly(request: Request, file: PathBuf, interrupt: &Interrupt) -> Result<Answer> {
    let (end, begin) = std::io::pipe().context("make a pipe")?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Nobody may be listening any more.
        let _ = tell.send(get(&request, &file));
        drop(begin);
    });
    if !interrupt.wait(end.as_fd())? {
        return Err(interrupt.error());
    }
    match told.recv() {
        Ok(answer) => answer,
        Err(_) => bail!("download: ended without an answer"),
    }
}

/// The last part of the path, as a name that a file can have.
pub fn file_name(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    let (_, path) = rest.split_once('/')?;
    let path = decoded(path)?;
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    let good = !matches!(name, "" | "." | "..") && !name.contains('\0');
    good.then(|| name.to_owned())
}

/// `%41` is A.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The host, as the names of secrets have it.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        for (url, name) in [
            ("http://h/a/b.txt", Some("b.txt")),
            ("https://h/a/b.txt?x=/y#/z", Some("b.txt")),
            ("http://h/a/b/", Some("b")),
            ("http://h/a%20b", Some("a b")),
            ("http://h/x%2F..", None),
            ("http://h/..", None),
            ("http://h/%00", None),
            ("http://h/", None),
            ("http://h", None),
            ("http://h/%zz", None),
        ] {
            assert_eq!(file_name(url).as_deref(), name, "{url}");
        }
        assert_eq!((host("http://u:p@h:80/x"), host("https://h?x")), ("h:80", "h"));
    }
}
