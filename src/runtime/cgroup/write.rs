//! Carries out the settings of a plan, and takes them back where an update fails half-way.

use super::place::Place;
use super::setting::{Missing, Setting};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::Errno;

/// A file as it was.
struct Old<'a> {
    place: &'a Place,
    file: &'a str,
    value: String,
}

/// Writes settings.
pub(super) struct Writer<'a> {
    places: &'a [Place],
    /// Before the first write.
    old: Vec<Old<'a>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(places: &'a [Place]) -> Self {
        Writer { places, old: Vec::new() }
    }

    /// Keeps what the files of these settings hold, for [`Writer::undo`].
    pub(super) fn remember(&mut self, settings: &'a [Setting]) {
        for setting in settings.iter().flat_map(Setting::with_instead) {
            if let Some(place) = find(self.places, setting.controller)
                && let Ok(content) = place.read(&setting.file)
                && let Some(value) = before(setting, &content)
            {
                self.old.push(Old { place, file: &setting.file, value });
            }
        }
    }

    pub(super) fn write_all(&self, settings: &[Setting]) -> Result<()> {
        let mut waiting = Vec::new();
        for setting in settings {
            match self.write(setting) {
                Err(error) if setting.may_wait && error.errno() == Some(Errno::EINVAL) => waiting.push(setting),
                result => result?,
            }
        }
        waiting.into_iter().try_for_each(|setting| self.write(setting))
    }

    /// Puts the old values back, as far as possible: the reason why is already an error.
    pub(super) fn undo(self) {
        // Twice: one of two limits that must fit each other may be refused before the other one is back.
        for _ in 0..2 {
            for old in self.old.iter().rev() {
                let _ = old.place.write(old.file, &old.value);
            }
        }
    }

    fn write(&self, setting: &Setting) -> Result<()> {
        let Some(place) = find(self.places, setting.controller) else {
            if setting.missing == Missing::Ignore {
                return Ok(());
            }
            bail!("{}: {}", setting.origin, no_place(self.places, setting.controller));
        };
        let Err(errno) = place.write(&setting.file, &setting.value) else {
            return if setting.read_back { read_back(place, setting) } else { Ok(()) };
        };
        match (&setting.missing, errno) {
            (Missing::Ignore, Errno::ENOENT | Errno::EOPNOTSUPP) => Ok(()),
            (Missing::Instead(instead), Errno::ENOENT) => self.write(instead),
            _ => Err(refused(place, setting, errno)),
        }
    }
}

/// The place where the files of a controller (by its version 1 name) are.
pub(super) fn find<'a>(places: &'a [Place], controller: &str) -> Option<&'a Place> {
    let v2 = || places.iter().find(|place| place.is_v2());
    if controller == "unified" { v2() } else { places.iter().find(|place| place.controls(controller)).or_else(v2) }
}

fn no_place(places: &[Place], controller: &str) -> String {
    if places.is_empty() {
        return "the container has no cgroup: this user may not make one".to_owned();
    }
    match controller {
        "unified" => "this host has no cgroup version 2".to_owned(),
        _ => format!("no hierarchy of the cgroup controller {controller:?} is mounted"),
    }
}

fn refused(place: &Place, setting: &Setting, errno: Errno) -> Error {
    let Setting { file, value, origin, .. } = setting;
    let error = Error::from(errno).context(format!("write {value:?} to {}/{file}", place.shown()));
    let error = match errno {
        Errno::ENOENT => match missing_controller(place, setting) {
            Some(why) => Error::new(why),
            None => Error::new(format!("{} has no file {file}: this kernel does not support it", place.shown())),
        },
        Errno::EBUSY if setting.controller == "memory" => match place.read(usage_file(place)) {
            Ok(usage) => error.context(format!("the container uses {} bytes now", usage.trim())),
            Err(_) => error,
        },
        _ => error,
    };
    error.context(origin.as_str())
}

/// Why a file of version 2 is not there: no cgroup above hands its controller down.
fn missing_controller(place: &Place, setting: &Setting) -> Option<String> {
    if !place.is_v2() {
        return None;
    }
    let controller = setting.file.split('.').next().unwrap_or_default();
    let available = place.read("cgroup.controllers").ok()?;
    let available = available.trim();
    if controller == "cgroup" || available.split(' ').any(|name| name == controller) {
        return None;
    }
    let has = if available.is_empty() { "none" } else { available };
    Some(format!("the cgroup controller {controller:?} is not available in {} (there: {has})", place.shown()))
}

fn usage_file(place: &Place) -> &'static str {
    if place.is_v2() { "memory.current" } else { "memory.usage_in_bytes" }
}

/// `memory.checkBeforeUpdate`: refuses a limit of memory below what is used now. No side effect.
pub(super) fn check_usage(places: &[Place], settings: &[Setting]) -> Result<()> {
    let is_limit = |setting: &&Setting| ["memory.max", "memory.limit_in_bytes"].contains(&setting.file.as_str());
    settings.iter().filter(is_limit).try_for_each(|setting| match find(places, setting.controller) {
        Some(place) => check_limit(place, setting),
        None => Ok(()),
    })
}

fn check_limit(place: &Place, setting: &Setting) -> Result<()> {
    let number = |file: &str| place.read(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    if let (Ok(limit), Some(usage)) = (setting.value.parse::<u64>(), number(usage_file(place)))
        && usage > limit
    {
        bail!("{}: {limit} is less than the {usage} bytes that the container uses now", setting.origin);
    }
    Ok(())
}

fn read_back(place: &Place, setting: &Setting) -> Result<()> {
    let Setting { file, value, origin, .. } = setting;
    let now = place.read(file).with(|| format!("read {}/{file}", place.shown()))?;
    if now.trim() != value {
        bail!("{origin}: {value} is out of range: the kernel made it {}", now.trim());
    }
    Ok(())
}

/// What to write to have the value back that a setting replaces.
fn before(setting: &Setting, content: &str) -> Option<String> {
    let key = setting.value.split([' ', '\n']).next().unwrap_or_default();
    let line = content.lines().find(|line| line.split(' ').next() == Some(key));
    match (line, setting.unset) {
        (None, Some(unset)) => Some(format!("{key} {unset}")),
        (Some(line), Some(_)) => Some(line.to_owned()),
        // "oom_kill_disable 0" and more: the first is what can be set.
        (_, None) if setting.file == "memory.oom_control" => content.split_whitespace().nth(1).map(str::to_owned),
        (_, None) => {
            let first = content.lines().next().unwrap_or_default();
            Some(if first.is_empty() { "\n".to_owned() } else { first.to_owned() })
        }
    }
}
