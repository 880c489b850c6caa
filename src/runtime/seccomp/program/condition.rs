//! Conditions on arguments. A filter sees 32 bits at a time, so a 64-bit argument is two words; every architecture with
//! a table here is little endian, the lower word comes first.

use super::{Code, Place};
use crate::runtime::seccomp::profile::{Condition, Op};
use crate::runtime::seccomp::verdict::Test;
use crate::sys::seccomp as sys;

#[derive(Clone, Copy)]
enum Word {
    Low = 0,
    High = 4,
}

impl Code {
    pub(super) fn test(&mut self, test: &Test) -> Place {
        let mut next = self.ret(test.otherwise);
        for case in test.cases.iter().rev() {
            let mut place = self.ret(case.action);
            for condition in case.all.iter().rev() {
                place = self.condition(condition, test.wide, place, next);
            }
            next = place;
        }
        next
    }

    fn condition(&mut self, condition: &Condition, wide: bool, yes: Place, no: Place) -> Place {
        let mut argument = Argument { code: self, arg: condition.arg, wide };
        let value = condition.value;
        match condition.op {
            Op::Eq => argument.equal(u64::MAX, value, yes, no),
            Op::Ne => argument.equal(u64::MAX, value, no, yes),
            Op::MaskedEq(mask) => argument.equal(mask, value, yes, no),
            Op::Ge => argument.greater(sys::BPF_JMP_JGE_K, value, yes, no),
            Op::Gt => argument.greater(sys::BPF_JMP_JGT_K, value, yes, no),
            Op::Lt => argument.greater(sys::BPF_JMP_JGE_K, value, no, yes),
            Op::Le => argument.greater(sys::BPF_JMP_JGT_K, value, no, yes),
        }
    }
}

struct Argument<'a> {
    code: &'a mut Code,
    arg: u32,
    wide: bool,
}

impl Argument<'_> {
    fn load(&mut self, word: Word) -> Place {
        self.code.push(sys::BPF_LD_W_ABS, sys::DATA_ARGS + 8 * self.arg + word as u32)
    }

    /// `argument & mask == value`; the lower words are compared after the upper ones, so they are written before.
    fn equal(&mut self, mask: u64, value: u64, yes: Place, no: Place) -> Place {
        let low = self.word_equal(Word::Low, half(mask, Word::Low), half(value, Word::Low), yes, no);
        if !self.wide {
            return low;
        }
        self.word_equal(Word::High, half(mask, Word::High), half(value, Word::High), low, no)
    }

    fn word_equal(&mut self, word: Word, mask: u32, value: u32, yes: Place, no: Place) -> Place {
        if mask == 0 {
            return yes;
        }
        self.code.branch(sys::BPF_JMP_JEQ_K, value, yes, no);
        if mask != u32::MAX {
            self.code.push(sys::BPF_ALU_AND_K, mask);
        }
        self.load(word)
    }

    /// `comparison` is JGE or JGT, and decides where the upper words are equal.
    fn greater(&mut self, comparison: u16, value: u64, yes: Place, no: Place) -> Place {
        self.code.branch(comparison, half(value, Word::Low), yes, no);
        let low = self.load(Word::Low);
        if !self.wide {
            return low;
        }
        match half(value, Word::High) {
            0 => self.code.branch(sys::BPF_JMP_JEQ_K, 0, low, yes),
            high => {
                let equal = self.code.branch(sys::BPF_JMP_JEQ_K, high, low, no);
                self.code.branch(sys::BPF_JMP_JGT_K, high, yes, equal)
            }
        };
        self.load(Word::High)
    }
}

fn half(value: u64, word: Word) -> u32 {
    let shift = match word {
        Word::Low => 0,
        Word::High => 32,
    };
    (value >> shift & u64::from(u32::MAX)) as u32
}
