//! The rules as a program that the kernel asks about each access: from the last rule to the first, until every part of
//! the access (reading, writing, making a node) is decided.

use super::{Kind, RWM, Rule};
use crate::sys::bpf::{self, Instruction};

const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// What of the access is not allowed yet.
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

pub(super) fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let load = |register: u8, offset: i16| Instruction {
        code: bpf::LDX_MEM_W,
        registers: register | CONTEXT << 4,
        offset,
        immediate: 0,
    };
    let mut program = vec![
        load(KIND, bpf::DEVICE_ACCESS_TYPE),
        Instruction { code: bpf::ALU64_MOV_X, registers: ACCESS | KIND << 4, offset: 0, immediate: 0 },
        with(bpf::ALU64_AND_K, KIND, 0, 0xffff),
        with(bpf::ALU64_RSH_K, ACCESS, 0, 16),
        load(MAJOR, bpf::DEVICE_MAJOR),
        load(MINOR, bpf::DEVICE_MINOR),
    ];
    for rule in rules.iter().rev() {
        if rule.is_about_all() {
            program.extend(answer(rule.allow));
            return program;
        }
        program.extend(one(rule));
    }
    program.extend(answer(false));
    program
}

/// One rule; what it does not decide goes on behind it.
fn one(rule: &Rule) -> Vec<Instruction> {
    let access = i32::from(rule.access);
    let decision = match (rule.allow, rule.access == RWM) {
        (_, true) => answer(rule.allow).to_vec(),
        (true, false) => {
            let rest = with(bpf::ALU64_AND_K, ACCESS, 0, !access);
            [vec![rest, with(bpf::JMP32_JNE_K, ACCESS, 2, 0)], answer(true).to_vec()].concat()
        }
        (false, false) => {
            let hit = with(bpf::JMP_JSET_K, ACCESS, 1, access);
            [vec![hit, with(bpf::JMP_JA, 0, 2, 0)], answer(false).to_vec()].concat()
        }
    };
    let kind = rule.kind.map(|kind| match kind {
        Kind::Char => bpf::DEVCG_DEV_CHAR,
        Kind::Block => bpf::DEVCG_DEV_BLOCK,
    });
    // The comparison is of 32 bits without a sign.
    let number = |number: Option<u32>| number.map(|number| number as i32);
    let conditions: Vec<(u8, i32)> = [(KIND, kind), (MAJOR, number(rule.major)), (MINOR, number(rule.minor))]
        .into_iter()
        .filter_map(|(register, wanted)| wanted.map(|wanted| (register, wanted)))
        .collect();
    let mut block = Vec::new();
    for (index, (register, wanted)) in conditions.iter().enumerate() {
        let behind = conditions.len() - index - 1 + decision.len();
        block.push(with(bpf::JMP32_JNE_K, *register, behind as i16, *wanted));
    }
    block.extend(decision);
    block
}

fn answer(allow: bool) -> [Instruction; 2] {
    [with(bpf::ALU64_MOV_K, ANSWER, 0, allow.into()), with(bpf::EXIT, 0, 0, 0)]
}

fn with(code: u8, register: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: register, offset, immediate }
}
