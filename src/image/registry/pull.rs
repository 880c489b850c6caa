//! A name in a registry becomes an image in the store. Blobs are fetched in parallel, and a layer is laid out while it
//! comes, as soon as those below it are.

use super::Options;
use super::answer::header;
use super::client::Client;
use super::download::Fetch;
use super::manifest::{Found, accept, fetch_manifest, fetch_small, resolve};
use super::progress::{Bar, Progress};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::{CONFIG_BYTES_MAX, Descriptor, Document, INDEX_DIGEST, Index, MANIFEST_BYTES_MAX};
use crate::image::config::{ImageConfig, Manifest, Platform, media_type};
use crate::image::digest::Digest;
use crate::image::layer::Limits;
use crate::image::plan::platform;
use crate::image::reference::Reference;
use crate::image::store::{Growing, Image, Lease, Store};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use ureq::http::StatusCode;

#[derive(Debug)]
pub struct Pulled {
    pub image: Image,
    /// What the name led to: the manifest, or the index that it is in.
    pub digest: Digest,
    /// Whether the name stood for something else before.
    pub new: bool,
}

/// What is pulled, and how much of it.
pub struct Wanted<'a> {
    pub name: &'a Reference,
    /// `None`: the one for this machine, or the only one that there is.
    pub platform: Option<&'a Platform>,
    pub limits: Limits,
}

pub fn pull(store: &Store, lease: &Lease, wanted: &Wanted, options: &Options, progress: &Progress) -> Result<Pulled> {
    let run = || -> Result<Pulled> {
        let clients = Client::all(wanted.name, options)?;
        if let Some(pulled) = unchanged(store, lease, wanted, &clients)? {
            return Ok(pulled);
        }
        let (first, clients) = resolve(clients, wanted.name)?;
        let digest = first.descriptor.digest.clone();
        let (mut descriptor, manifest) = choose(&clients, lease, first, wanted)?;
        let config = fetch_config(&clients, lease, &manifest)?;
        check(&manifest, &config, wanted)?;
        let pulling = Pulling { store, lease, clients: &clients, options, progress, limits: wanted.limits };
        let native = config.os == "linux" && config.architecture == platform::host().architecture;
        pulling.layers(&manifest, &config, native)?;
        if digest != descriptor.digest {
            descriptor.annotations.insert(INDEX_DIGEST.to_owned(), digest.to_string());
        }
        let name = match wanted.name.digest() {
            Some(digest) => wanted.name.at(digest.clone()),
            None => wanted.name.clone(),
        };
        store.enter(lease, &descriptor, Some(&name))?;
        let names = store.names_of(&descriptor.digest)?;
        Ok(Pulled { image: Image { names, descriptor, manifest, config }, digest, new: true })
    };
    run().with(|| format!("pull {}", wanted.name))
}

/// The image that has the name already, where it is the one that the registry has under it. Asking for its digest alone
/// counts nowhere as a pull.
fn unchanged(store: &Store, lease: &Lease, wanted: &Wanted, clients: &[Client]) -> Result<Option<Pulled>> {
    let Ok(image) = store.find_named(wanted.name) else { return Ok(None) };
    let platform = wanted.platform.cloned().unwrap_or_else(platform::host);
    // Which of several variants it was, nobody has written down.
    let other = (&image.config.os, &image.config.architecture) != (&platform.os, &platform.architecture);
    if other || platform.variant.is_some() {
        return Ok(None);
    }
    store.hold_image(lease, &image)?;
    let known = image.source();
    if let Some(digest) = wanted.name.digest() {
        let is_it = *digest == known || *digest == image.descriptor.digest;
        return Ok(is_it.then(|| Pulled { image, digest: digest.clone(), new: false }));
    }
    for client in clients {
        let uri = client.in_repository(&format!("manifests/{}", wanted.name.tag().unwrap_or_default()))?;
        if let Ok(response) = client.head(uri, accept(), "pull")
            && response.status() == StatusCode::OK
        {
            let same = header(&response, "docker-content-digest").is_some_and(|digest| digest == known.as_str());
            return Ok(same.then_some(Pulled { image, digest: known, new: false }));
        }
    }
    Ok(None)
}

/// The manifest for the platform, kept; `Found` itself where there is no choice.
fn choose(clients: &[Client], lease: &Lease, found: Found, wanted: &Wanted) -> Result<(Descriptor, Manifest)> {
    let found = match found.document {
        Document::Manifest(_) => found,
        Document::Index(index) => {
            let entry = for_platform(&index, &wanted.platform.cloned().unwrap_or_else(platform::host))?;
            if entry.size > MANIFEST_BYTES_MAX {
                bail!("manifest {}: {} bytes are too many", entry.digest, entry.size);
            }
            let (mut failure, mut found) = (None, None);
            for client in clients {
                match fetch_manifest(client, entry.digest.as_str(), Some(&entry.digest)) {
                    Ok(manifest) => {
                        found = Some(manifest);
                        break;
                    }
                    Err(error) => failure = Some(error),
                }
            }
            let Some(found) = found else {
                return Err(failure.unwrap_or_else(|| Error::new("no registry to ask")));
            };
            if found.descriptor.size != entry.size || found.descriptor.media_type != entry.media_type {
                bail!("manifest {}: it is not what the index says of it", entry.digest);
            }
            found
        }
    };
    let Document::Manifest(manifest) = found.document else { bail!("an index in an index") };
    let descriptor = lease.store().put_blob(lease, &found.descriptor.media_type, &found.bytes)?;
    Ok((descriptor, manifest))
}

/// The entry of an index that suits best.
fn for_platform(index: &Index, wanted: &Platform) -> Result<Descriptor> {
    let images = || index.manifests.iter().filter(|entry| media_type::is_manifest(&entry.media_type));
    let fit = |entry: &&Descriptor| entry.platform.as_ref().and_then(|offered| fitness(offered, wanted));
    if let Some(entry) = images().filter(|entry| fit(entry).is_some()).min_by_key(|entry| fit(entry)) {
        return Ok(entry.clone());
    }
    if let Some(entry) = images().find(|entry| entry.platform.is_none()) {
        return Ok(entry.clone());
    }
    let offered: Vec<String> = images()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|offered| offered.os != "unknown")
        .map(platform::format)
        .collect();
    bail!("no image for {}; there are those for {}", platform::format(wanted), offered.join(", "))
}

/// How far what is offered is from what is wanted; `None`: it does not run there.
fn fitness(offered: &Platform, wanted: &Platform) -> Option<u32> {
    if (&offered.os, &offered.architecture) != (&wanted.os, &wanted.architecture) {
        return None;
    }
    // The variant that the name alone means.
    let usual = match wanted.architecture.as_str() {
        "arm" => 7,
        "arm64" => 8,
        "amd64" => 1,
        _ => 0,
    };
    let level = |platform: &Platform| match platform.variant.as_deref().unwrap_or_default() {
        "" => Some(usual),
        variant => variant.trim_start_matches('v').parse::<u32>().ok(),
    };
    match (level(offered), level(wanted)) {
        // An older variant runs on a newer one.
        (Some(offered), Some(wanted)) => wanted.checked_sub(offered),
        _ => (offered.variant == wanted.variant).then_some(0),
    }
}

fn fetch_config(clients: &[Client], lease: &Lease, manifest: &Manifest) -> Result<ImageConfig> {
    let descriptor = &manifest.config;
    let read = || -> Result<ImageConfig> {
        if !matches!(descriptor.media_type.as_str(), media_type::CONFIG | media_type::DOCKER_CONFIG) {
            bail!("it is a {}, which makes this something else than an image", descriptor.media_type);
        }
        ImageConfig::parse(&fetch_small(clients, lease, descriptor, CONFIG_BYTES_MAX)?)
    };
    read().with(|| format!("configuration {}", descriptor.digest))
}

fn check(manifest: &Manifest, config: &ImageConfig, wanted: &Wanted) -> Result<()> {
    for layer in &manifest.layers {
        if !media_type::is_layer(&layer.media_type) {
            bail!("layer {}: media type {:?} cannot be read", layer.digest, layer.media_type);
        }
    }
    let (blobs, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if blobs != diff_ids {
        bail!("the configuration has {diff_ids} layers, the manifest {blobs}");
    }
    if let Some(wanted) = wanted.platform
        && (&config.os, &config.architecture) != (&wanted.os, &wanted.architecture)
    {
        bail!("the image is for {}/{}, not for {}", config.os, config.architecture, platform::format(wanted));
    }
    Ok(())
}

struct Pulling<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    clients: &'a [Client],
    options: &'a Options,
    progress: &'a Progress,
    limits: Limits,
}

/// What is known of a blob on its way.
#[derive(Default)]
struct Way {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    have: u64,
    /// To be read while it grows; not where it began in another process, and may yet turn out to be damaged.
    file: Option<File>,
    /// Whether it is here, or never will be.
    end: Option<bool>,
    bar: Option<Bar>,
}

impl Way {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn until<T>(&self, ready: impl Fn(&State) -> Option<T>) -> T {
        let mut state = self.state();
        loop {
            match ready(&state) {
                Some(value) => return value,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Its bytes, as they come.
    fn open(&self, store: &Store, digest: &Digest) -> Result<Box<dyn Read + Send + '_>> {
        let ready = |state: &State| match (&state.file, state.end) {
            (_, Some(true)) => Some(Ok(None)),
            (_, Some(false)) => Some(Err(Error::new("it did not come"))),
            (Some(file), None) => Some(file.try_clone().context("share download").map(Some)),
            (None, None) => None,
        };
        let Some(file) = self.until(ready)? else { return Ok(Box::new(store.open_blob(digest)?)) };
        let wait = |at: u64| {
            self.until(|state| match state.end {
                _ if state.have > at => Some(Ok(Some(state.have))),
                Some(true) => Some(Ok(None)),
                Some(false) => Some(Err(io::Error::other("it did not come"))),
                None => None,
            })
        };
        Ok(Box::new(Growing::new(file, wait)))
    }
}

impl Pulling<'_> {
    fn layers(&self, manifest: &Manifest, config: &ImageConfig, unpack: bool) -> Result<()> {
        let mut blobs: Vec<&Descriptor> = Vec::new();
        let mut ways: BTreeMap<&Digest, Way> = BTreeMap::new();
        for layer in &manifest.layers {
            if ways.insert(&layer.digest, Way::default()).is_none() {
                blobs.push(layer);
            }
        }
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some(way) = ways.get(&blob.digest) else { continue };
                let fetched = self.fetch(blob, way, &stop).with(|| format!("layer {}", blob.digest));
                way.change(|state| state.end = Some(fetched.is_ok()));
                if let Err(error) = fetched {
                    // What follows from the first failure is not worth telling.
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        };
        let unpacked = std::thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, blobs.len().max(1)) {
                scope.spawn(work);
            }
            let unpacked = if unpack { self.unpack(manifest, config, &ways) } else { Ok(()) };
            if unpacked.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            unpacked
        });
        match (failure.into_inner().unwrap_or_else(PoisonError::into_inner), unpacked) {
            (Some(error), Ok(())) => Err(error),
            // Whoever stopped the others first is the cause.
            (Some(error), Err(unpacking)) => {
                let stopped = error.to_string().ends_with(": stopped");
                Err(if stopped { unpacking } else { error })
            }
            (None, unpacked) => unpacked,
        }
    }

    fn fetch(&self, blob: &Descriptor, way: &Way, stop: &AtomicBool) -> Result<()> {
        if stop.load(Ordering::Relaxed) {
            bail!("stopped");
        }
        let short = blob.digest.short();
        let Some(mut download) = self.store.download(self.lease, blob)? else {
            self.progress.skip(short, "Already exists");
            return Ok(());
        };
        let bar = self.progress.begin(short, "Downloading", blob.size);
        let file = if download.have() == 0 { Some(download.reader()?) } else { None };
        way.change(|state| (state.file, state.bar) = (file, Some(bar.clone())));
        let arrived = |have| way.change(|state| state.have = have);
        let (clients, retries) = (self.clients, self.options.retries);
        let fetch = Fetch { clients, retries, descriptor: blob, bar: &bar, arrived: &arrived, stop };
        fetch.run(&mut download)?;
        download.publish(self.store, &blob.digest)?;
        bar.done("Download complete");
        Ok(())
    }

    fn unpack(&self, manifest: &Manifest, config: &ImageConfig, ways: &BTreeMap<&Digest, Way>) -> Result<()> {
        let chain = config.chain_ids();
        for chain_id in &chain {
            self.lease.hold(chain_id)?;
        }
        for (at, (layer, diff_id)) in manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate() {
            let Some(way) = ways.get(&layer.digest) else { continue };
            let open = || way.open(self.store, &layer.digest);
            let below = chain.get(..=at).unwrap_or_default();
            let done = self.store.unpack_layer(self.lease, (layer, diff_id), below, open, self.limits)?;
            for warning in done.iter().flat_map(|done| &done.warnings) {
                self.progress.say(&format!("warning: layer {}: {warning}", layer.digest.short()));
            }
            if done.is_some() {
                let bar = way.state().bar.clone();
                match bar {
                    Some(bar) => bar.done("Pull complete"),
                    None => self.progress.skip(layer.digest.short(), "Pull complete"),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::config::Annotations;

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let mut entry = Descriptor::new(media_type::MANIFEST, Digest::of(text.as_bytes()), 1);
            let parts: Vec<&str> = text.split('/').collect();
            entry.platform = Some(platform::new(parts[0], parts[1], parts.get(2).unwrap_or(&"")));
            entry.annotations = Annotations::new();
            entry
        };
        Index { manifests: platforms.iter().map(entry).collect(), ..Index::default() }
    }

    #[test]
    fn the_nearest_platform_that_runs_is_chosen() {
        let all =
            ["linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/amd64", "linux/amd64/v3", "unknown/unknown"];
        for (wanted, want) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/amd64/v2", Some("linux/amd64")),
            ("linux/amd64/v4", Some("linux/amd64/v3")),
            ("linux/arm64", Some("linux/arm64/v8")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm/v6", Some("linux/arm/v5")),
            ("linux/s390x", None),
        ] {
            let found = for_platform(&index(&all), &platform::parse(wanted).unwrap());
            match (found, want) {
                (Ok(entry), Some(want)) => assert_eq!(entry.digest, Digest::of(want.as_bytes()), "{wanted}"),
                (Err(error), None) => {
                    assert!(error.to_string().contains("linux/amd64/v3") && !error.to_string().contains("unknown"))
                }
                (found, _) => panic!("{wanted}: {found:?}"),
            }
        }
    }
}
