//! The meaning of a profile, read word by word for one call, without ranges, trees or words of 32 bits.

use super::super::Arch;
use super::super::arch::{carried, lookup};
use crate::runtime::spec::seccomp::{Arg, Seccomp, Syscall};

pub(crate) struct Reading<'a> {
    default: u32,
    abi: Arch,
    listed: bool,
    permissive: bool,
    /// Number, rule, its action, and the call that the number carries.
    named: Vec<(u32, &'a Syscall, u32, Option<u32>)>,
}

pub(crate) fn read(profile: &Seccomp, native: Arch, abi: Arch) -> Reading<'_> {
    let mut named = Vec::new();
    for rule in &profile.syscalls {
        let action = action(&rule.action, rule.errno_ret);
        for name in &rule.names {
            named.extend(number_of(name, abi).map(|number| (number, rule, action, None)));
            let carried = carried(name).filter(|_| abi == Arch::X86);
            named.extend(carried.map(|(number, call)| (number, rule, action, Some(call))));
        }
    }
    Reading {
        default: action(&profile.default_action, profile.default_errno_ret),
        abi,
        listed: abi == native || profile.architectures.iter().any(|word| word == abi.word()),
        permissive: ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].contains(&profile.default_action.as_str()),
        named,
    }
}

impl Reading<'_> {
    pub(crate) fn verdict(&self, number: u32, args: [u64; 6]) -> u32 {
        if !self.listed {
            return if number == u32::MAX && self.abi == Arch::X32 { self.default } else { 0 };
        }
        let wide = matches!(self.abi, Arch::X86_64 | Arch::Aarch64);
        let mine = || self.named.iter().filter(|named| named.0 == number);
        let telling = || mine().filter(|named| named.2 != self.default);
        if let Some(named) = telling().find(|named| named.1.args.is_empty() && named.3.is_none()) {
            return named.2;
        }
        let holds = |(_, rule, action, carried): &&(u32, &Syscall, u32, Option<u32>)| match carried {
            None => holds(rule, args, wide),
            Some(call) => (rule.args.is_empty() || laxness(*action) < laxness(self.default)) && args[0] as u32 == *call,
        };
        if let Some(named) = telling().find(holds) {
            return named.2;
        }
        let public = self.named.iter().map(|named| named.0).filter(|number| !(0xf0000..0x4000_0000).contains(number));
        let unknown = public.max().is_some_and(|newest| number > newest) && mine().next().is_none();
        if unknown && !self.permissive { 0x0005_0026 } else { self.default }
    }
}

/// seccomp(2) lists the actions by precedence.
fn laxness(action: u32) -> usize {
    let order = [0x8000, 0, 0x0003, 0x0005, 0x7fc0, 0x7ff0, 0x7ffc, 0x7fff];
    order.iter().position(|known| *known == action >> 16).unwrap()
}

pub(crate) fn number_of(name: &str, abi: Arch) -> Option<u32> {
    let (column, base) = match abi {
        Arch::X86_64 => (0, 0),
        Arch::X86 => (1, 0),
        Arch::X32 => (2, 0x4000_0000),
        Arch::Aarch64 => (3, 0),
        Arch::Arm => (4, 0),
        _ => panic!("no table for {abi:?}"),
    };
    let number = lookup(name)?.1[column];
    (number != u32::MAX).then(|| number + base)
}

pub(crate) fn action(word: &str, errno: Option<u32>) -> u32 {
    let errno = errno.unwrap_or(1);
    match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 + errno,
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 + errno,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        _ => panic!("action {word}"),
    }
}

fn holds(rule: &Syscall, args: [u64; 6], wide: bool) -> bool {
    let shared = rule.args.iter().enumerate().any(|(i, a)| rule.args[..i].iter().any(|b| a.index == b.index));
    let mut each = rule.args.iter().map(|arg| compare(arg, args, wide));
    if shared { each.any(|holds| holds) } else { each.all(|holds| holds) }
}

fn compare(arg: &Arg, args: [u64; 6], wide: bool) -> bool {
    let cut = |value: u64| if wide { value } else { u64::from(value as u32) };
    let given = cut(args[arg.index.unwrap() as usize]);
    let (value, two) = (cut(arg.value.unwrap()), cut(arg.value_two));
    match arg.op.as_str() {
        "SCMP_CMP_NE" => given != value,
        "SCMP_CMP_LT" => given < value,
        "SCMP_CMP_LE" => given <= value,
        "SCMP_CMP_EQ" => given == value,
        "SCMP_CMP_GE" => given >= value,
        "SCMP_CMP_GT" => given > value,
        "SCMP_CMP_MASKED_EQ" => given & value == two & value,
        word => panic!("operator {word}"),
    }
}

/// Arguments on both sides of every boundary that the profile draws.
pub(crate) fn arguments(profile: &Seccomp) -> Vec<[u64; 6]> {
    let mut values = vec![0, 1, u64::MAX];
    for arg in profile.syscalls.iter().flat_map(|rule| &rule.args) {
        for value in [arg.value.unwrap(), arg.value_two] {
            let near =
                [value.wrapping_sub(1), value, value.wrapping_add(1), !value, value ^ 1 << 32, value & 0xffff_ffff];
            values.extend(near);
            values.push(arg.value_two | !arg.value.unwrap());
        }
    }
    values.sort_unstable();
    values.dedup();
    // The same everywhere, and one beside another in each pair of places.
    let count = values.len();
    let shifted = |by: usize| {
        let values = &values;
        (0..count).map(move |i| std::array::from_fn(|place| values[(i + place * by) % count]))
    };
    [0, 1, 7].into_iter().flat_map(shifted).collect()
}
