//! Documentation/admin-guide/cgroup-v1/devices.rst: everything is allowed, or everything is denied, with exceptions.

use super::{Access, Allowed, Kind, MKNOD, READ, RWM, Rule, WRITE};
use crate::bail;
use crate::error::Result;
use std::collections::BTreeMap;

type Device = (Kind, Option<u32>, Option<u32>);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    allow_all: bool,
    exceptions: BTreeMap<Device, Access>,
}

impl List {
    pub(super) fn new(rules: &[Rule]) -> Result<List> {
        let mut list = List { allow_all: false, exceptions: BTreeMap::new() };
        for rule in rules {
            if rule.is_about_all() {
                list = List { allow_all: rule.allow, exceptions: BTreeMap::new() };
                continue;
            }
            for kind in [Kind::Char, Kind::Block] {
                if rule.kind.is_none_or(|only| only == kind) {
                    list.add((kind, rule.major, rule.minor), rule)?;
                }
            }
        }
        list.exceptions.retain(|_, access| *access != 0);
        Ok(list)
    }

    fn add(&mut self, device: Device, rule: &Rule) -> Result<()> {
        if rule.allow != self.allow_all {
            *self.exceptions.entry(device).or_default() |= rule.access;
            return Ok(());
        }
        for (other, access) in &mut self.exceptions {
            if covers(device, *other) {
                *access &= !rule.access;
            } else if overlap(*other, device) && *access & rule.access != 0 {
                let verb = |allow: bool| if allow { "allow" } else { "deny" };
                bail!(
                    "linux.resources.devices: cgroup version 1 cannot {} {} out of the rule to {} {}",
                    verb(rule.allow),
                    text(device, rule.access),
                    verb(!rule.allow),
                    text(*other, *access)
                );
            }
        }
        Ok(())
    }

    /// What systemd can be told of it: it knows no rule about a minor number alone.
    pub(super) fn allowed(&self) -> Allowed {
        if self.allow_all {
            return Allowed::All;
        }
        let node = |(kind, major, minor): &Device| {
            let kind = if *kind == Kind::Char { "char" } else { "block" };
            match (major, minor) {
                (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
                (Some(major), None) => Some(format!("{kind}-{major}")),
                (None, None) => Some(format!("{kind}-*")),
                (None, Some(_)) => None,
            }
        };
        let listed = self.exceptions.iter().filter_map(|(device, access)| Some((node(device)?, letters(*access))));
        Allowed::Only(listed.collect())
    }

    /// `devices.list`; where all is allowed, the kernel does not tell the exceptions.
    pub(super) fn read(text: &str) -> List {
        let mut list = List { allow_all: false, exceptions: BTreeMap::new() };
        for line in text.lines() {
            let mut words = line.split([' ', ':']);
            let kind = match words.next() {
                Some("c") => Kind::Char,
                Some("b") => Kind::Block,
                Some("a") => return List { allow_all: true, exceptions: BTreeMap::new() },
                _ => continue,
            };
            let (major, minor) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let letters = words.next().unwrap_or_default();
            let bit = |letter: char, bit: Access| if letters.contains(letter) { bit } else { 0 };
            let access = bit('r', READ) | bit('w', WRITE) | bit('m', MKNOD);
            list.exceptions.insert((kind, major.parse().ok(), minor.parse().ok()), access);
        }
        list
    }

    /// What is to be written to `devices.allow` and `devices.deny` to make `now` this list. `a`, about all, is first.
    pub(super) fn changes(&self, now: &List) -> (Vec<String>, Vec<String>) {
        let (mut allow, mut deny) = (Vec::new(), Vec::new());
        let nothing = BTreeMap::new();
        let mut old = &now.exceptions;
        if self.allow_all != now.allow_all || (self.allow_all && !self.exceptions.is_empty()) {
            (if self.allow_all { &mut allow } else { &mut deny }).push("a".to_owned());
            old = &nothing;
        }
        let (add, remove) = if self.allow_all { (&mut deny, &mut allow) } else { (&mut allow, &mut deny) };
        for (device, access) in &self.exceptions {
            let new = access & !old.get(device).copied().unwrap_or_default();
            if new != 0 {
                add.push(text(*device, new));
            }
        }
        for (device, access) in old {
            let gone = access & !self.exceptions.get(device).copied().unwrap_or_default();
            if gone != 0 {
                remove.push(text(*device, gone));
            }
        }
        (allow, deny)
    }
}

/// Whether some device is meant by both.
fn overlap(one: Device, other: Device) -> bool {
    let both = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
    one.0 == other.0 && both(one.1, other.1) && both(one.2, other.2)
}

/// Whether every device that `other` means is meant by `one`.
fn covers(one: Device, other: Device) -> bool {
    let all = |one: Option<u32>, other: Option<u32>| one.is_none() || one == other;
    one.0 == other.0 && all(one.1, other.1) && all(one.2, other.2)
}

fn text(device: Device, access: Access) -> String {
    let (kind, major, minor) = device;
    let kind = if kind == Kind::Char { 'c' } else { 'b' };
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(major), number(minor), letters(access))
}

fn letters(access: Access) -> String {
    let mut text = String::new();
    for (letter, bit) in [('r', READ), ('w', WRITE), ('m', MKNOD)] {
        if access & RWM & bit != 0 {
            text.push(letter);
        }
    }
    text
}
