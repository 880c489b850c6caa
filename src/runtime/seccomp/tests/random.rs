//! Profiles made by chance, the same at each run.

use super::*;
use crate::runtime::spec::seccomp::{Arg, Syscall};

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 0 to n - 1 (xorshift).
    pub(crate) fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

const ACTIONS: [&str; 8] = ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "LOG", "ALLOW"];
const OPS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const VALUES: [u64; 12] =
    [0, 1, 2, 38, 0x20008, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0026, 0x7e02_0000, 1 << 63, u64::MAX];

fn action(dice: &mut Dice) -> (String, Option<u32>) {
    let word = dice.pick(&ACTIONS);
    let errno = (word == "ERRNO" || word == "TRACE") && dice.roll(2) == 0;
    (format!("SCMP_ACT_{word}"), errno.then(|| dice.roll(4096) as u32))
}

fn condition(dice: &mut Dice) -> Arg {
    Arg {
        index: Some(dice.roll(6) as u32),
        value: Some(dice.pick(&VALUES)),
        value_two: dice.pick(&VALUES),
        op: format!("SCMP_CMP_{}", dice.pick(&OPS)),
    }
}

fn rule(dice: &mut Dice) -> Syscall {
    let (action, errno_ret) = action(dice);
    let many = if dice.roll(3) == 0 { 120 } else { 5 };
    let names = (0..1 + dice.roll(many)).map(|_| dice.pick(&syscalls::SYSCALLS).0.to_owned()).collect();
    let args = match dice.roll(3) {
        0 => (0..1 + dice.roll(4)).map(|_| condition(dice)).collect(),
        _ => Vec::new(),
    };
    Syscall { names, action, errno_ret, args }
}

pub(crate) fn profile(dice: &mut Dice) -> Seccomp {
    let (default_action, default_errno_ret) = action(dice);
    let words = Arch::ALL.iter().map(|arch| arch.word().to_owned());
    Seccomp {
        default_action,
        default_errno_ret,
        architectures: words.filter(|_| dice.roll(2) == 0).collect(),
        syscalls: (0..dice.roll(30)).map(|_| rule(dice)).collect(),
        ..Seccomp::default()
    }
}

#[test]
fn random_profiles_say_what_a_plain_reading_says() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let profile = profile(&mut dice);
        for (native, abis) in [(Arch::X86_64, &[X86_64, X32, X86][..]), (Arch::Aarch64, &[AARCH64, ARM])] {
            let program = filter(&profile, native).program;
            for (abi, audit, base) in abis {
                let reading = naive::read(&profile, native, *abi);
                for number in numbers(*base).filter(|number| number & 0xffff < 500) {
                    let args =
                        std::array::from_fn(|_| dice.pick(&VALUES).wrapping_add(dice.roll(3) as u64).wrapping_sub(1));
                    let call = Call { number, audit: *audit, args };
                    let expected = reading.verdict(number, args);
                    assert_eq!(run(&program, call), expected, "seed {seed}: {abi:?} {call:x?}\n{profile:#?}");
                }
            }
        }
    }
}
