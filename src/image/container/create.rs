//! Making a container of an image: everything but its start.

use super::config::{Config, Mount, MountKind};
use super::state::{State, now};
use super::{CONFIG, Container, STATE, names, signals};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container_config::absolute;
use crate::image::events;
use crate::image::layer::Limits;
use crate::image::store::{Image, Store};
use crate::image::volume;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

/// What was asked for beside what the image says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub name: Option<String>,
    /// The fields that the image does not fill in.
    pub config: Config,
    /// In place of the image's, and then without its command.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command.
    pub command: Vec<String>,
    /// `NAME` alone: the value is that of this process.
    pub env: Vec<String>,
    pub no_healthcheck: bool,
    pub stop_signal: Option<i32>,
    pub volumes_from: Vec<String>,
}

pub const STOP_TIMEOUT: i64 = 10;

pub fn create(store: &Store, image: &Image, options: Options) -> Result<Container> {
    let lease = store.lease()?;
    let layers = store.unpack(&lease, image, Limits::default())?;
    let id = names::new_id()?;
    let mut config = configure(store, image, options.clone(), &id)?;
    let container = Container::by_id(store, &id);
    let snapshot = store.create_snapshot(&lease, &layers, Some(container.directory()))?;
    config.snapshot = snapshot.id().to_owned();
    match publish(store, &container, &mut config, options.name.as_deref()) {
        Ok(()) => {
            events::of_container(store, &config, "create", &[]);
            Ok(container)
        }
        Err(error) => {
            // The next sweep would find it too.
            let _ = snapshot.remove(store);
            Err(error)
        }
    }
}

/// Makes the container's directory and gives it its name, and everything that it is made of the reason to stay.
fn publish(store: &Store, container: &Container, config: &mut Config, name: Option<&str>) -> Result<()> {
    let scratch = store.scratch_dir()?;
    for directory in ["bundle", "bundle/rootfs"] {
        let path = scratch.path().join(directory);
        DirBuilder::new().mode(0o755).create(&path).with(|| format!("create {}", path.display()))?;
    }
    let write =
        |name: &str, bytes: Vec<u8>| std::fs::write(scratch.path().join(name), bytes).with(|| format!("write {name}"));
    write(STATE, serde_json::to_vec(&State::default())?)?;
    // A volume that is in use is not removed; so nobody may remove these before the container is there to use them.
    let _volumes = store.lock("volumes")?;
    let naming = store.naming()?;
    config.name = naming.choose(name)?;
    make_volumes(store, config)?;
    write(CONFIG, serde_json::to_vec(config)?)?;
    naming.give(&config.name, &config.id)?;
    if scratch.publish(container.directory())?.is_none() {
        bail!("container {}: exists", config.id);
    }
    Ok(())
}

fn configure(store: &Store, image: &Image, options: Options, id: &str) -> Result<Config> {
    let known = &image.config.config;
    let mut config = options.config;
    config.id = id.to_owned();
    config.created = now();
    config.image_id = image.id().to_string();
    config.command = match (&options.entrypoint, options.command.is_empty()) {
        (None, true) => known.cmd.clone().unwrap_or_default(),
        _ => options.command,
    };
    config.entrypoint = match options.entrypoint {
        Some(entrypoint) => entrypoint.into_iter().filter(|word| !word.is_empty()).collect(),
        None => known.entrypoint.clone().unwrap_or_default(),
    };
    if config.args().is_empty() {
        bail!("no command specified: the image has none, say what to run");
    }
    config.env = known.env.clone();
    for entry in &options.env {
        match (entry.contains('='), std::env::var(entry)) {
            (true, _) => super::spec::set_env(&mut config.env, entry),
            (false, Ok(value)) => super::spec::set_env(&mut config.env, &format!("{entry}={value}")),
            // Taken away, where the image had it.
            (false, Err(_)) => config.env.retain(|old| old.split('=').next() != Some(entry)),
        }
    }
    if config.cwd.is_empty() {
        config.cwd = known.working_dir.clone();
    }
    config.cwd = absolute(&config.cwd);
    if config.user.is_empty() {
        config.user = known.user.clone();
    }
    for (key, value) in &known.labels {
        config.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    config.exposed.extend(known.exposed_ports.keys().cloned());
    config.exposed.sort();
    config.exposed.dedup();
    config.stop_signal = match options.stop_signal {
        Some(signal) => signal,
        None if known.stop_signal.is_empty() => signals::TERM,
        None => signals::parse(&known.stop_signal).context("the image's STOPSIGNAL")?,
    };
    config.healthcheck = merge_health(config.healthcheck, known.healthcheck.clone(), options.no_healthcheck);
    if config.hostname.is_empty() {
        config.hostname = hostname(store, &config)?;
    }
    add_volumes(store, &mut config, &options.volumes_from, known.volumes.keys())?;
    Ok(config)
}

type Check = crate::image::config::Healthcheck;

/// Each part that was asked for is in place of the image's.
fn merge_health(asked: Option<Check>, image: Option<Check>, none: bool) -> Option<Check> {
    if none {
        return None;
    }
    let (Some(asked), Some(mut merged)) = (asked.clone(), image.clone()) else {
        return asked.filter(|check| !check.test.is_empty()).or(image);
    };
    if !asked.test.is_empty() {
        merged.test = asked.test;
    }
    let mut take = |field: fn(&mut Check) -> &mut i64, value: i64| {
        if value != 0 {
            *field(&mut merged) = value;
        }
    };
    take(|check| &mut check.interval, asked.interval);
    take(|check| &mut check.timeout, asked.timeout);
    take(|check| &mut check.start_period, asked.start_period);
    take(|check| &mut check.start_interval, asked.start_interval);
    take(|check| &mut check.retries, asked.retries);
    Some(merged)
}

fn hostname(store: &Store, config: &Config) -> Result<String> {
    if config.network.mode == "host" || config.uts_mode == "host" {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("read the host's name")?;
        return Ok(name.trim().to_owned());
    }
    match config.network.mode.strip_prefix("container:") {
        Some(other) => Ok(store.container(other)?.config()?.hostname),
        None => Ok(config.id.get(..12).unwrap_or_default().to_owned()),
    }
}

/// Adds what other containers have mounted, and an anonymous volume for each place where the image wants one and nothing
/// else is.
fn add_volumes<'a>(
    store: &Store,
    config: &mut Config,
    from: &[String],
    wanted: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let taken = |config: &Config, target: &str| config.mounts.iter().any(|mount| mount.target == target);
    for other in from {
        let (name, read_only) = match other.rsplit_once(':') {
            Some((name, "ro")) => (name, true),
            Some((name, "rw")) => (name, false),
            _ => (other.as_str(), false),
        };
        for mut mount in store.container(name)?.config()?.mounts {
            if mount.kind != MountKind::Tmpfs && !taken(config, &mount.target) {
                mount.read_only |= read_only;
                config.mounts.push(mount);
            }
        }
    }
    for target in wanted {
        let target = absolute(target);
        if target != "/" && !taken(config, &target) {
            config.mounts.push(Mount { kind: MountKind::Volume, target, ..Mount::default() });
        }
    }
    Ok(())
}

/// Makes the volumes that are not there, and names those that have no name.
fn make_volumes(store: &Store, config: &mut Config) -> Result<()> {
    for mount in config.mounts.iter_mut().filter(|mount| mount.kind == MountKind::Volume) {
        let new = if mount.source.is_empty() { volume::new_anonymous()? } else { volume::new(&mount.source) };
        let volume = volume::ensure(store, new)?;
        mount.anonymous = volume.anonymous;
        mount.source = volume.name;
    }
    Ok(())
}
