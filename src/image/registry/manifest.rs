//! What a name in a registry leads to: a manifest or an index, and the small document that a manifest is about.

use super::answer::{header, read_document, refused};
use super::client::Client;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::{Descriptor, Document, MANIFEST_BYTES_MAX, media_type};
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::image::store::Lease;
use ureq::http::StatusCode;

/// A manifest or an index, with the bytes that its digest is of.
pub(super) struct Found {
    pub(super) descriptor: Descriptor,
    pub(super) document: Document,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn accept() -> Vec<(&'static str, String)> {
    use media_type::{DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST};
    vec![("Accept", [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", "))]
}

/// Asks the endpoints for the name, and gives those on that may have the rest: the first one that knows it and all after.
pub(super) fn resolve(mut clients: Vec<Client>, name: &Reference) -> Result<(Found, Vec<Client>)> {
    let tag = match name.digest() {
        Some(digest) => digest.as_str(),
        None => name.tag().unwrap_or("latest"),
    };
    let mut failure = None;
    while !clients.is_empty() {
        match fetch_manifest(&clients[0], tag, name.digest()) {
            Ok(found) => return Ok((found, clients)),
            // A mirror that cannot help is no reason to fail.
            Err(error) => failure = Some(error),
        }
        clients.remove(0);
    }
    Err(failure.unwrap_or_else(|| Error::new("no registry to ask")))
}

pub(super) fn fetch_manifest(client: &Client, tag: &str, digest: Option<&Digest>) -> Result<Found> {
    let uri = client.in_repository(&format!("manifests/{tag}"))?;
    let mut response = client.get(uri.clone(), accept())?;
    if response.status() != StatusCode::OK {
        return Err(refused(&mut response)).with(|| format!("GET {uri}"));
    }
    let read = || -> Result<Found> {
        let kind = header(&response, "content-type").unwrap_or_default();
        let bytes = read_document(&mut response, MANIFEST_BYTES_MAX)?;
        let own = Digest::of(&bytes);
        if let Some(digest) = digest.filter(|digest| **digest != own) {
            bail!("digest is {own}, asked for {digest}");
        }
        let kind = media_type_of(&kind, &bytes)?;
        let document = Document::parse(&kind, &bytes)?;
        Ok(Found { descriptor: Descriptor::new(kind, own, bytes.len() as u64), document, bytes })
    };
    let mut read = read;
    read().with(|| format!("manifest {tag}"))
}

/// What a manifest is: the header says it, or, where that is too general, the document.
fn media_type_of(header: &str, bytes: &[u8]) -> Result<String> {
    let known = |kind: &str| media_type::is_manifest(kind) || media_type::is_index(kind);
    let kind = header.split(';').next().unwrap_or_default().trim().to_owned();
    if known(&kind) {
        return Ok(kind);
    }
    if kind.starts_with("application/vnd.docker.distribution.manifest.v1") {
        bail!("it is an image of docker's schema 1, which is too old");
    }
    let inside: serde_json::Value = serde_json::from_slice(bytes).context("parse manifest")?;
    match inside["mediaType"].as_str().filter(|inside| known(inside)) {
        Some(inside) => Ok(inside.to_owned()),
        None => bail!("media type {kind:?} is neither that of an image nor of an index"),
    }
}

/// A blob that is read as a whole, kept.
pub(super) fn fetch_small(clients: &[Client], lease: &Lease, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
    if descriptor.size > limit {
        bail!("{} bytes are more than the limit of {limit}", descriptor.size);
    }
    lease.hold(&descriptor.digest)?;
    if let Ok(bytes) = lease.store().read_blob(descriptor, limit) {
        return Ok(bytes);
    }
    let bytes = fetch(clients, descriptor)?;
    if bytes.len() as u64 != descriptor.size || Digest::of(&bytes) != descriptor.digest {
        bail!("what came is something else");
    }
    lease.store().put_blob(lease, &descriptor.media_type, &bytes)?;
    Ok(bytes)
}

fn fetch(clients: &[Client], descriptor: &Descriptor) -> Result<Vec<u8>> {
    let mut failure = Error::new("no registry to ask");
    for client in clients {
        let uri = client.in_repository(&format!("blobs/{}", descriptor.digest))?;
        match client.get(uri.clone(), vec![("Accept", "*/*".to_owned())]) {
            Ok(mut response) if response.status() == StatusCode::OK => {
                return read_document(&mut response, descriptor.size);
            }
            Ok(mut response) => failure = refused(&mut response).context(format!("GET {uri}")),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_it_is_where_the_header_does_not() {
        let inside = format!(r#"{{"mediaType":"{}"}}"#, media_type::INDEX);
        assert_eq!(media_type_of("application/json", inside.as_bytes()).unwrap(), media_type::INDEX);
        let with_charset = format!("{}; charset=utf-8", media_type::MANIFEST);
        assert_eq!(media_type_of(&with_charset, b"{}").unwrap(), media_type::MANIFEST);
        assert!(media_type_of("text/html", b"{}").is_err());
        let old = media_type_of("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}").unwrap_err();
        assert!(old.to_string().contains("schema 1"));
    }
}
