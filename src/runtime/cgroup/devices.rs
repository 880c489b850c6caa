//! Which devices a container may use: `linux.resources.devices`, then what every container needs. Version 1 has a list
//! of exceptions ([`list`]), version 2 a program of ours ([`program`]).

mod list;
mod program;

use super::place::Place;
use crate::bail;
use crate::error::{Context, Result};
use crate::runtime::spec::resources::DeviceRule;
use crate::sys::{Errno, OFlag, bpf, fd};
use list::List;
use std::ffi::CStr;
use std::os::fd::AsFd;

/// By it an update finds the program again.
const PROGRAM_NAME: &CStr = c"bolo_devices";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Char,
    Block,
}

/// What is done with devices: bits of [`bpf::DEVCG_ACC_READ`] and the others.
type Access = u8;
const READ: Access = bpf::DEVCG_ACC_READ;
const WRITE: Access = bpf::DEVCG_ACC_WRITE;
const MKNOD: Access = bpf::DEVCG_ACC_MKNOD;
const RWM: Access = READ | WRITE | MKNOD;

/// None: any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    kind: Option<Kind>,
    major: Option<u32>,
    minor: Option<u32>,
    access: Access,
}

impl Rule {
    const fn allow(kind: Kind, major: Option<u32>, minor: Option<u32>, access: Access) -> Rule {
        Rule { allow: true, kind: Some(kind), major, minor, access }
    }

    /// It decides about everything: what was said before it counts no more.
    fn is_about_all(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.access == RWM
    }
}

/// What every container may use: making nodes, which alone opens nothing, and the devices of config-linux.md, "Default
/// Devices", with pseudo-terminals and the TUN device.
const DEFAULT: [Rule; 11] = [
    Rule::allow(Kind::Char, None, None, MKNOD),
    Rule::allow(Kind::Block, None, None, MKNOD),
    Rule::allow(Kind::Char, Some(1), Some(3), RWM),    // null
    Rule::allow(Kind::Char, Some(1), Some(5), RWM),    // zero
    Rule::allow(Kind::Char, Some(1), Some(7), RWM),    // full
    Rule::allow(Kind::Char, Some(1), Some(8), RWM),    // random
    Rule::allow(Kind::Char, Some(1), Some(9), RWM),    // urandom
    Rule::allow(Kind::Char, Some(5), Some(0), RWM),    // tty
    Rule::allow(Kind::Char, Some(5), Some(2), RWM),    // ptmx
    Rule::allow(Kind::Char, Some(136), None, RWM),     // pts/*
    Rule::allow(Kind::Char, Some(10), Some(200), RWM), // net/tun
];

/// Everything that decides, in order: the last rule that is about a device counts. Without any rule of the user's all
/// but the defaults are denied.
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn parse(devices: &[DeviceRule]) -> Result<Rules> {
        let mut rules = Vec::with_capacity(devices.len() + DEFAULT.len());
        for (index, device) in devices.iter().enumerate() {
            rules.push(parse(device, &format!("linux.resources.devices[{index}]"))?);
        }
        rules.extend(DEFAULT);
        let start = rules.iter().rposition(Rule::is_about_all).unwrap_or(0);
        Ok(Rules(rules.split_off(start)))
    }

    /// Whether nothing is denied.
    pub(super) fn allow_all(&self) -> bool {
        self.0.first().is_some_and(Rule::is_about_all) && self.0.iter().all(|rule| rule.allow)
    }

    /// The rules as systemd knows them: all, or a list of nodes.
    pub(super) fn allowed(&self) -> Result<Allowed> {
        List::new(&self.0).map(|list| list.allowed())
    }

    /// Refuses what `place` cannot do; no side effect.
    pub(super) fn check(&self, place: &Place) -> Result<()> {
        if place.is_v2() { Ok(()) } else { List::new(&self.0).map(drop) }
    }

    pub(super) fn apply(&self, place: &Place) -> Result<()> {
        if place.is_v2() {
            let program = program::compile(&self.0);
            return attach(place, &program).with(|| format!("linux.resources.devices: cgroup {}", place.shown()));
        }
        let now = place.read("devices.list").with(|| format!("read {}/devices.list", place.shown()))?;
        let (allow, deny) = List::new(&self.0)?.changes(&List::read(&now));
        // Denying everything goes before allowing anything, and taking single rules away after it, so that at no time a
        // device is refused that was and stays allowed.
        let (first, last): (Vec<_>, Vec<_>) = deny.into_iter().partition(|rule| rule == "a");
        for (file, lines) in [("devices.deny", first), ("devices.allow", allow), ("devices.deny", last)] {
            write_lines(place, file, &lines)?;
        }
        Ok(())
    }
}

/// systemd.resource-control(5), DevicePolicy= and DeviceAllow=.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// But for what version 1's files deny besides.
    All,
    /// Nodes, and some of the letters r, w, m.
    Only(Vec<(String, String)>),
}

fn write_lines(place: &Place, file: &str, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let opened = place.open(file, OFlag::O_WRONLY).with(|| format!("open {}/{file}", place.shown()))?;
    for line in lines {
        let written = fd::write_once(&opened, line.as_bytes());
        written.with(|| format!("linux.resources.devices: write {line:?} to {}/{file}", place.shown()))?;
    }
    Ok(())
}

/// In the place of the program that an earlier call attached; other programs stay: they deny on their own.
fn attach(place: &Place, program: &[bpf::Instruction]) -> Result<()> {
    let cgroup = place.directory().context("open the directory")?;
    let loaded = bpf::load_device_program(program, PROGRAM_NAME).context("load the device program")?;
    let mut ours = Vec::new();
    for attached in bpf::device_programs(cgroup).context("list the device programs")? {
        if bpf::is_named(&attached, PROGRAM_NAME).context("name a device program")? {
            ours.push(attached);
        }
    }
    let mut ours = ours.iter();
    let attached = match ours.next() {
        None => bpf::attach_device_program(cgroup, loaded.as_fd(), None),
        Some(old) => bpf::attach_device_program(cgroup, loaded.as_fd(), Some(old.as_fd())),
    };
    attached.context("attach the device program")?;
    for old in ours {
        bpf::detach_device_program(cgroup, old.as_fd()).context("detach an old device program")?;
    }
    Ok(())
}

/// Whether the kernel does not let us: in a user namespace devices are the host's business.
pub(super) fn is_refused(error: &crate::error::Error) -> bool {
    matches!(error.errno(), Some(Errno::EPERM | Errno::EACCES))
}

fn parse(device: &DeviceRule, origin: &str) -> Result<Rule> {
    let kind = match device.kind.as_deref().unwrap_or_default() {
        "" | "a" => None,
        "c" | "u" => Some(Kind::Char),
        "b" => Some(Kind::Block),
        other => bail!("{origin}.type: {other:?} is none of a, b and c"),
    };
    let number = |value: Option<i64>, member: &str| match value {
        None | Some(-1) => Ok(None),
        Some(value) => match u32::try_from(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) => bail!("{origin}.{member}: {value} is no device number; -1 means every"),
        },
    };
    let mut access = 0;
    for letter in device.access.as_deref().unwrap_or_default().chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            other => bail!("{origin}.access: {other:?} is none of r, w and m"),
        };
    }
    let access = if access == 0 { RWM } else { access };
    let (major, minor) = (number(device.major, "major")?, number(device.minor, "minor")?);
    Ok(Rule { allow: device.allow.unwrap_or_default(), kind, major, minor, access })
}

#[cfg(test)]
mod tests;
