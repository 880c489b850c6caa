//! The kernel's filter machine, as far as any seccomp compiler uses it.

use crate::sys::seccomp::SockFilter;

/// `struct seccomp_data`, without the instruction pointer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) audit: u32,
    pub(crate) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let word = match offset / 8 {
            0 => u64::from(self.number) | u64::from(self.audit) << 32,
            1 => 0,
            arg => self.args[arg as usize - 2],
        };
        match offset % 8 {
            0 => word as u32,
            4 => (word >> 32) as u32,
            _ => panic!("load at {offset}"),
        }
    }
}

pub(crate) fn run(program: &[SockFilter], call: Call) -> u32 {
    count(program, call).0
}

/// The verdict, and how many instructions it took.
pub(crate) fn count(program: &[SockFilter], call: Call) -> (u32, usize) {
    let (mut pc, mut a, mut steps) = (0, 0u32, 0);
    loop {
        let SockFilter { code, jt, jf, k } = program[pc];
        steps += 1;
        pc += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => a = call.word(k),
            0x54 => a &= k,
            0x05 => pc += k as usize,
            0x15 => pc += branch(a == k),
            0x25 => pc += branch(a > k),
            0x35 => pc += branch(a >= k),
            0x45 => pc += branch(a & k != 0),
            0x06 => return (k, steps),
            _ => panic!("instruction {code:#x} at {}", pc - 1),
        }
    }
}

/// What the kernel demands of a program before it takes it (bpf_check_classic, seccomp_check_filter).
pub(crate) fn check(program: &[SockFilter]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    assert_eq!(program[program.len() - 1].code, 0x06, "the last instruction returns");
    for (at, SockFilter { code, jt, jf, k }) in program.iter().copied().enumerate() {
        match code {
            0x20 => assert!(k < 64 && k % 4 == 0, "load at {k}"),
            0x54 | 0x06 => {}
            0x05 => assert!(at + 1 + (k as usize) < program.len()),
            0x15 | 0x25 | 0x35 | 0x45 => assert!(at + 1 + usize::from(jt.max(jf)) < program.len()),
            _ => panic!("instruction {code:#x} at {at}"),
        }
    }
}
