//! The systemd driver: a transient scope (or slice) that systemd makes, has delegated to us, and stops at the end. Limits
//! are told to systemd, which would set them anew by what it knows, and written to the files besides, because it knows
//! fewer than the kernel (systemd.resource-control(5), org.freedesktop.systemd1(5)).

mod name;
mod properties;

use super::devices::Rules;
use super::host::Host;
use super::place::{Place, join};
use super::setting::Setting;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::runtime::caller;
use crate::runtime::dbus::{Bus, Method, Value};
use crate::runtime::spec::Map;
use crate::sys::process::pid_t;
use crate::sys::{OFlag, fd};
pub(super) use properties::{Property, from_annotations, of_devices, of_settings};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DESTINATION: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket;unix:path=/var/run/dbus/system_bus_socket";
/// Where systemd itself listens, for root and hosts without a bus.
const SYSTEMD: &str = "unix:path=/run/systemd/private";
/// For a job of systemd's.
const JOB_WAIT: Duration = Duration::from_secs(30);

/// What systemd calls our cgroup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Unit {
    /// `bolo-ID.scope`, or a slice.
    name: String,
    slice: String,
    /// Of the user's own systemd.
    user: bool,
    container: String,
    /// Beside what every unit has; until the unit is there.
    #[serde(skip)]
    wanted: Vec<Property>,
}

/// Where the cgroup of container `id` will be, and the unit.
pub(super) fn locate(host: &Host, cgroups_path: Option<&str>, id: &str) -> Result<(Vec<Place>, Unit)> {
    if fd::open(c"/run/systemd/system", OFlag::O_PATH).is_err() {
        bail!("--systemd-cgroup: systemd does not run here (there is no /run/systemd/system)");
    }
    let user = caller::is_user();
    if user && !host.unified {
        bail!("--systemd-cgroup: a user's systemd has no cgroups to give without cgroup version 2 alone");
    }
    let name::Names { slice, unit } = name::parse(cgroups_path, id, user)?;
    let above = if user { users_root()? } else { String::new() };
    let mut path = join(&above, &name::expand(&slice)?);
    path = join(&path, &if name::is_slice(&unit) { name::last_of(&name::expand(&unit)?) } else { unit.clone() });
    let places = host.hierarchies.iter().map(|hierarchy| Place::new(hierarchy, path.clone())).collect();
    Ok((places, Unit { name: unit, slice, user, container: id.to_owned(), wanted: Vec::new() }))
}

/// The cgroup of the user's systemd, below which its units are.
fn users_root() -> Result<String> {
    let get = Method { interface: "org.freedesktop.DBus.Properties", member: "Get", ..manager("") };
    let arguments = [MANAGER, "ControlGroup"].map(|text| Value::String(text.to_owned()));
    let mut answer = connect(true)?.call(get, &arguments)?.map_err(|refusal| refusal.error("ask systemd"))?;
    match answer.pop() {
        Some(Value::Variant(value)) => match *value {
            Value::String(path) => Ok(path.trim_matches('/').to_owned()),
            _ => bail!("systemd does not tell where its cgroup is"),
        },
        _ => bail!("systemd does not tell where its cgroup is"),
    }
}

fn manager(member: &str) -> Method<'_> {
    Method { destination: DESTINATION, path: PATH, interface: MANAGER, member }
}

fn connect(user: bool) -> Result<Bus> {
    let env = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    if !user {
        let addresses = env("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|| SYSTEM_BUS.to_owned());
        let bus = Bus::connect(&addresses).or_else(|error| Bus::connect_direct(SYSTEMD).map_err(|_| error));
        return bus.context("connect to systemd");
    }
    let runtime = env("XDG_RUNTIME_DIR");
    let address = match (env("DBUS_SESSION_BUS_ADDRESS"), &runtime) {
        (Some(address), _) => address,
        (None, Some(directory)) => format!("unix:path={directory}/bus"),
        (None, None) => bail!("neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR says where your systemd is"),
    };
    let direct = |error: Error| match &runtime {
        Some(directory) => Bus::connect_direct(&format!("unix:path={directory}/systemd/private")).map_err(|_| error),
        None => Err(error),
    };
    Bus::connect(&address).or_else(direct).context("connect to your systemd")
}

impl Unit {
    /// A slice holds no process by systemd's rules: ours is put in by hand.
    pub(super) fn is_scope(&self) -> bool {
        !name::is_slice(&self.name)
    }

    /// What the unit will have: the limits, which devices, and what the annotations ask for, which is the last word.
    pub(super) fn want(&mut self, settings: &[Setting], rules: &Rules, annotations: &Map, unified: bool) -> Result<()> {
        self.wanted = of_settings(settings);
        if !unified {
            self.wanted.extend(of_devices(rules)?);
        }
        for property in from_annotations(annotations)? {
            self.wanted.retain(|other| other.name != property.name);
            self.wanted.push(property);
        }
        Ok(())
    }

    /// Has systemd make the unit, with process `pid` in it, and waits until it has.
    pub(super) fn start(&mut self, pid: Option<pid_t>, unified: bool) -> Result<()> {
        let mut wanted = std::mem::take(&mut self.wanted);
        let mut base = properties::base(&format!("bolo container {}", self.container), &self.slice, pid, unified);
        // An annotation about one of ours counts.
        base.retain(|property| !wanted.iter().any(|other| other.name == property.name));
        let mut bus = connect(self.user)?;
        bus.subscribe(MANAGER, "JobRemoved")?;
        let mut tried = false;
        loop {
            let all: Vec<&Property> = base.iter().chain(&wanted).collect();
            let arguments = [
                Value::String(self.name.clone()),
                // What is there already is not replaced.
                Value::String("fail".to_owned()),
                properties::array(&all),
                Value::Array("(sa(sv))".to_owned(), Vec::new()),
            ];
            match bus.call(manager("StartTransientUnit"), &arguments)? {
                Ok(job) => return self.wait_job(&mut bus, &job, "start"),
                // Of an earlier life, and failed: then its name is still taken.
                Err(refusal) if refusal.name.ends_with(".UnitExists") && !tried => {
                    tried = true;
                    let _ = bus.call(manager("ResetFailedUnit"), &[Value::String(self.name.clone())])?;
                }
                Err(refusal) if properties::unknown(&mut base, &mut wanted, &refusal) => {}
                Err(refusal) => return Err(refusal.error(format!("start unit {}", self.name))),
            }
        }
    }

    /// Ends the unit; that there is none is as good.
    pub(super) fn stop(&self) -> Result<()> {
        let mut bus = connect(self.user)?;
        bus.subscribe(MANAGER, "JobRemoved")?;
        let name = Value::String(self.name.clone());
        let stopped = bus.call(manager("StopUnit"), &[name.clone(), Value::String("replace".to_owned())])?;
        let result = match stopped {
            Ok(job) => self.wait_job(&mut bus, &job, "stop"),
            Err(refusal) if refusal.name.ends_with(".NoSuchUnit") => return Ok(()),
            Err(refusal) => Err(refusal.error(format!("stop unit {}", self.name))),
        };
        // A failed unit stays loaded, and keeps its name, until somebody says so.
        let _ = bus.call(manager("ResetFailedUnit"), &[name])?;
        result
    }

    /// Changes properties of the unit until it ends. When this returns systemd has done its writing.
    pub(super) fn set(&self, mut changes: Vec<Property>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut bus = connect(self.user)?;
        loop {
            let all: Vec<&Property> = changes.iter().collect();
            let arguments = [Value::String(self.name.clone()), Value::Bool(true), properties::array(&all)];
            match bus.call(manager("SetUnitProperties"), &arguments)? {
                Ok(_) => break,
                Err(refusal) if properties::unknown(&mut Vec::new(), &mut changes, &refusal) => {}
                Err(refusal) => return Err(refusal.error(format!("change unit {}", self.name))),
            }
        }
        // It writes to the cgroup after the answer, but before it hears the next question.
        let ping = Method { interface: "org.freedesktop.DBus.Peer", member: "Ping", ..manager("") };
        bus.call(ping, &[])?.map(drop).map_err(|refusal| refusal.error("ask systemd"))
    }

    fn wait_job(&self, bus: &mut Bus, answer: &[Value], verb: &str) -> Result<()> {
        let Some(job @ Value::Path(_)) = answer.first() else {
            bail!("{verb} unit {}: systemd names no job", self.name)
        };
        // JobRemoved: number, path, unit, result.
        match bus.wait_signal("JobRemoved", JOB_WAIT, |body| body.get(1) == Some(job))? {
            None => bail!("{verb} unit {}: systemd has not done it within {} s", self.name, JOB_WAIT.as_secs()),
            Some(body) => match body.get(3) {
                Some(Value::String(result)) if result == "done" => Ok(()),
                Some(Value::String(result)) => {
                    let _ = bus.call(manager("ResetFailedUnit"), &[Value::String(self.name.clone())])?;
                    bail!("{verb} unit {}: systemd's job ended with {result:?}", self.name)
                }
                _ => bail!("{verb} unit {}: systemd does not say how its job ended", self.name),
            },
        }
    }
}

#[cfg(test)]
mod tests;
