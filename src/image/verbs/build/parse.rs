//! What the options of `forno build` say.

use super::{Build, NetworkArg};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::build::cache::Elsewhere;
use crate::image::build::settings::{SecretSource, Settings};
use crate::image::build::{Tree, context, layout};
use crate::image::plan::run::Network;
use crate::image::plan::{NamedContext, Options, platform};
use crate::image::reference::Reference;
use crate::image::registry::Compressor;
use crate::image::store::{Image, Lease, Store};
use crate::image::time;
use crate::image::verbs::Forno;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `--build-context`: what the language has to know, and the files.
#[derive(Default)]
pub(super) struct Contexts {
    pub named: BTreeMap<String, NamedContext>,
    pub trees: BTreeMap<String, Tree>,
    pub images: BTreeMap<Reference, Image>,
}

pub(super) fn pairs(option: &str, given: &[String]) -> Result<BTreeMap<String, String>> {
    given.iter().map(|entry| super::values::key_value(option, entry)).collect()
}

/// `type=local,src=DIR`, `type=registry,ref=NAME`, or one of the two alone: a directory begins with / or a dot.
pub(super) fn cache(option: &str, key: &str, given: &[String]) -> Result<Vec<Elsewhere>> {
    given.iter().map(|text| elsewhere(key, text).with(|| format!("{option} {text}"))).collect()
}

fn elsewhere(key: &str, text: &str) -> Result<Elsewhere> {
    if !text.contains('=') {
        return Ok(match text.starts_with(['/', '.']) {
            true => Elsewhere::Directory(PathBuf::from(text)),
            false => Elsewhere::Registry(text.parse()?, Compressor::Gzip),
        });
    }
    let (mut directory, mut name, mut kind, mut compressor) = (None, None, "", Compressor::Gzip);
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("type", value)) => kind = value,
            Some(("ref", value)) => name = Some(value),
            Some((name, value)) if name == key => directory = Some(PathBuf::from(value)),
            Some(("compression", "gzip")) => {}
            Some(("compression", "zstd")) => compressor = Compressor::Zstd,
            Some(("compression", "uncompressed")) => compressor = Compressor::None,
            // All of a build is written, and as OCI has it.
            Some(("mode", "min" | "max")) | Some(("oci-mediatypes" | "image-manifest", "true")) => {}
            _ => bail!("unknown field {field:?}; want type=local,{key}=DIR or type=registry,ref=NAME"),
        }
    }
    match (kind, directory, name) {
        ("local", Some(directory), None) => Ok(Elsewhere::Directory(directory)),
        ("local", None, _) => bail!("want {key}=DIR"),
        ("registry", None, Some(name)) => Ok(Elsewhere::Registry(name.parse()?, compressor)),
        ("registry", _, None) => bail!("want ref=NAME"),
        _ => bail!("want type=local,{key}=DIR or type=registry,ref=NAME"),
    }
}

impl Build {
    pub(super) fn options(&self, contexts: BTreeMap<String, NamedContext>) -> Result<Options> {
        let mut options = Options::new(platform::host());
        options.build_args = self.build_args()?;
        // A given argument is nearer than the environment.
        if let Some(epoch) = time::source_date_epoch()? {
            options.build_args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| epoch.to_string());
        }
        options.target = self.target.clone();
        options.target_platform = self.platform.as_deref().map(platform::parse).transpose().context("--platform")?;
        options.labels = pairs("--label", &self.label)?;
        options.contexts = contexts;
        options.all_stages = self.check;
        Ok(options)
    }

    fn build_args(&self) -> Result<BTreeMap<String, String>> {
        let mut args = BTreeMap::new();
        for path in &self.build_arg_file {
            let option = format!("--build-arg-file {}", path.display());
            let lines = super::values::lines_of(path).with(|| option.clone())?;
            args.extend(pairs(&option, &lines)?);
        }
        for entry in &self.build_arg {
            match entry.split_once('=') {
                Some(("", _)) => bail!("--build-arg {entry}: want NAME=VALUE"),
                Some((name, value)) => drop(args.insert(name.to_owned(), value.to_owned())),
                None => {
                    if let Ok(value) = std::env::var(entry) {
                        args.insert(entry.clone(), value);
                    }
                }
            }
        }
        Ok(args)
    }

    /// `room` is a directory for what has to be fetched.
    pub(super) fn contexts(&self, store: &Store, lease: &Lease, room: &Path) -> Result<Contexts> {
        let mut contexts = Contexts::default();
        for (number, (name, place)) in pairs("--build-context", &self.build_context)?.into_iter().enumerate() {
            let say = || format!("--build-context {name}={place}");
            let named = if let Some(image) = place.strip_prefix("docker-image://") {
                NamedContext::Image(image.parse().with(say)?)
            } else if let Some(text) = place.strip_prefix("oci-layout://") {
                let image = layout::import(store, lease, text).with(say)?;
                // A name that nothing else has: what stands behind it is given.
                let stand_in: Reference = format!("layout.invalid/context-{number}").parse().with(say)?;
                let stand_in = stand_in.at(image.descriptor.digest.clone());
                contexts.images.insert(stand_in.clone(), image);
                NamedContext::Image(stand_in)
            } else {
                let room = room.join(format!("context-{number}"));
                contexts.trees.insert(name.clone(), context::named(&place, &room).with(say)?);
                NamedContext::Tree
            };
            contexts.named.insert(name, named);
        }
        Ok(contexts)
    }

    pub(super) fn settings(&self, forno: &Forno) -> Result<Settings> {
        let known = |right: &&String| matches!(right.as_str(), "security.insecure" | "network.host");
        if let Some(right) = self.allow.iter().find(|right| !known(right)) {
            bail!("--allow {right}: unknown; want security.insecure or network.host");
        }
        let limit = |(name, soft, hard): &(String, u64, u64)| serde_json::json!({"type": format!("RLIMIT_{}", name.to_ascii_uppercase()), "soft": soft, "hard": hard});
        Ok(Settings {
            runtime: forno.runtime(),
            no_cache: self.no_cache,
            no_cache_stages: self.no_cache_filter.iter().map(|name| name.to_lowercase()).collect(),
            cache_from: cache("--cache-from", "src", &self.cache_from)?,
            network: match self.network {
                NetworkArg::Default | NetworkArg::Host => Network::Host,
                NetworkArg::None => Network::None,
            },
            hosts: self.add_host.clone(),
            secrets: self.secrets()?,
            agents: self.agents()?,
            shm_size: self.shm_size,
            limits: self.ulimit.iter().map(limit).collect(),
            cgroup_parent: self.cgroup_parent.clone(),
            allow_insecure: self.allow.iter().any(|right| right == "security.insecure"),
        })
    }

    /// `id=x[,src=FILE]`, `id=x,env=NAME`; alone, the id is the name of the variable or the file.
    fn secrets(&self) -> Result<BTreeMap<String, SecretSource>> {
        let mut secrets = BTreeMap::new();
        for text in &self.secret {
            let (mut id, mut file, mut variable) = (None, None, None);
            for field in text.split(',') {
                match field.split_once('=') {
                    Some(("id", value)) => id = Some(value),
                    Some(("src" | "source", value)) => file = Some(value),
                    Some(("env", value)) => variable = Some(value),
                    Some(("type", "file" | "env")) => {}
                    _ => bail!("--secret {text}: unknown field {field:?}; want id=, src= or env="),
                }
            }
            let Some(id) = id.filter(|id| !id.is_empty()) else {
                bail!("--secret {text}: want id=ID");
            };
            let source = match (file, variable) {
                (Some(_), Some(_)) => bail!("--secret {text}: src= and env= at once"),
                (Some(file), None) => SecretSource::File(PathBuf::from(file)),
                (None, Some(name)) => SecretSource::Variable(name.to_owned()),
                (None, None) if std::env::var_os(id).is_some() => SecretSource::Variable(id.to_owned()),
                (None, None) => SecretSource::File(PathBuf::from(id)),
            };
            secrets.insert(id.to_owned(), source);
        }
        Ok(secrets)
    }

    fn agents(&self) -> Result<BTreeMap<String, PathBuf>> {
        let own = || {
            let socket = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
            socket.ok_or_else(|| Error::new("SSH_AUTH_SOCK is not set; say which socket with ID=SOCKET"))
        };
        let mut agents = BTreeMap::new();
        for text in &self.ssh {
            let one = || -> Result<(String, PathBuf)> {
                let (id, socket) = match text.split_once('=') {
                    Some((id, socket)) => (id, PathBuf::from(socket)),
                    None => (text.as_str(), own()?),
                };
                let socket = socket.canonicalize().with(|| socket.display().to_string())?;
                Ok((id.to_owned(), socket))
            };
            agents.extend([one().with(|| format!("--ssh {text}"))?]);
        }
        Ok(agents)
    }
}
