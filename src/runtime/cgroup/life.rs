//! How a container's cgroup comes and goes, and how processes get there.

use super::place::Place;
use super::systemd::Unit;
use super::{Cgroup, controllers};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::Errno;
use crate::sys::process::pid_t;

impl Cgroup {
    /// Makes the directories. One that is there already must hold no process and not be frozen. After an error nothing
    /// that was made is left.
    pub fn create(&mut self) -> Result<()> {
        let unified = self.is_unified();
        match &mut self.unit {
            // One needs a process: `adopt` has it.
            Some(unit) if unit.is_scope() => return self.places.iter().try_for_each(check_free),
            Some(unit) => unit.start(None, unified)?,
            None => {}
        }
        self.make_places(self.unit.is_some())
    }

    fn make_places(&mut self, ours: bool) -> Result<()> {
        let mut made: Vec<usize> = Vec::new();
        let mut index = 0;
        while let Some(place) = self.places.get(index) {
            match make(place, ours) {
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

    /// Moves the container's first process in, as [`Cgroup::attach`] does; systemd makes its scope with it.
    pub fn adopt(&mut self, pid: pid_t, born: bool) -> Result<()> {
        let unified = self.is_unified();
        let Some(unit) = self.unit.as_mut().filter(|unit| unit.is_scope()) else { return self.attach(pid, born) };
        unit.start(Some(pid), unified)?;
        if unified && self.v2().is_some_and(|place| place.directory().is_err()) {
            let shown = self.v2().map(Place::shown).unwrap_or_default();
            bail!("systemd has made the unit, but not as cgroup {shown}: is its root another than ours?");
        }
        // The hierarchies that systemd leaves alone, and the controllers.
        self.make_places(true)?;
        self.attach(pid, true)
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

    /// Removes the cgroup and those below it, after its processes were killed: waits for them, but not for ever.
    pub fn remove(&self) -> Result<()> {
        // What counts is that the cgroup goes: then systemd forgets a scope by itself, even where we could not ask it to.
        let stopped = self.unit.as_ref().map_or(Ok(()), Unit::stop);
        let mut result = Ok(());
        for place in &self.places {
            if let Err(error) = place.remove() {
                result = Err(error);
            }
        }
        result.map_err(|error| match stopped {
            Err(stopped) => error.context(stopped.to_string()),
            Ok(()) => error,
        })
    }
}

/// systemd's scopes: where one is to be, there is nothing, or nothing that would be mixed up with it.
fn check_free(place: &Place) -> Result<()> {
    // A handle of its own: systemd may make the directory anew.
    match place.below("").directory() {
        Ok(_) => place.below("").check_reusable(),
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error).with(|| format!("open cgroup {}", place.shown())),
    }
}

/// Makes one place: how many directories are new. `ours`: what is there already is ours.
fn make(place: &Place, ours: bool) -> Result<usize> {
    let count = place.make()?;
    let ready = if count == 0 && !ours { place.check_reusable() } else { Ok(()) };
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
