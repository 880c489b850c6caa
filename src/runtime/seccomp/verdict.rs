//! Rules about names to verdicts about numbers.

use super::arch::{Abi, Arch, Machine, carried, lookup};
use super::profile::{Condition, Op, Profile, Rule};
use super::syscalls::Row;
use crate::bail;
use crate::error::Result;
use crate::sys::seccomp as sys;

/// What happens to every call that shows one `seccomp_data.arch`: ranges without gaps from 0 to the greatest number,
/// neighbours with different verdicts.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) audit: u32,
    pub(super) ranges: Vec<Range>,
    /// Referred to by `Verdict::Test`.
    pub(super) tests: Vec<Test>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first number; the next range's first ends it.
    pub(super) first: u32,
    pub(super) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Return(u32),
    Test(usize),
}

/// A verdict that depends on arguments: the first case whose conditions all hold gives it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) cases: Vec<Case>,
    pub(super) otherwise: u32,
    /// Look at the upper halves of the arguments too.
    pub(super) wide: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) all: Vec<Condition>,
    pub(super) action: u32,
}

/// A rule about a number.
struct Entry<'a> {
    number: u32,
    rule: &'a Rule<'a>,
    /// Only for this call out of those that the number carries.
    carried: Option<u32>,
}

/// The maps of a native architecture and what runs beside it, the native one's first.
pub(super) fn maps(profile: &Profile, native: Arch) -> Result<Vec<Map>> {
    let machines = native.machines();
    if machines.is_empty() {
        bail!("linux.seccomp: no filter can be made for {}: its system calls are not known here", native.word());
    }
    let listed = |abi: &Abi| abi.arch == native || profile.arches.contains(&abi.arch);
    let rows: Vec<_> = profile
        .rules
        .iter()
        .flat_map(|rule| rule.names.iter().filter_map(|name| lookup(name)).map(move |row| (rule, row)))
        .collect();
    let used = machines.iter().filter(|machine| machine.abis.iter().any(listed));
    Ok(used.map(|machine| map(profile.default, &rows, machine, listed)).collect())
}

fn map(default: u32, rows: &[(&Rule, &Row)], machine: &Machine, listed: impl Fn(&Abi) -> bool) -> Map {
    let mut map = Map { audit: machine.audit, ranges: Vec::new(), tests: Vec::new() };
    for abi in machine.abis {
        if listed(abi) {
            map.add_abi(default, rows, abi);
        } else {
            map.add(abi.base, Verdict::Return(sys::RET_KILL_THREAD));
            // A tracer sets the number to -1 to have the call skipped; that is no call of the ABI with the last base.
            map.add(u32::MAX, Verdict::Return(default));
        }
    }
    map
}

impl Map {
    /// `first` is greater than in every earlier call.
    fn add(&mut self, first: u32, verdict: Verdict) {
        if self.ranges.last().is_none_or(|last| last.verdict != verdict) {
            self.ranges.push(Range { first, verdict });
        }
    }

    /// The numbers from the ABI's base up.
    fn add_abi(&mut self, default: u32, rows: &[(&Rule, &Row)], abi: &Abi) {
        let entries = entries(rows, abi);
        let newest = entries.iter().rev().map(|entry| entry.number).find(|number| !arm_private(*number));
        let unnamed = |number: u32| match newest {
            Some(newest) if number > newest && refuses(default) => Verdict::Return(sys::RET_ERRNO | sys::ENOSYS),
            _ => Verdict::Return(default),
        };
        let mut next = abi.base;
        for group in entries.chunk_by(|a, b| a.number == b.number) {
            let Some(number) = group.first().map(|entry| entry.number) else { continue };
            if next < number {
                self.add(next, unnamed(next));
            }
            let verdict = self.decide(default, group, abi.wide);
            self.add(number, verdict);
            next = number.saturating_add(1);
        }
        self.add(next, unnamed(next));
    }

    /// What the rules about one number come to.
    fn decide(&mut self, default: u32, group: &[Entry], wide: bool) -> Verdict {
        let telling = || group.iter().filter(|entry| entry.rule.action != default);
        if let Some(entry) = telling().find(|entry| entry.carried.is_none() && entry.rule.unconditional()) {
            return Verdict::Return(entry.rule.action);
        }
        let mut test = Test { cases: Vec::new(), otherwise: default, wide };
        for entry in telling() {
            let action = entry.rule.action;
            for all in entry.rule.any.iter().filter_map(|all| reachable(entry, all, default)) {
                match settle(&all, wide) {
                    None => {}
                    Some(all) if all.is_empty() => {
                        test.otherwise = action;
                        return self.test(test);
                    }
                    Some(all) => test.cases.push(Case { all, action }),
                }
            }
        }
        self.test(test)
    }

    fn test(&mut self, test: Test) -> Verdict {
        if test.cases.is_empty() {
            return Verdict::Return(test.otherwise);
        }
        let index = self.tests.iter().position(|known| *known == test).unwrap_or_else(|| {
            self.tests.push(test);
            self.tests.len() - 1
        });
        Verdict::Test(index)
    }
}

/// All rules by number, those of one number in the order of the profile.
fn entries<'a>(rows: &[(&'a Rule<'a>, &Row)], abi: &Abi) -> Vec<Entry<'a>> {
    let mut entries = Vec::with_capacity(rows.len() + 32);
    for (rule, row) in rows {
        if let Some(number) = abi.number(row) {
            entries.push(Entry { number, rule, carried: None });
        }
        if abi.arch == Arch::X86
            && let Some((number, call)) = carried(row.0)
        {
            entries.push(Entry { number, rule, carried: Some(call) });
        }
    }
    entries.sort_by_key(|entry| entry.number);
    entries
}

/// arm's own calls are far above those that new kernels add, and say nothing about the age of a profile.
fn arm_private(number: u32) -> bool {
    (0xf0000..sys::X32_SYSCALL_BIT).contains(&number)
}

/// TRACE is a permission: a tracer answers for itself.
fn refuses(action: u32) -> bool {
    !matches!(action & sys::RET_ACTION_FULL, sys::RET_ALLOW | sys::RET_LOG | sys::RET_TRACE)
}

/// The conditions as the filter can see them. None: it cannot, and guessing would open a hole.
fn reachable(entry: &Entry, all: &[Condition], default: u32) -> Option<Vec<Condition>> {
    let Some(call) = entry.carried else { return Some(all.to_vec()) };
    if !all.is_empty() && !stricter(entry.rule.action, default) {
        return None;
    }
    Some(vec![Condition { arg: 0, op: Op::Eq, value: call.into() }])
}

/// The kernel's own order when several filters disagree.
fn stricter(action: u32, than: u32) -> bool {
    let rank = |action: u32| (action & sys::RET_ACTION_FULL).cast_signed();
    rank(action) < rank(than)
}

/// The conditions at the width of the arguments, without those that always hold. None: one never holds.
fn settle(all: &[Condition], wide: bool) -> Option<Vec<Condition>> {
    let max = if wide { u64::MAX } else { u32::MAX.into() };
    let mut settled = Vec::with_capacity(all.len());
    for condition in all {
        let value = condition.value & max;
        let op = match condition.op {
            Op::MaskedEq(mask) => Op::MaskedEq(mask & max),
            op => op,
        };
        match op {
            Op::Lt if value == 0 => return None,
            Op::Gt if value == max => return None,
            Op::Ge if value == 0 => {}
            Op::Le if value == max => {}
            Op::MaskedEq(0) => {}
            _ => settled.push(Condition { arg: condition.arg, op, value }),
        }
    }
    Some(settled)
}
