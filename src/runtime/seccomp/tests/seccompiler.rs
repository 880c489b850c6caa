//! Against the seccompiler crate, which knows one action beside the default, one architecture, and no newer calls.

use super::random::Dice;
use super::*;
use crate::runtime::spec::seccomp::{Arg, Syscall};
use crate::sys::seccomp::SockFilter;
use ::seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

const OPS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const VALUES: [u64; 7] = [0, 7, 0xffff_ffff, 0x1_0000_0007, 0xff00_0000_00ff, 1 << 63, u64::MAX];

fn theirs(profile: &Seccomp, default: SeccompAction, action: SeccompAction) -> Vec<SockFilter> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in &profile.syscalls {
        let number = super::super::arch::lookup(&rule.names[0]).unwrap().1[0];
        let conditions = rule.args.iter().map(|arg| {
            let (value, two) = (arg.value.unwrap(), arg.value_two);
            let (op, value) = match arg.op.strip_prefix("SCMP_CMP_").unwrap() {
                "NE" => (SeccompCmpOp::Ne, value),
                "LT" => (SeccompCmpOp::Lt, value),
                "LE" => (SeccompCmpOp::Le, value),
                "EQ" => (SeccompCmpOp::Eq, value),
                "GE" => (SeccompCmpOp::Ge, value),
                "GT" => (SeccompCmpOp::Gt, value),
                _ => (SeccompCmpOp::MaskedEq(value), two & value),
            };
            SeccompCondition::new(arg.index.unwrap() as u8, SeccompCmpArgLen::Qword, op, value).unwrap()
        });
        rules.entry(number.into()).or_default().push(SeccompRule::new(conditions.collect()).unwrap());
    }
    let filter = SeccompFilter::new(rules, default, action, TargetArch::x86_64).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    program.iter().map(|i| SockFilter { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect()
}

fn random(dice: &mut Dice) -> Seccomp {
    let native: Vec<_> = syscalls::SYSCALLS.iter().filter(|row| row.1[0] != syscalls::NO).collect();
    let rules = (0..1 + dice.roll(60)).map(|_| {
        let condition = |dice: &mut Dice, index: usize| Arg {
            index: Some(index as u32),
            value: Some(dice.pick(&VALUES)),
            value_two: dice.pick(&VALUES),
            op: format!("SCMP_CMP_{}", dice.pick(&OPS)),
        };
        let first = dice.roll(4);
        Syscall {
            names: vec![dice.pick(&native).0.to_owned()],
            action: "SCMP_ACT_TRAP".into(),
            args: (first..first + 1 + dice.roll(3)).map(|index| condition(dice, index)).collect(),
            ..Syscall::default()
        }
    });
    let syscalls = rules.collect();
    // A default of ENOSYS says of a newer call what the rule about newer calls says.
    Seccomp { default_action: "SCMP_ACT_ERRNO".into(), default_errno_ret: Some(38), syscalls, ..Seccomp::default() }
}

#[test]
fn as_seccompiler_where_it_can_say_it() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let profile = random(&mut dice);
        let ours = filter(&profile, Arch::X86_64).program;
        let theirs = theirs(&profile, SeccompAction::Errno(38), SeccompAction::Trap);
        for number in (0..480).flat_map(|number| [number; 20]) {
            let args = std::array::from_fn(|_| dice.pick(&VALUES).wrapping_add(dice.roll(3) as u64).wrapping_sub(1));
            let call = Call { number, audit: X86_64.1, args };
            assert_eq!(run(&ours, call), run(&theirs, call), "seed {seed}: {call:x?}\n{profile:#?}");
        }
    }
}
