//! An image of the store goes to a registry: its blobs, where they are not there yet, then the manifest.

use super::answer::{header, refused};
use super::client::{Call, Client, Payload, Response, escape, join};
use super::compress::Compressor;
use super::progress::{Bar, Progress};
use super::{Options, client::Origin};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::{Descriptor, MANIFEST_BYTES_MAX, media_type};
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::image::store::{Blob, Hashed, Image, Lease, Store};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use ureq::http::{Method, Uri};

#[derive(Debug)]
pub struct Pushed {
    /// Of the manifest in the registry.
    pub digest: Digest,
    pub size: u64,
}

pub fn push(
    store: &Store,
    lease: &Lease,
    image: &Image,
    name: &Reference,
    compressor: Compressor,
    options: &Options,
    progress: &Progress,
) -> Result<Pushed> {
    let run = || -> Result<Pushed> {
        if name.digest().is_some() {
            bail!("a digest is what a push gives; name a tag");
        }
        store.hold_image(lease, image)?;
        // The registry itself: mirrors are for pulling.
        let Some(client) = Client::all(name, options)?.into_iter().rfind(|client| client.endpoint.can_push) else {
            bail!("no registry takes it");
        };
        let relatives = store.images()?.0;
        let pushing =
            Pushing { store, lease, client: &client, name, relatives: &relatives, compressor, options, progress };
        let layers = pushing.layers(image)?;
        pushing.config(image)?;
        let (bytes, kind) = if layers == image.manifest.layers {
            let bytes = store.read_blob(&image.descriptor, MANIFEST_BYTES_MAX)?;
            (bytes, image.descriptor.media_type.clone())
        } else {
            let mut manifest = image.manifest.clone();
            manifest.layers = layers;
            (serde_json::to_vec(&manifest).context("write manifest")?, image.descriptor.media_type.clone())
        };
        pushing.manifest(&bytes, &kind)?;
        Ok(Pushed { digest: Digest::of(&bytes), size: bytes.len() as u64 })
    };
    run().with(|| format!("push {name}"))
}

struct Pushing<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    client: &'a Client,
    name: &'a Reference,
    /// Other images of the store: their repositories may have our blobs.
    relatives: &'a [Image],
    compressor: Compressor,
    options: &'a Options,
    progress: &'a Progress,
}

/// A blob that can be read as often as it takes.
struct Content<'a> {
    descriptor: Descriptor,
    file: File,
    /// Compressed for this push alone, and gone with it.
    _scratch: Option<Blob<'a>>,
}

impl Pushing<'_> {
    /// The layers' descriptors as the registry has them.
    fn layers(&self, image: &Image) -> Result<Vec<Descriptor>> {
        let mut distinct: Vec<&Descriptor> = Vec::new();
        for layer in &image.manifest.layers {
            if !distinct.iter().any(|known| known.digest == layer.digest) {
                distinct.push(layer);
            }
        }
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(Digest, Result<Descriptor>)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, distinct.len().max(1)) {
                scope.spawn(|| {
                    while let Some(layer) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let pushed = self.layer(layer).with(|| format!("layer {}", layer.digest));
                        let failed = pushed.is_err();
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((layer.digest.clone(), pushed));
                        if failed {
                            next.store(distinct.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let mut pushed = Vec::new();
        for (digest, descriptor) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            pushed.push((digest, descriptor?));
        }
        let of = |layer: &Descriptor| match pushed.iter().find(|(digest, _)| *digest == layer.digest) {
            Some((_, descriptor)) => Ok(descriptor.clone()),
            None => Err(Error::new(format!("layer {}: not pushed", layer.digest))),
        };
        image.manifest.layers.iter().map(of).collect()
    }

    fn layer(&self, layer: &Descriptor) -> Result<Descriptor> {
        let short = layer.digest.short();
        let is_plain = matches!(layer.media_type.as_str(), media_type::LAYER | media_type::DOCKER_LAYER);
        let compress = is_plain && self.compressor != Compressor::None;
        if !compress && self.there(&layer.digest)? {
            self.progress.skip(short, "Layer already exists");
            return Ok(layer.clone());
        }
        let bar = self.progress.begin(short, if compress { "Compressing" } else { "Pushing" }, layer.size);
        let file = self.store.open_blob(&layer.digest)?;
        let content = if compress {
            self.compress(layer, file, &bar)?
        } else {
            Content { descriptor: layer.clone(), file, _scratch: None }
        };
        if compress && self.there(&content.descriptor.digest)? {
            bar.done("Layer already exists");
            return Ok(content.descriptor);
        }
        bar.doing("Pushing");
        let sources = self.repositories_with(&layer.digest);
        match self.upload(&content, sources.first().map(String::as_str), &bar)? {
            Some(from) => bar.done(&format!("Mounted from {from}")),
            None => bar.done("Pushed"),
        }
        Ok(content.descriptor)
    }

    fn compress(&self, layer: &Descriptor, mut file: File, bar: &Bar) -> Result<Content<'_>> {
        let mut out = Hashed::new(self.store.new_blob(self.lease)?);
        let mut at = 0;
        let mut source = Counted {
            inner: &mut file,
            count: |bytes| {
                at += bytes;
                bar.at(at);
            },
        };
        self.compressor.copy(&mut source, &mut out)?;
        let (blob, digest, size) = out.finish();
        let mut descriptor = layer.clone();
        (descriptor.digest, descriptor.size) = (digest, size);
        descriptor.media_type = match (layer.media_type.as_str(), self.compressor) {
            (media_type::DOCKER_LAYER, Compressor::Gzip) => media_type::DOCKER_LAYER_GZIP.to_owned(),
            _ => self.compressor.media_type().to_owned(),
        };
        Ok(Content { descriptor, file: blob.reader()?, _scratch: Some(blob) })
    }

    /// Repositories of the same registry that are known to have a blob.
    fn repositories_with(&self, digest: &Digest) -> Vec<String> {
        let having = self.relatives.iter().filter(|image| image.manifest.layers.iter().any(|l| l.digest == *digest));
        let names = having.flat_map(|image| &image.names).filter(|name| name.domain() == self.name.domain());
        let mut paths: Vec<String> =
            names.map(|name| name.path().to_owned()).filter(|path| path != self.name.path()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    fn there(&self, digest: &Digest) -> Result<bool> {
        let uri = self.client.in_repository(&format!("blobs/{digest}"))?;
        Ok(self.client.head(uri, Vec::new(), "pull,push")?.status().is_success())
    }

    fn config(&self, image: &Image) -> Result<()> {
        let descriptor = image.manifest.config.clone();
        if self.there(&descriptor.digest)? {
            return Ok(());
        }
        let bar = self.progress.begin("config", "Pushing", descriptor.size);
        let file = self.store.open_blob(&descriptor.digest)?;
        self.upload(&Content { descriptor, file, _scratch: None }, None, &bar).context("configuration")?;
        bar.done("Pushed");
        Ok(())
    }

    fn call<'a>(&self, method: Method, uri: Uri, payload: Payload<'a>) -> Call<'a> {
        let headers = vec![("Content-Type", "application/octet-stream".to_owned())];
        Call { method, uri, headers, payload, scopes: vec![self.client.scope("pull,push")], repeat: true }
    }

    /// Uploads a blob, or has it mounted; from where.
    fn upload(&self, content: &Content, from: Option<&str>, bar: &Bar) -> Result<Option<String>> {
        let mut tries = 0;
        loop {
            let session = match self.begin(&content.descriptor.digest, from)? {
                Begun::Mounted => return Ok(from.map(str::to_owned)),
                Begun::Session(session) => session,
            };
            match self.fill(content, session, bar) {
                Ok(()) => return Ok(None),
                Err(error) if tries >= self.options.retries => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }

    fn begin(&self, digest: &Digest, from: Option<&str>) -> Result<Begun> {
        let query = from.map(|from| format!("?mount={}&from={}", escape(digest.as_str()), escape(from)));
        let uri = self.client.in_repository(&format!("blobs/uploads/{}", query.unwrap_or_default()))?;
        let mut call = self.call(Method::POST, uri, Payload::Bytes(&[]));
        call.scopes.extend(from.map(|from| format!("repository:{from}:pull")));
        let mut response = self.client.send(&call)?;
        match response.status().as_u16() {
            201 if from.is_some() => Ok(Begun::Mounted),
            202 => Ok(Begun::Session(location(&call.uri, &response)?)),
            _ => Err(refused(&mut response)).context("begin an upload"),
        }
    }

    /// Everything in one request; what a failure leaves open is asked for and sent in pieces.
    fn fill(&self, content: &Content, session: Uri, bar: &Bar) -> Result<()> {
        let Descriptor { digest, size, .. } = &content.descriptor;
        let open = || content.reader(0, bar);
        let closing = with_digest(&session, digest)?;
        let mut call = self.call(Method::PUT, closing, Payload::Stream(&open, *size));
        call.repeat = false;
        let failure = match self.client.send(&call) {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(mut response) => refused(&mut response),
            Err(error) => error,
        };
        match self.resume(content, session, bar) {
            Ok(true) => Ok(()),
            // The first failure is the one to tell.
            _ => Err(failure).context("upload"),
        }
    }

    /// Goes on with what the registry says that it has; `false`: it has nothing.
    fn resume(&self, content: &Content, mut session: Uri, bar: &Bar) -> Result<bool> {
        let Descriptor { digest, size, .. } = &content.descriptor;
        let response = self.client.send(&self.call(Method::GET, session.clone(), Payload::None))?;
        let have = match (response.status().as_u16(), header(&response, "range")) {
            (204, Some(range)) => end_of(&range).unwrap_or(0),
            _ => 0,
        };
        if have == 0 || have > *size {
            return Ok(false);
        }
        if have < *size {
            let open = || content.reader(have, bar);
            let mut call = self.call(Method::PATCH, session.clone(), Payload::Stream(&open, size - have));
            call.headers.push(("Content-Range", format!("{have}-{}", size - 1)));
            call.repeat = false;
            let mut response = self.client.send(&call)?;
            if response.status().as_u16() != 202 {
                return Err(refused(&mut response)).context("go on with an upload");
            }
            session = location(&call.uri, &response)?;
        }
        let call = self.call(Method::PUT, with_digest(&session, digest)?, Payload::Bytes(&[]));
        let mut response = self.client.send(&call)?;
        if !response.status().is_success() {
            return Err(refused(&mut response)).context("end an upload");
        }
        Ok(true)
    }

    fn manifest(&self, bytes: &[u8], kind: &str) -> Result<()> {
        let uri = self.client.in_repository(&format!("manifests/{}", self.name.tag().unwrap_or("latest")))?;
        let mut call = self.call(Method::PUT, uri, Payload::Bytes(bytes));
        call.headers = vec![("Content-Type", kind.to_owned())];
        let mut response = self.client.send(&call)?;
        if !response.status().is_success() {
            return Err(refused(&mut response)).context("manifest");
        }
        match header(&response, "docker-content-digest") {
            Some(digest) if digest != Digest::of(bytes).as_str() => {
                bail!("manifest: the registry says {digest}, it is {}", Digest::of(bytes))
            }
            _ => Ok(()),
        }
    }
}

enum Begun {
    Mounted,
    Session(Uri),
}

impl Content<'_> {
    fn reader<'a>(&'a self, from: u64, bar: &'a Bar) -> Result<Box<dyn Read + 'a>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(from)).context("seek in blob")?;
        let mut at = from;
        let count = move |bytes| {
            at += bytes;
            bar.at(at);
        };
        Ok(Box::new(Counted { inner: file, count }))
    }
}

struct Counted<R, F> {
    inner: R,
    count: F,
}

impl<R: Read, F: FnMut(u64)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.count)(count as u64);
        Ok(count)
    }
}

/// Where an upload goes on. Credentials do not follow to another host; see [`Client`].
fn location(uri: &Uri, response: &Response) -> Result<Uri> {
    let Some(location) = header(response, "location") else { bail!("the registry does not say where to upload to") };
    let next = join(uri, &location)?;
    if Origin::of(uri)?.secure && !Origin::of(&next)?.secure {
        bail!("upload to {next}, without TLS");
    }
    Ok(next)
}

fn with_digest(session: &Uri, digest: &Digest) -> Result<Uri> {
    let separator = if session.query().is_some() { '&' } else { '?' };
    let text = format!("{session}{separator}digest={}", escape(digest.as_str()));
    text.parse().map_err(|_| Error::new(format!("upload to {text:?}: not a URL")))
}

/// `0-99` and `bytes=0-99`: a hundred bytes.
fn end_of(range: &str) -> Option<u64> {
    let (start, end) = range.trim_start_matches("bytes=").split_once('-')?;
    if start != "0" {
        return None;
    }
    end.parse::<u64>().ok().filter(|end| *end > 0)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_has_of_an_upload_is_read() {
        assert_eq!(end_of("0-99"), Some(100));
        assert_eq!(end_of("bytes=0-99"), Some(100));
        for range in ["0-0", "1-5", "", "0", "0-x", "0-18446744073709551615"] {
            assert_eq!(end_of(range), None, "{range}");
        }
    }
}
