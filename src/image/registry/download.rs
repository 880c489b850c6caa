//! One blob from a registry, resumed where it broke off.

use super::answer::{header, refused};
use super::client::{Client, Response};
use super::progress::Bar;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::Descriptor;
use crate::image::digest::{Digest, Hasher};
use crate::image::store::Download;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Who gets so far between two failures has not failed for good.
const HEADWAY: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Fetch<'a> {
    pub(super) clients: &'a [Client],
    pub(super) retries: u32,
    pub(super) descriptor: &'a Descriptor,
    pub(super) bar: &'a Bar,
    /// Told of each byte that has come.
    pub(super) arrived: &'a (dyn Fn(u64) + Sync),
    /// Somebody else has failed; nobody wants it any more.
    pub(super) stop: &'a AtomicBool,
}

impl Fetch<'_> {
    /// Fetches what is missing and checks the whole; the caller publishes it.
    pub(super) fn run(&self, download: &mut Download) -> Result<()> {
        let resumed = download.have() > 0;
        let digest = self.all(download)?;
        if digest == self.descriptor.digest {
            return Ok(());
        }
        download.restart()?;
        if !resumed {
            bail!("digest is {digest}, the descriptor says {}", self.descriptor.digest);
        }
        // What another process left was damaged, by a power cut for instance.
        let digest = self.all(download)?;
        if digest != self.descriptor.digest {
            download.restart()?;
            bail!("digest is {digest}, the descriptor says {}", self.descriptor.digest);
        }
        Ok(())
    }

    fn all(&self, download: &mut Download) -> Result<Digest> {
        let mut hasher = download.hash()?;
        (self.arrived)(download.have());
        let (mut failures, mut mark) = (0, download.have());
        while download.have() < self.descriptor.size {
            let Err(error) = self.some(download, &mut hasher) else { continue };
            if download.have().saturating_sub(mark) >= HEADWAY {
                failures = 0;
            }
            mark = download.have();
            if failures >= self.retries || error.lasting {
                return Err(error.error);
            }
            std::thread::sleep(PAUSE * 2u32.saturating_pow(failures.min(7)));
            failures += 1;
        }
        Ok(hasher.into())
    }

    /// Goes on with one request.
    fn some(&self, download: &mut Download, hasher: &mut Hasher) -> std::result::Result<(), Failure> {
        let size = self.descriptor.size;
        let mut response = self.request(download.have()).map_err(Failure::lasting)?;
        let mut left = size - download.have();
        match (response.status().as_u16(), header(&response, "content-range")) {
            (206, Some(range)) if range.starts_with(&format!("bytes {}-", download.have())) => {}
            (206, range) => {
                let range = range.unwrap_or_default();
                return Err(Failure::lasting(Error::new(format!("asked for the rest, got {range:?}"))));
            }
            // The server has no ranges: what is here already comes once more.
            _ => left = size,
        }
        if let Some(length) = response.body().content_length().filter(|length| *length != left) {
            let error = Error::new(format!("{length} bytes are announced, the descriptor leaves {left}"));
            return Err(Failure::lasting(error));
        }
        let mut skip = left - (size - download.have());
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 256 << 10];
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::lasting(Error::new("stopped")));
            }
            let count = body.read(&mut buffer).map_err(|error| Failure::passing(error.into()))?;
            let bytes = &buffer[..count];
            if count == 0 {
                let have = download.have();
                let short = || Failure::passing(Error::new(format!("the body ends after {have} of {size} bytes")));
                return if have == size { Ok(()) } else { Err(short()) };
            }
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(count);
            skip -= skipped as u64;
            let bytes = &bytes[skipped..];
            if bytes.len() as u64 > size - download.have() {
                let error = Error::new(format!("more than the {size} bytes come that the descriptor says"));
                return Err(Failure::lasting(error));
            }
            hasher.update(bytes);
            download.append(bytes).map_err(Failure::lasting)?;
            self.bar.at(download.have());
            (self.arrived)(download.have());
        }
    }

    /// The first endpoint that has the blob.
    fn request(&self, from: u64) -> Result<Response> {
        let mut refusal = None;
        for client in self.clients {
            let mut headers = vec![("Accept", "*/*".to_owned())];
            if from > 0 {
                headers.push(("Range", format!("bytes={from}-")));
            }
            let uri = client.in_repository(&format!("blobs/{}", self.descriptor.digest))?;
            match client.get(uri.clone(), headers) {
                Ok(response) if matches!(response.status().as_u16(), 200 | 206) => return Ok(response),
                Ok(mut response) => refusal = Some(refused(&mut response).context(format!("GET {uri}"))),
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::new("no registry to ask"))).context("fetch")
    }
}

struct Failure {
    error: Error,
    lasting: bool,
}

impl Failure {
    fn lasting(error: Error) -> Failure {
        Failure { error, lasting: true }
    }

    fn passing(error: Error) -> Failure {
        Failure { error, lasting: false }
    }
}
