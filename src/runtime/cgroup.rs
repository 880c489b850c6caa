//! The cgroup of a container: in every version 1 hierarchy, in the version 2 tree, or in both on a hybrid host; made by
//! us or by systemd.
//!
//! The life of one, in the order of the calls:
//!
//! 1. [`Cgroup::locate`] says where it will be; nothing is changed. Keep the result in the state directory now, so that a
//!    crash at any later point leaves nothing that [`Cgroup::remove`] cannot find.
//! 2. [`Cgroup::create`] makes the directories, before the clone.
//! 3. [`Cgroup::directory`] is for CLONE_INTO_CGROUP: where it gives none, or the clone refuses it (EBUSY, EOPNOTSUPP,
//!    EACCES, ENODEV), clone without it.
//! 4. [`Cgroup::adopt`] puts the child in where it was not born: before the child makes its cgroup namespace. A scope of
//!    systemd's is made here, because systemd makes none without a process.
//! 5. [`Cgroup::apply`] sets the limits: any time after `adopt`; what the child uses up to then is not refused to it.

mod controllers;
mod devices;
mod freezer;
mod host;
mod life;
mod oom;
mod path;
mod place;
mod resources;
mod setting;
mod stats;
mod systemd;
mod write;

use crate::bail;
use crate::error::{Context, Result};
use crate::runtime::caller;
use crate::runtime::spec::Map;
use crate::runtime::spec::resources::Resources;
use crate::sys::Errno;
use crate::sys::process::{self, pid_t};
use devices::Rules;
use host::Host;
pub use oom::OomWatch;
use place::Place;
use serde::{Deserialize, Serialize};
use setting::{Setting, Version};
pub use stats::Stats;
use std::os::fd::BorrowedFd;
use write::Writer;

const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;

/// Where a container lives in each hierarchy.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cgroup {
    places: Vec<Place>,
    /// Missing permission is no error: a user without delegated cgroups who did not ask for a certain place.
    lenient: bool,
    /// We are not the host's root: which devices there are is not ours to say.
    rootless: bool,
    /// systemd made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<systemd::Unit>,
}

impl Cgroup {
    /// Where the cgroup of container `id` will be. `rootless`: we are not the host's root. No side effect.
    pub fn locate(cgroups_path: Option<&str>, id: &str, systemd: bool, rootless: bool) -> Result<Cgroup> {
        let cgroups_path = cgroups_path.filter(|path| !path.is_empty());
        let rootless = rootless || caller::in_user_namespace();
        let host = Host::detect()?;
        if systemd {
            let (places, unit) = systemd::locate(&host, cgroups_path, id)?;
            return Ok(Cgroup { places, lenient: false, rootless, unit: Some(unit) });
        }
        let relative = !cgroups_path.is_some_and(|path| path.starts_with('/'));
        let own = if relative { host::read(c"/proc/self/cgroup")? } else { String::new() };
        let places = path::places(&host, cgroups_path, id, &own)?;
        Ok(Cgroup { places, lenient: rootless && cgroups_path.is_none(), rootless, unit: None })
    }

    /// Refuses resources that this host cannot give, before anything is done, and annotations that systemd could not be
    /// told (`org.systemd.property.NAME`). Nothing outside is changed.
    pub fn check(&mut self, resources: &Resources, annotations: &Map) -> Result<()> {
        let settings = self.plan(resources)?;
        let rules = Rules::parse(resources.devices.as_deref().unwrap_or_default())?;
        let unified = self.is_unified();
        if let Some(unit) = &mut self.unit {
            unit.want(&settings, &rules, annotations, unified)?;
        }
        write::find(&self.places, "devices").map_or(Ok(()), |place| rules.check(place))
    }

    /// Sets the limits, and which devices may be used.
    pub fn apply(&self, resources: &Resources) -> Result<()> {
        let settings = self.plan(resources)?;
        let rules = Rules::parse(resources.devices.as_deref().unwrap_or_default())?;
        Writer::new(&self.places).write_all(&settings)?;
        self.apply_devices(&rules)
    }

    /// Makes the version 2 cgroup `uid`'s: the directory, and the files in it that whoever manages a cgroup writes.
    pub fn give_to(&self, uid: u32) -> Result<()> {
        let Some(place) = self.v2() else { return Ok(()) };
        let listed = host::read(c"/sys/kernel/cgroup/delegate");
        // KERNEL(4.15): the list; these are what it began with.
        let listed = listed.unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads".to_owned());
        for file in listed.lines().chain(["."]) {
            match place.give_to(file, uid) {
                // Of a controller that is not there.
                Ok(()) | Err(Errno::ENOENT) => {}
                given => given.with(|| format!("give {}/{file} to user {uid}", place.shown()))?,
            }
        }
        Ok(())
    }

    /// Makes the limits those of `new`, writing only what belongs to a member that `asked` has. After an error the
    /// limits are as they were. `old`: what `new` was before.
    pub fn update(&self, old: &Resources, asked: &Resources, new: &Resources) -> Result<()> {
        let mut settings = self.plan(new)?;
        settings.retain(|setting| setting.is_asked_for(asked));
        let rules = Rules::parse(new.devices.as_deref().unwrap_or_default())?;
        if asked.memory.as_ref().is_some_and(|memory| memory.check_before_update == Some(true)) {
            write::check_usage(&self.places, &settings)?;
        }
        let mut writer = Writer::new(&self.places);
        writer.remember(&settings);
        let told = self.tell_systemd(&settings, asked.devices.is_some().then_some(&rules))?;
        let mut result = writer.write_all(&settings);
        if result.is_ok() && asked.devices.is_some() {
            result = self.apply_devices(&rules);
            if result.is_err() {
                // Version 1 may be half-way.
                let _ = Rules::parse(old.devices.as_deref().unwrap_or_default())
                    .and_then(|rules| self.apply_devices(&rules));
            }
        }
        if result.is_err() {
            let _ = self.take_back(old, told);
            writer.undo();
        }
        result
    }

    /// systemd first: it rounds, and what it has written is put right by the files. What it was told.
    fn tell_systemd(&self, settings: &[Setting], rules: Option<&Rules>) -> Result<Vec<systemd::Property>> {
        let Some(unit) = &self.unit else { return Ok(Vec::new()) };
        let mut properties = systemd::of_settings(settings);
        let devices = rules.filter(|_| !self.is_unified());
        if let Some(rules) = devices {
            properties.extend(systemd::of_devices(rules)?);
        }
        // It denies all devices for a moment before it allows some: nobody may notice.
        let frozen = devices.is_some() && !self.is_frozen()? && self.freeze().is_ok();
        let told = unit.set(properties.clone());
        if frozen {
            self.thaw()?;
        }
        told.map(|()| properties)
    }

    /// Has systemd know again what it knew before.
    fn take_back(&self, old: &Resources, told: Vec<systemd::Property>) -> Result<()> {
        let Some(unit) = &self.unit else { return Ok(()) };
        let mut before = systemd::of_settings(&self.plan(old)?);
        if !self.is_unified() {
            before.extend(systemd::of_devices(&Rules::parse(old.devices.as_deref().unwrap_or_default())?)?);
        }
        before.retain(|property| told.iter().any(|told| told.name == property.name));
        let unset = told.iter().filter(|told| !before.iter().any(|property| property.name == told.name));
        let unset: Vec<_> = unset.map(systemd::Property::reset).collect();
        unit.set(unset.into_iter().chain(before).collect())
    }

    fn plan(&self, resources: &Resources) -> Result<Vec<Setting>> {
        resources::plan(resources, |controller| match self.v1(controller) {
            Some(_) => Version::V1,
            None => Version::V2,
        })
    }

    fn apply_devices(&self, rules: &Rules) -> Result<()> {
        let Some(place) = write::find(&self.places, "devices") else {
            if self.rootless || rules.allow_all() {
                return Ok(());
            }
            bail!("linux.resources.devices: no cgroup hierarchy that can deny devices is mounted");
        };
        match rules.apply(place) {
            Err(error) if devices::is_refused(&error) && (self.rootless || rules.allow_all()) => Ok(()),
            result => result,
        }
    }

    /// Whether it is not the host's root who makes it, and it may be missing for want of permission.
    pub fn is_of_user(&self) -> bool {
        self.rootless
    }

    /// What the container uses, as far as the kernel tells.
    pub fn stats(&self) -> Result<Stats> {
        stats::read(&self.places)
    }

    /// Being told of processes that the kernel ends for want of memory; None where memory is not counted.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        OomWatch::new(&self.places)
    }

    /// The directory in the version 2 tree, for CLONE_INTO_CGROUP.
    pub fn directory(&self) -> Result<Option<BorrowedFd<'_>>> {
        let Some(place) = self.v2() else { return Ok(None) };
        match place.directory() {
            // A scope that systemd has not made yet.
            Err(Errno::ENOENT) if self.unit.is_some() => return Ok(None),
            directory => directory.map(Some),
        }
        .with(|| format!("open cgroup {}", place.shown()))
    }

    /// The cgroup that `exec --cgroup` names: `path` below the container's, or on version 1 hosts several times
    /// `controller[,controller]:path`; it must exist.
    pub fn below(&self, paths: &[String]) -> Result<Cgroup> {
        let mut places: Vec<Place> = self.places.iter().map(|place| place.below("")).collect();
        for text in paths {
            let (controllers, path) = match text.split_once(':') {
                Some((controllers, path)) => (controllers.split(',').collect(), path),
                None => (Vec::new(), text.as_str()),
            };
            let path = if path.trim_matches('/').is_empty() { String::new() } else { path::clean(path)? };
            for controller in &controllers {
                if !self.places.iter().any(|place| place.controls(controller)) {
                    bail!("exec cgroup {text:?}: the container is in no cgroup of a controller {controller:?}");
                }
            }
            for (place, whole) in places.iter_mut().zip(&self.places) {
                if controllers.is_empty() || controllers.iter().any(|name| whole.controls(name)) {
                    *place = whole.below(&path);
                }
            }
        }
        for place in &places {
            place.directory().with(|| format!("open cgroup {}", place.shown()))?;
        }
        Ok(Cgroup { places, lenient: self.lenient, rootless: self.rootless, unit: None })
    }

    /// The cgroup that process `pid` is in, where it is below the container's: for `exec` into a container whose first
    /// process moved down, so that the top takes no process any more (EBUSY).
    pub fn of_process(&self, pid: pid_t) -> Result<Cgroup> {
        let path = std::ffi::CString::new(format!("/proc/{pid}/cgroup")).map_err(|_| Errno::EINVAL)?;
        let text = host::read(&path)?;
        let places = self.places.iter().map(|place| {
            let here = host::parse_proc_cgroup(&text, &place.controllers).unwrap_or_default();
            // Whatever the mount shows as its top: the container's own path tells where the part below begins.
            match here.split_once(&format!("/{}/", place.path)) {
                Some((_, below)) if !below.split('/').any(|part| part == "..") => place.below(below),
                _ => place.below(""),
            }
        });
        Ok(Cgroup { places: places.collect(), lenient: self.lenient, rootless: self.rootless, unit: None })
    }

    /// For a mount of cgroups in a container: where each hierarchy is mounted on the host, the cgroup's path below, and
    /// the version 1 controllers (none: version 2).
    pub fn hierarchies(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        self.places.iter().map(|place| (place.mount.as_str(), place.path.as_str(), place.controllers.as_slice()))
    }

    /// Whether there is a cgroup at all: none where permission was missing and not needed.
    pub fn is_any(&self) -> bool {
        !self.places.is_empty()
    }

    /// Every process in the cgroup and below.
    pub fn pids(&self) -> Result<Vec<pid_t>> {
        self.members().map_or(Ok(Vec::new()), Place::pids)
    }

    pub fn freeze(&self) -> Result<()> {
        freezer::set(self.freezer()?, true)
    }

    pub fn thaw(&self) -> Result<()> {
        freezer::set(self.freezer()?, false)
    }

    /// The directory by which it can be frozen.
    pub fn freezer_path(&self) -> Option<String> {
        self.freezer().ok().map(Place::shown)
    }

    pub fn is_frozen(&self) -> Result<bool> {
        self.freezer().ok().map_or(Ok(false), freezer::is_frozen)
    }

    /// Sends `signal` to every process, such that none escapes by forking.
    pub fn kill(&self, signal: i32) -> Result<()> {
        if signal == SIGKILL
            && let Some(place) = self.v2()
        {
            // KERNEL(5.14): cgroup.kill
            match place.write("cgroup.kill", "1") {
                // What the freezer of version 1 holds does not even die.
                Ok(()) => return self.v1("freezer").map_or(Ok(()), |place| freezer::set(place, false)),
                Err(Errno::ENODEV) => return Ok(()),
                Err(Errno::ENOENT | Errno::EOPNOTSUPP) => {}
                Err(error) => return Err(error).with(|| format!("write {}/cgroup.kill", place.shown())),
            }
        }
        let was_frozen = self.is_frozen()?;
        // A cgroup that cannot be frozen is killed all the same; then a process that forks can win.
        let frozen = was_frozen || self.freeze().is_ok();
        let sent = self.pids().and_then(|pids| pids.into_iter().try_for_each(|pid| send(pid, signal)));
        if frozen && (!was_frozen || signal == SIGKILL) {
            self.thaw()?;
        }
        sent
    }

    /// Whether version 2 is all there is.
    fn is_unified(&self) -> bool {
        self.places.iter().all(Place::is_v2)
    }

    fn v2(&self) -> Option<&Place> {
        self.places.iter().find(|place| place.is_v2())
    }

    fn v1(&self, controller: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.controls(controller))
    }

    /// The place that all of the container's processes are in.
    fn members(&self) -> Option<&Place> {
        let v1 = || ["devices", "pids", "freezer", "memory"].into_iter().find_map(|name| self.v1(name));
        self.v2().or_else(v1).or(self.places.first())
    }

    fn freezer(&self) -> Result<&Place> {
        match self.v1("freezer").or_else(|| self.v2()) {
            Some(place) => Ok(place),
            None => bail!("the container has no cgroup that can be frozen"),
        }
    }
}

fn send(pid: pid_t, signal: i32) -> Result<()> {
    match process::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with(|| format!("send signal {signal} to process {pid}")),
    }
}

#[cfg(test)]
mod tests;
