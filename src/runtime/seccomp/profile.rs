//! Words to values. Every refusal names its place in config.json.

use super::Listener;
use super::arch::Arch;
use crate::error::Error;
use crate::runtime::spec::seccomp::{Arg, Seccomp, Syscall};
use crate::sys::seccomp as sys;

#[derive(Debug)]
pub(super) struct Profile<'a> {
    /// A filter's return value, as is every `action` here.
    pub(super) default: u32,
    pub(super) arches: Vec<Arch>,
    pub(super) flags: u32,
    /// There is one if and only if a rule notifies.
    pub(super) listener: Option<Listener>,
    pub(super) rules: Vec<Rule<'a>>,
}

#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) names: &'a [String],
    pub(super) action: u32,
    /// The rule holds when all conditions of one of these hold; one without conditions always does.
    pub(super) any: Vec<Vec<Condition>>,
}

impl Rule<'_> {
    pub(super) fn unconditional(&self) -> bool {
        self.any.iter().any(Vec::is_empty)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) arg: u32,
    pub(super) op: Op,
    pub(super) value: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    /// `argument & mask == value & mask`
    MaskedEq(u64),
}

const ARGS: u32 = 6;
/// SECCOMP_RET_DATA
const DATA_MAX: u32 = 0xffff;

/// What is wrong, and where below `linux.seccomp`.
struct Refusal {
    place: String,
    why: String,
}

type Result<T> = std::result::Result<T, Refusal>;

fn refuse<T>(place: impl Into<String>, why: impl Into<String>) -> Result<T> {
    Err(Refusal { place: place.into(), why: why.into() })
}

/// The refusal came from entry `index` of `list`.
fn within<'a>(list: &'a str, index: usize) -> impl FnOnce(Refusal) -> Refusal + 'a {
    move |refusal| Refusal { place: format!("{list}[{index}].{}", refusal.place), why: refusal.why }
}

impl<'a> Profile<'a> {
    pub(super) fn parse(spec: &'a Seccomp) -> crate::error::Result<Profile<'a>> {
        parse(spec).map_err(|refusal| Error::new(format!("linux.seccomp.{}: {}", refusal.place, refusal.why)))
    }
}

fn parse(spec: &Seccomp) -> Result<Profile<'_>> {
    let default = action(&spec.default_action, spec.default_errno_ret, "defaultAction", "defaultErrnoRet")?;
    if default == sys::RET_USER_NOTIF {
        return refuse("defaultAction", "SCMP_ACT_NOTIFY is for single system calls, not for the default");
    }
    let mut arches = Vec::with_capacity(spec.architectures.len());
    for (i, word) in spec.architectures.iter().enumerate() {
        match Arch::from_word(word) {
            Some(arch) => arches.push(arch),
            None => return refuse(format!("architectures[{i}]"), format!("unknown architecture {word:?}")),
        }
    }
    let mut rules = Vec::with_capacity(spec.syscalls.len());
    for (i, syscall) in spec.syscalls.iter().enumerate() {
        rules.push(rule(syscall).map_err(within("syscalls", i))?);
    }
    let notifies = rules.iter().any(|rule| rule.action == sys::RET_USER_NOTIF && !rule.names.is_empty());
    let listener = listener(spec, notifies)?;
    let flags = flags(spec.flags.as_deref(), notifies)?;
    Ok(Profile { default, arches, flags, listener, rules })
}

fn action(word: &str, errno: Option<u32>, place: &str, errno_place: &str) -> Result<u32> {
    let plain = match word {
        "SCMP_ACT_ERRNO" => return with_data(sys::RET_ERRNO, errno, sys::MAX_ERRNO, errno_place),
        "SCMP_ACT_TRACE" => return with_data(sys::RET_TRACE, errno, DATA_MAX, errno_place),
        "SCMP_ACT_ALLOW" => sys::RET_ALLOW,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => sys::RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => sys::RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => sys::RET_TRAP,
        "SCMP_ACT_LOG" => sys::RET_LOG,
        "SCMP_ACT_NOTIFY" => sys::RET_USER_NOTIF,
        "" => return refuse(place, "missing"),
        _ => return refuse(place, format!("unknown action {word:?}")),
    };
    // The specification makes this an error: the author expected something else than what would happen.
    if errno.is_some() {
        return refuse(errno_place, format!("{word} carries no errno; only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do"));
    }
    Ok(plain)
}

fn with_data(base: u32, errno: Option<u32>, max: u32, place: &str) -> Result<u32> {
    match errno.unwrap_or(sys::EPERM) {
        data if data > max => refuse(place, format!("{data} is more than the action can carry, which is {max}")),
        data => Ok(base | data),
    }
}

fn rule(syscall: &Syscall) -> Result<Rule<'_>> {
    let action = action(&syscall.action, syscall.errno_ret, "action", "errnoRet")?;
    if syscall.names.is_empty() {
        return refuse("names", "missing; a rule is about at least one system call");
    }
    for (i, name) in syscall.names.iter().enumerate() {
        if name.is_empty() {
            return refuse(format!("names[{i}]"), "empty");
        }
        // The process that loads the filter has yet to write: it would wait for an agent that cannot know of it.
        if action == sys::RET_USER_NOTIF && name == "write" {
            return refuse(format!("names[{i}]"), "SCMP_ACT_NOTIFY cannot be used for write");
        }
    }
    let mut conditions = Vec::with_capacity(syscall.args.len());
    let mut seen = 0u8;
    let mut twice = false;
    for (i, arg) in syscall.args.iter().enumerate() {
        let condition = condition(arg).map_err(within("args", i))?;
        let bit = 1 << condition.arg;
        twice |= seen & bit != 0;
        seen |= bit;
        conditions.push(condition);
    }
    let any = if twice { conditions.into_iter().map(|one| vec![one]).collect() } else { vec![conditions] };
    Ok(Rule { names: &syscall.names, action, any })
}

fn condition(spec: &Arg) -> Result<Condition> {
    let Some(arg) = spec.index else { return refuse("index", "missing") };
    if arg >= ARGS {
        return refuse("index", format!("{arg} is none of a system call's arguments, which are 0 to 5"));
    }
    let Some(value) = spec.value else { return refuse("value", "missing") };
    let op = match spec.op.as_str() {
        "SCMP_CMP_NE" => Op::Ne,
        "SCMP_CMP_LT" => Op::Lt,
        "SCMP_CMP_LE" => Op::Le,
        "SCMP_CMP_EQ" => Op::Eq,
        "SCMP_CMP_GE" => Op::Ge,
        "SCMP_CMP_GT" => Op::Gt,
        // The one operator whose `value` is not what the argument is compared with: that is valueTwo.
        "SCMP_CMP_MASKED_EQ" => return Ok(Condition { arg, op: Op::MaskedEq(value), value: spec.value_two & value }),
        "" => return refuse("op", "missing"),
        word => return refuse("op", format!("unknown operator {word:?}")),
    };
    Ok(Condition { arg, op, value })
}

fn listener(spec: &Seccomp, notifies: bool) -> Result<Option<Listener>> {
    if spec.listener_path.is_empty() && !spec.listener_metadata.is_empty() {
        return refuse("listenerMetadata", "set, but there is no listenerPath to send it to");
    }
    if !notifies {
        return Ok(None);
    }
    if spec.listener_path.is_empty() {
        return refuse("listenerPath", "missing, and a rule has SCMP_ACT_NOTIFY");
    }
    Ok(Some(Listener { path: spec.listener_path.clone(), metadata: spec.listener_metadata.clone() }))
}

fn flags(words: Option<&[String]>, notifies: bool) -> Result<u32> {
    // As runc and crun: without it, every process pays for the mitigation of speculative store bypass.
    let Some(words) = words else { return Ok(sys::FLAG_SPEC_ALLOW) };
    let mut flags = 0;
    for (i, word) in words.iter().enumerate() {
        flags |= match word.as_str() {
            "SECCOMP_FILTER_FLAG_LOG" => sys::FLAG_LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => sys::FLAG_SPEC_ALLOW,
            // One thread loads the filter, and it has no sisters; the kernel refuses TSYNC beside NEW_LISTENER.
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            // The kernel refuses it without a listener.
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if notifies => sys::FLAG_WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => 0,
            _ => return refuse(format!("flags[{i}]"), format!("unknown flag {word:?}")),
        };
    }
    Ok(flags)
}
