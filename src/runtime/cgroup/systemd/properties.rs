//! Properties of units: what every unit of ours has, those that say the same as files of cgroups, and those that
//! annotations ask for.

use super::super::devices::{Allowed, Rules};
use super::super::setting::Setting;
use crate::bail;
use crate::error::{Context, Result};
use crate::runtime::dbus::{Refusal, Value, parse_text};
use crate::runtime::spec::Map;
use crate::runtime::spec::list;
use crate::sys::process::pid_t;

const ANNOTATION: &str = "org.systemd.property.";
/// systemd's word for no limit.
const INFINITY: u64 = u64::MAX;
const SECOND: u64 = 1_000_000;
/// systemd keeps percents: a finer quota would be rounded down below what was asked for.
const PERCENT: u64 = 10_000;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Property {
    pub(in super::super) name: String,
    pub(in super::super) value: Value,
    /// An older systemd may do without: the file is written besides.
    spare: bool,
}

impl Property {
    fn new(name: &str, value: Value) -> Self {
        Property { name: name.to_owned(), value, spare: false }
    }

    fn spare(name: &str, value: Value) -> Self {
        Property { spare: true, ..Property::new(name, value) }
    }

    /// What it is on a unit where nobody has set it.
    pub(in super::super) fn reset(&self) -> Property {
        let value = match (self.name.as_str(), &self.value) {
            ("MemoryLow" | "MemoryMin", _) => Value::Uint64(0),
            ("OOMPolicy", _) => Value::String("continue".to_owned()),
            ("DevicePolicy", _) => Value::String("auto".to_owned()),
            (_, Value::Array(element, _)) => Value::Array(element.clone(), Vec::new()),
            _ => Value::Uint64(INFINITY),
        };
        Property { name: self.name.clone(), value, spare: self.spare }
    }
}

pub(super) fn array(properties: &[&Property]) -> Value {
    let pair = |property: &&Property| {
        Value::Struct(vec![Value::String(property.name.clone()), property.value.clone().variant()])
    };
    Value::Array("(sv)".to_owned(), properties.iter().map(pair).collect())
}

/// What every unit has. systemd must not make it depend on, or stop it with, anything (DefaultDependencies); a failed one
/// need not be asked for again (CollectMode).
pub(super) fn base(description: &str, slice: &str, pid: Option<pid_t>, unified: bool) -> Vec<Property> {
    let text = |text: &str| Value::String(text.to_owned());
    let mut properties = vec![Property::new("Description", text(description))];
    match pid {
        Some(pid) => {
            let pid = u32::try_from(pid).unwrap_or_default();
            properties.push(Property::new("Slice", text(slice)));
            properties.push(Property::new("Delegate", Value::Bool(true)));
            properties.push(Property::new("PIDs", Value::Array("u".to_owned(), vec![Value::Uint32(pid)])));
        }
        // A slice's place is in its name.
        None => properties.push(Property::new("Wants", Value::strings(vec![slice.to_owned()]))),
    }
    let io = if unified { "IOAccounting" } else { "BlockIOAccounting" };
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        properties.push(Property::spare(name, Value::Bool(true)));
    }
    properties.push(Property::new("DefaultDependencies", Value::Bool(false)));
    // KERNEL: none; systemd 236.
    properties.push(Property::spare("CollectMode", text("inactive-or-failed")));
    properties
}

/// After a refusal: takes out the property that this systemd does not know, or does not know the value of, where we can
/// do without it. Whether there was one.
pub(super) fn unknown(base: &mut Vec<Property>, wanted: &mut Vec<Property>, refusal: &Refusal) -> bool {
    let about_one = [".PropertyReadOnly", ".UnknownProperty", ".InvalidArgs"];
    if !about_one.iter().any(|end| refusal.name.ends_with(end)) {
        return false;
    }
    let mut words = refusal.message.split(|c: char| !c.is_ascii_alphanumeric());
    let Some(name) = words
        .find_map(|word| base.iter().chain(wanted.iter()).find(|property| property.spare && property.name == word))
    else {
        return false;
    };
    let name = name.name.clone();
    base.retain(|property| property.name != name);
    wanted.retain(|property| property.name != name);
    true
}

/// Files of cgroups that systemd has a property for.
type Convert = fn(&str, &str) -> Option<Value>;
const FILES: [(&str, &str, Convert); 17] = [
    ("memory.max", "MemoryMax", number),
    ("memory.high", "MemoryHigh", number),
    ("memory.low", "MemoryLow", number),
    ("memory.min", "MemoryMin", number),
    ("memory.swap.max", "MemorySwapMax", number),
    ("memory.zswap.max", "MemoryZSwapMax", number),
    ("memory.oom.group", "OOMPolicy", oom_policy),
    ("memory.limit_in_bytes", "MemoryLimit", number),
    ("pids.max", "TasksMax", tasks),
    ("cpu.weight", "CPUWeight", number),
    ("cpu.idle", "CPUWeight", idle),
    ("cpu.shares", "CPUShares", number),
    ("cpuset.cpus", "AllowedCPUs", bits),
    ("cpuset.mems", "AllowedMemoryNodes", bits),
    ("io.weight", "IOWeight", number),
    ("blkio.weight", "BlockIOWeight", number),
    ("blkio.bfq.weight", "BlockIOWeight", number),
];

/// The properties that say the same as these settings.
pub(in super::super) fn of_settings(settings: &[Setting]) -> Vec<Property> {
    let mut properties: Vec<Property> = Vec::new();
    let mut put = |property: Property| {
        properties.retain(|other| other.name != property.name);
        properties.push(property);
    };
    let (mut quota, mut period) = (None, None);
    for setting in settings {
        let known = setting.with_instead().find_map(|setting| {
            let (_, name, convert) = FILES.iter().find(|(file, ..)| *file == setting.file)?;
            convert(&setting.value, &setting.origin).map(|value| Property::spare(name, value))
        });
        if let Some(property) = known {
            put(property);
        }
        match setting.file.as_str() {
            "cpu.max" => {
                let mut words = setting.value.split_whitespace();
                quota = words.next().map(str::to_owned);
                period = words.next().map(str::to_owned).or(period);
            }
            "cpu.cfs_quota_us" => quota = Some(setting.value.clone()),
            "cpu.cfs_period_us" => period = Some(setting.value.clone()),
            _ => {}
        }
    }
    let period: Option<u64> = period.and_then(|period| period.parse().ok()).filter(|period| *period > 0);
    if let Some(quota) = quota {
        put(Property::spare("CPUQuotaPerSecUSec", Value::Uint64(per_second(&quota, period))));
    }
    if let Some(period) = period {
        put(Property::spare("CPUQuotaPeriodUSec", Value::Uint64(period)));
    }
    properties
}

fn per_second(quota: &str, period: Option<u64>) -> u64 {
    let Ok(quota) = quota.parse::<u64>() else { return INFINITY };
    let each = quota.checked_mul(SECOND).map(|time| time / period.unwrap_or(100_000));
    each.and_then(|each| each.checked_next_multiple_of(PERCENT)).unwrap_or(INFINITY)
}

fn number(text: &str, _: &str) -> Option<Value> {
    match text {
        "max" | "-1" => Some(Value::Uint64(INFINITY)),
        text => text.parse().ok().map(Value::Uint64),
    }
}

/// systemd refuses 0; the file, which is written besides, has it.
fn tasks(text: &str, origin: &str) -> Option<Value> {
    if text == "0" { Some(Value::Uint64(1)) } else { number(text, origin) }
}

/// systemd 252: weight 0 is the idle one.
fn idle(text: &str, _: &str) -> Option<Value> {
    (text == "1").then_some(Value::Uint64(0))
}

fn oom_policy(text: &str, _: &str) -> Option<Value> {
    Some(Value::String(if text == "1" { "kill" } else { "continue" }.to_owned()))
}

fn bits(text: &str, origin: &str) -> Option<Value> {
    let words = list::bits(text.trim(), origin).ok()?;
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Some(Value::Array("y".to_owned(), bytes.into_iter().map(Value::Byte).collect()))
}

/// Version 1 alone: there systemd writes devices.allow by what it knows, at every reload. With version 2 it would have a
/// program of its own, beside ours, that an update could not widen and that forgets devices at a reload: there it is told
/// nothing, and ours decides.
pub(in super::super) fn of_devices(rules: &Rules) -> Result<Vec<Property>> {
    let pair = |node: String, access: String| Value::Struct(vec![Value::String(node), Value::String(access)]);
    let allow = |list: Vec<Value>| Property::new("DeviceAllow", Value::Array("(ss)".to_owned(), list));
    let policy = |word: &str| Property::new("DevicePolicy", Value::String(word.to_owned()));
    Ok(match rules.allowed()? {
        Allowed::All => vec![policy("auto"), allow(Vec::new())],
        Allowed::Only(nodes) => {
            let list = nodes.into_iter().map(|(node, access)| pair(node, access)).collect();
            // The empty list first: the property is laid over what there is.
            vec![policy("strict"), allow(Vec::new()), allow(list)]
        }
    })
}

/// `org.systemd.property.NAME`: a value in GVariant's text format. A time in seconds (`TimeoutStopSec`) is given to
/// systemd's D-Bus in microseconds (`TimeoutStopUSec`).
pub(in super::super) fn from_annotations(annotations: &Map) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(ANNOTATION) else { continue };
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            bail!("annotations[{key:?}]: {name:?} is no property of a unit");
        }
        let value = parse_text(text).with(|| format!("annotations[{key:?}]: {text:?}"))?;
        properties.push(match name.strip_suffix("Sec") {
            Some(stem) if !stem.ends_with('U') => match microseconds(&value) {
                Some(time) => Property::new(&format!("{stem}USec"), Value::Uint64(time)),
                None => bail!("annotations[{key:?}]: {text:?} is no time in seconds"),
            },
            _ => Property::new(name, value),
        });
    }
    Ok(properties)
}

fn microseconds(value: &Value) -> Option<u64> {
    let whole = match *value {
        Value::Byte(value) => u64::from(value),
        Value::Uint16(value) => u64::from(value),
        Value::Uint32(value) => u64::from(value),
        Value::Uint64(value) => value,
        Value::Int16(value) => u64::try_from(value).ok()?,
        Value::Int32(value) => u64::try_from(value).ok()?,
        Value::Int64(value) => u64::try_from(value).ok()?,
        Value::Double(value) if (0.0..1e12).contains(&value) => return Some((value * SECOND as f64) as u64),
        _ => return None,
    };
    whole.checked_mul(SECOND)
}
