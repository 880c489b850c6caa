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
//! 4. [`Cgroup::attach`] puts the child in where it was not born: before the child makes its cgroup namespace.
//! 5. [`Cgroup::apply`] sets the limits: any time after `attach`; what the child uses up to then is not refused to it.

mod controllers;
mod devices;
mod freezer;
mod host;
mod oom;
mod path;
mod place;
mod resources;
mod setting;
mod stats;
mod write;

use crate::bail;
use crate::error::{Context, Error, Result};
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
}

impl Cgroup {
    /// Where the cgroup of container `id` will be. `rootless`: we are not the host's root. No side effect.
    pub fn locate(cgroups_path: Option<&str>, id: &str, systemd: bool, rootless: bool) -> Result<Cgroup> {
        let cgroups_path = cgroups_path.filter(|path| !path.is_empty());
        if systemd {
            bail!("the systemd driver is not there yet");
        }
        let host = Host::detect()?;
        let relative = !cgroups_path.is_some_and(|path| path.starts_with('/'));
        let own = if relative { host::read(c"/proc/self/cgroup")? } else { String::new() };
        let places = path::places(&host, cgroups_path, id, &own)?;
        Ok(Cgroup { places, lenient: rootless && cgroups_path.is_none(), rootless })
    }

    /// Makes the directories. One that is there already must hold no process and not be frozen. After an error nothing
    /// that was made is left.
    pub fn create(&mut self) -> Result<()> {
        let mut made: Vec<usize> = Vec::new();
        let mut index = 0;
        while let Some(place) = self.places.get(index) {
            match make(place) {
                Ok(count) => made.push(count),
                Err(error) if self.may_do_without(place, &error) => {
                    self.places.remove(index);
                    continue;
                }
                Err(error) => {
                    self.unmake(&made);
                    return Err(error);
                }
            }
            index += 1;
        }
        Ok(())
    }

    fn unmake(&self, made: &[usize]) {
        for (place, count) in self.places.iter().zip(made) {
            place.unmake(0, *count);
        }
    }

    /// Whether the container can be without this place, which gave `error`.
    fn may_do_without(&self, place: &Place, error: &Error) -> bool {
        let denied = matches!(error.errno(), Some(Errno::EPERM | Errno::EACCES | Errno::EROFS));
        // On a version 1 host the version 2 tree and systemd's hierarchy limit nothing: they only keep books.
        let bookkeeping = self.places.len() > 1 && (place.is_v2() || place.controls("name=systemd"));
        (self.lenient && denied) || (bookkeeping && error.errno().is_some())
    }

    /// Refuses resources that this host cannot give, before anything is done. No side effect.
    pub fn check(&self, resources: &Resources) -> Result<()> {
        self.plan(resources)?;
        let rules = Rules::parse(resources.devices.as_deref().unwrap_or_default())?;
        write::find(&self.places, "devices").map_or(Ok(()), |place| rules.check(place))
    }

    /// Sets the limits, and which devices may be used.
    pub fn apply(&self, resources: &Resources) -> Result<()> {
        let settings = self.plan(resources)?;
        let rules = Rules::parse(resources.devices.as_deref().unwrap_or_default())?;
        Writer::new(&self.places, false, false).write_all(&settings)?;
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
        let check_usage = asked.memory.as_ref().is_some_and(|memory| memory.check_before_update == Some(true));
        let mut writer = Writer::new(&self.places, true, check_usage);
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
            writer.undo();
        }
        result
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
        place.directory().map(Some).with(|| format!("open cgroup {}", place.shown()))
    }

    /// Moves a process in. `born`: it was cloned into [`Cgroup::directory`]; writing to `cgroup.procs` would wait for
    /// every fork of the host.
    pub fn attach(&mut self, pid: pid_t, born: bool) -> Result<()> {
        let mut index = 0;
        while let Some(place) = self.places.get(index) {
            if !(born && place.is_v2()) {
                let join = || place.write("cgroup.procs", &pid.to_string());
                let joined = match join() {
                    Err(Errno::EOPNOTSUPP) if place.is_v2() => controllers::make_threaded(place).and_then(|()| join()),
                    joined => joined,
                };
                let joined = joined.with(|| format!("move process {pid} into cgroup {}", place.shown()));
                match joined {
                    Err(error) if self.may_do_without(place, &error) => {
                        self.places.remove(index);
                        continue;
                    }
                    joined => joined?,
                }
            }
            index += 1;
        }
        Ok(())
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
        Ok(Cgroup { places, lenient: self.lenient, rootless: self.rootless })
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
        Ok(Cgroup { places: places.collect(), lenient: self.lenient, rootless: self.rootless })
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

    /// Removes the cgroup and those below it, after its processes were killed: waits for them, but not for ever.
    pub fn remove(&self) -> Result<()> {
        let mut result = Ok(());
        for place in &self.places {
            if let Err(error) = place.remove() {
                result = Err(error);
            }
        }
        result
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

/// Makes one place: how many directories are new.
fn make(place: &Place) -> Result<usize> {
    let count = place.make()?;
    let ready = if count == 0 { place.check_reusable() } else { Ok(()) };
    let ready = ready.and_then(|()| {
        if place.is_v2() {
            return controllers::enable(place);
        }
        if place.controls("cpuset") { place.inherit_cpuset() } else { Ok(()) }
    });
    if ready.is_err() {
        place.unmake(0, count);
    }
    ready.map(|()| count)
}

fn send(pid: pid_t, signal: i32) -> Result<()> {
    match process::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with(|| format!("send signal {signal} to process {pid}")),
    }
}

#[cfg(test)]
mod tests;
