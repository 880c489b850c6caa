//! Both ways to say it against a plain reading of the rules, and against the kernel.

use super::super::tests::{Guard, root};
use super::super::write;
use super::*;
use serde_json::json;

fn rules(text: serde_json::Value) -> Result<Rules> {
    Rules::parse(&serde_json::from_value::<Vec<DeviceRule>>(text).unwrap())
}

fn error(text: serde_json::Value) -> String {
    rules(text).map(drop).unwrap_err().to_string()
}

/// The last rule about it decides each part of the access.
fn naive(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    let about = |rule: &Rule| {
        rule.kind.is_none_or(|only| only == kind)
            && rule.major.is_none_or(|only| only == major)
            && rule.minor.is_none_or(|only| only == minor)
    };
    [READ, WRITE, MKNOD]
        .into_iter()
        .filter(|bit| access & bit != 0)
        .all(|bit| rules.iter().rev().find(|rule| about(rule) && rule.access & bit != 0).is_some_and(|rule| rule.allow))
}

/// What the kernel does with the instructions that we use.
fn interpret(program: &[bpf::Instruction], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    let kind = if kind == Kind::Char { bpf::DEVCG_DEV_CHAR } else { bpf::DEVCG_DEV_BLOCK };
    let mut registers = [0_u64; 11];
    let mut at = 0;
    loop {
        let instruction = program[at];
        let (target, source) = (usize::from(instruction.registers & 15), usize::from(instruction.registers >> 4));
        let immediate = i64::from(instruction.immediate) as u64;
        let jump = usize::try_from(instruction.offset).unwrap_or(0);
        at += 1;
        match instruction.code {
            bpf::LDX_MEM_W => {
                registers[target] = match instruction.offset {
                    0 => u64::from(access) << 16 | kind as u64,
                    4 => major.into(),
                    8 => minor.into(),
                    other => panic!("offset {other}"),
                }
            }
            bpf::ALU64_MOV_X => registers[target] = registers[source],
            bpf::ALU64_MOV_K => registers[target] = immediate,
            bpf::ALU64_AND_K => registers[target] &= immediate,
            bpf::ALU64_RSH_K => registers[target] >>= immediate,
            bpf::JMP_JA => at += jump,
            bpf::JMP_JSET_K if registers[target] & immediate != 0 => at += jump,
            bpf::JMP32_JNE_K if registers[target] as u32 != instruction.immediate as u32 => at += jump,
            bpf::JMP_JSET_K | bpf::JMP32_JNE_K => {}
            bpf::EXIT => return registers[0] != 0,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// As a hierarchy of version 1 decides that has this list.
fn listed(list: &str, kind: char, major: u32, minor: u32, access: &str) -> bool {
    list.lines().any(|line| {
        let words: Vec<&str> = line.split([' ', ':']).collect();
        let same = |word: &str, number: u32| word == "*" || word == number.to_string();
        words[0] == "a"
            || (words[0] == kind.to_string()
                && same(words[1], major)
                && same(words[2], minor)
                && access.chars().all(|letter| words[3].contains(letter)))
    })
}

#[test]
fn what_is_refused() {
    let rule = |member: &str, value: serde_json::Value| error(json!([{"allow": true}, {"allow": true, member: value}]));
    assert_eq!(rule("type", json!("p")), "linux.resources.devices[1].type: \"p\" is none of a, b and c");
    assert_eq!(rule("access", json!("rx")), "linux.resources.devices[1].access: 'x' is none of r, w and m");
    let message = "linux.resources.devices[1].major: -2 is no device number; -1 means every";
    assert_eq!(rule("major", json!(-2)), message);
    assert!(rule("minor", json!(1_i64 << 32)).starts_with("linux.resources.devices[1].minor: 4294967296"));
}

#[test]
fn the_program_does_what_the_rules_say() {
    let mut seed = 1_u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    for _ in 0..300 {
        let count = random(6);
        let some: Vec<Rule> = (0..count)
            .map(|_| Rule {
                allow: random(2) == 0,
                kind: [None, Some(Kind::Char), Some(Kind::Block)][random(3) as usize],
                major: [None, Some(0), Some(1), Some(u32::MAX)][random(4) as usize],
                minor: [None, Some(0), Some(5)][random(3) as usize],
                access: [RWM, RWM, READ, WRITE, MKNOD, READ | WRITE][random(6) as usize],
            })
            .collect();
        let program = program::compile(&some);
        for kind in [Kind::Char, Kind::Block] {
            for major in [0, 1, 7, u32::MAX] {
                for minor in [0, 5, 9] {
                    for access in 1..=7 {
                        assert_eq!(
                            interpret(&program, kind, major, minor, access),
                            naive(&some, kind, major, minor, access),
                            "{some:?}: {kind:?} {major}:{minor} {access}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn without_rules_only_the_defaults_are_allowed() {
    let Rules(rules) = rules(json!([])).unwrap();
    let program = program::compile(&rules);
    assert!(interpret(&program, Kind::Char, 1, 3, RWM));
    assert!(interpret(&program, Kind::Char, 136, 77, READ | WRITE));
    assert!(interpret(&program, Kind::Block, 8, 0, MKNOD));
    assert!(!interpret(&program, Kind::Block, 8, 0, READ));
    assert!(!interpret(&program, Kind::Char, 1, 1, READ));
    assert!(!interpret(&program, Kind::Block, 1, 3, READ));
}

#[test]
fn a_rule_about_all_forgets_the_ones_before() {
    let Rules(rules) = rules(json!([{"allow": true, "type": "c"}, {"allow": true}])).unwrap();
    assert_eq!(rules.len(), 1 + DEFAULT.len());
    assert!(Rules(rules).allow_all());
}

#[test]
fn changes_of_a_version_1_list() {
    let changes = |old: &str, new: serde_json::Value| {
        let new = rules(new).unwrap();
        let own: Vec<Rule> = new.0.into_iter().filter(|rule| !DEFAULT.contains(rule)).collect();
        List::new(&own).unwrap().changes(&List::read(old))
    };
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let fuse = json!([{"allow": false}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]);
    assert_eq!(changes("a *:* rwm\n", fuse.clone()), (lines(&["c 10:229 rw"]), lines(&["a"])));
    assert_eq!(changes("c 10:229 rw\n", fuse.clone()), (lines(&[]), lines(&[])));
    assert_eq!(changes("c 10:229 rwm\nb 8:* r\n", fuse), (lines(&[]), lines(&["c 10:229 m", "b 8:* r"])));
    assert_eq!(changes("c 10:229 rw\n", json!([{"allow": true}])), (lines(&["a"]), lines(&[])));
    assert_eq!(changes("a *:* rwm\n", json!([{"allow": true}])), (lines(&[]), lines(&[])));
    let but = json!([{"allow": true}, {"allow": false, "type": "b", "major": 8, "access": "w"}]);
    assert_eq!(changes("a *:* rwm\n", but), (lines(&["a"]), lines(&["b 8:* w"])));
}

#[test]
fn version_1_cannot_make_a_hole() {
    let rules = rules(json!([
        {"allow": false},
        {"allow": true, "type": "c", "major": 10, "access": "rw"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}
    ]));
    assert_eq!(
        List::new(&rules.unwrap().0).unwrap_err().to_string(),
        "linux.resources.devices: cgroup version 1 cannot deny c 10:229 w out of the rule to allow c 10:* rw"
    );
}

/// Whether a process in the cgroup may open /dev/kmsg (1:11), which is no default device, and /dev/null.
fn opens(guard: &mut Guard) -> (bool, bool) {
    let script = "read go; (: </dev/kmsg) 2>/dev/null; a=$?; (: >/dev/null) 2>/dev/null; echo $a $?";
    let mut child = std::process::Command::new("sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    guard.0.attach(child.id() as i32, false).unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let codes: Vec<bool> = String::from_utf8_lossy(&output.stdout).split_whitespace().map(|code| code == "0").collect();
    (codes[0], codes[1])
}

#[test]
fn the_kernel_denies_and_allows() {
    if !root() || !std::path::Path::new("/dev/kmsg").exists() {
        return;
    }
    let mut guard = Guard::new("devices");
    guard.0.create().unwrap();
    let resources = |devices: serde_json::Value| -> crate::runtime::spec::resources::Resources {
        serde_json::from_value(json!({ "devices": devices })).unwrap()
    };
    let nothing = resources(json!([]));
    guard.0.apply(&nothing).unwrap();
    assert_eq!(opens(&mut guard), (false, true));
    let kmsg = resources(json!([{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}]));
    guard.0.update(&nothing, &kmsg, &kmsg).unwrap();
    assert_eq!(opens(&mut guard), (true, true));
    let place = write::find(&guard.0.places, "devices").unwrap();
    if place.is_v2() {
        assert_eq!(bpf::device_programs(place.directory().unwrap()).unwrap().len(), 1);
    } else {
        let list = place.read("devices.list").unwrap();
        assert!(listed(&list, 'c', 1, 11, "rw") && !listed(&list, 'c', 1, 11, "rwm") && listed(&list, 'b', 8, 0, "m"));
    }
    guard.0.update(&kmsg, &nothing, &resources(json!([{"allow": true}]))).unwrap();
    assert_eq!(opens(&mut guard), (true, true));
    guard.0.update(&kmsg, &nothing, &nothing).unwrap();
    assert_eq!(opens(&mut guard), (false, true));
}
