//! Verdicts to instructions.
//!
//! Jumps of classic BPF go forward only, so the program is written from its end to its beginning: when a jump is
//! written, the place it goes to is there. A place is the number of instructions from it to the end.
//!
//! The kernel runs the program once for every native system call number when it is loaded (seccomp_cache_prepare), to
//! find the calls that are always allowed and never need it again. So the tree is shallow where the numbers are many.

use super::verdict::{Map, Range, Test, Verdict};
use crate::bail;
use crate::error::Result;
use crate::sys::seccomp::{self as sys, SockFilter};

mod condition;

/// How far a conditional jump reaches, less one for an instruction that may still come between.
const REACH: usize = 254;
/// A `ret` farther than this is written again rather than jumped to, so that jumps seldom need a second jump.
const RET_REACH: usize = 200;
/// A range without end weighs as much as one of so many numbers.
const OPEN_END: u32 = 64;

pub(super) fn write(maps: &[Map]) -> Result<Vec<SockFilter>> {
    let mut code = Code::default();
    let mut starts = Vec::with_capacity(maps.len());
    for map in maps.iter().rev() {
        starts.push((map.audit, code.machine(map)));
    }
    let mut start = code.ret(sys::RET_KILL_THREAD);
    for (audit, place) in starts {
        start = code.branch(sys::BPF_JMP_JEQ_K, audit, place, start);
    }
    code.push(sys::BPF_LD_W_ABS, sys::DATA_ARCH);
    if code.backward.len() > sys::BPF_MAXINSNS {
        bail!(
            "linux.seccomp: the filter has {} instructions, the kernel takes {}",
            code.backward.len(),
            sys::BPF_MAXINSNS
        );
    }
    code.backward.reverse();
    Ok(code.backward)
}

type Place = usize;

#[derive(Default)]
struct Code {
    backward: Vec<SockFilter>,
    /// The latest `ret` of each value.
    rets: Vec<(u32, Place)>,
}

impl Code {
    fn here(&self) -> Place {
        self.backward.len()
    }

    fn push(&mut self, code: u16, k: u32) -> Place {
        self.backward.push(SockFilter { code, jt: 0, jf: 0, k });
        self.here()
    }

    fn ret(&mut self, value: u32) -> Place {
        let here = self.here();
        let known = self.rets.iter_mut().find(|(known, _)| *known == value);
        match known {
            Some((_, place)) if here - *place < RET_REACH => return *place,
            Some((_, place)) => *place = here + 1,
            None => self.rets.push((value, here + 1)),
        }
        self.push(sys::BPF_RET_K, value)
    }

    /// A conditional jump, before it what it takes to get as far as `yes` and `no`.
    fn branch(&mut self, code: u16, k: u32, yes: Place, no: Place) -> Place {
        let no = self.within_reach(no);
        let yes = self.within_reach(yes);
        let [jt, jf] = [yes, no].map(|place| u8::try_from(self.here() - place).expect("a place within reach"));
        self.backward.push(SockFilter { code, jt, jf, k });
        self.here()
    }

    fn within_reach(&mut self, place: Place) -> Place {
        let distance = self.here() - place;
        if distance <= REACH {
            return place;
        }
        match self.backward[place - 1] {
            SockFilter { code: sys::BPF_RET_K, k, .. } => self.push(sys::BPF_RET_K, k),
            _ => self.push(sys::BPF_JMP_JA, u32::try_from(distance).expect("a place in the program")),
        }
    }

    fn machine(&mut self, map: &Map) -> Place {
        let mut tree = Tree { code: self, tests: &map.tests, places: vec![None; map.tests.len()] };
        let root = tree.root(&map.ranges);
        self.jump(root);
        self.push(sys::BPF_LD_W_ABS, sys::DATA_NR)
    }

    /// Goes to `place`, which may be the next instruction.
    fn jump(&mut self, place: Place) {
        match u32::try_from(self.here() - place).expect("a place in the program") {
            0 => {}
            distance => _ = self.push(sys::BPF_JMP_JA, distance),
        }
    }
}

struct Tree<'a> {
    code: &'a mut Code,
    tests: &'a [Test],
    /// Of the tests that are written.
    places: Vec<Option<Place>>,
}

/// A range, and how much the numbers before it weigh together.
type Weighed = (u64, Range);

impl Tree<'_> {
    fn root(&mut self, ranges: &[Range]) -> Place {
        let mut sum = 0;
        let mut weighed = Vec::with_capacity(ranges.len());
        for (i, range) in ranges.iter().enumerate() {
            weighed.push((sum, *range));
            let end = ranges.get(i + 1).map_or(u32::MAX, |next| next.first);
            // Nobody calls the open ends, and the numbers with the x32 bit are not tried at loading.
            sum += match range.first {
                sys::X32_SYSCALL_BIT.. => 1,
                first => (end - first).clamp(1, OPEN_END).into(),
            };
        }
        self.node(&weighed, sum)
    }

    /// `end`: what the last range weighs together with all before it.
    fn node(&mut self, ranges: &[Weighed], end: u64) -> Place {
        match ranges {
            [] => self.code.ret(sys::RET_KILL_PROCESS),
            [(_, only)] => self.verdict(only.verdict),
            // One number within a range.
            [(_, a), (_, b), (_, c)] if a.verdict == c.verdict && b.first + 1 == c.first => {
                let no = self.verdict(a.verdict);
                let yes = self.verdict(b.verdict);
                self.code.branch(sys::BPF_JMP_JEQ_K, b.first, yes, no)
            }
            [(start, _), ..] => {
                let middle = start.midpoint(end);
                let at = ranges.partition_point(|(before, _)| *before < middle).clamp(1, ranges.len() - 1);
                let (left, right) = ranges.split_at(at);
                let yes = self.node(right, end);
                let no = self.node(left, right[0].0);
                self.code.branch(sys::BPF_JMP_JGE_K, right[0].1.first, yes, no)
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict) -> Place {
        let index = match verdict {
            Verdict::Return(value) => return self.code.ret(value),
            Verdict::Test(index) => index,
        };
        if let Some(place) = self.places[index] {
            return place;
        }
        let place = self.code.test(&self.tests[index]);
        self.places[index] = Some(place);
        place
    }
}
