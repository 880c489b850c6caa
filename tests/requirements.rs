//! Every requirement of the specification has a test, or a reason why it cannot have one
//! (runtime-tools-conformance/requirements.toml).

use std::collections::BTreeSet;
use std::path::Path;

const LIST: &str = include_str!("../runtime-tools-conformance/requirements.toml");

#[derive(Default)]
struct Requirement {
    id: String,
    level: String,
    tests: Vec<String>,
    config: bool,
    reason: String,
}

/// The few forms of TOML that the list uses.
fn requirements() -> Vec<Requirement> {
    let entries = LIST.split("[[requirement]]\n").skip(1);
    entries.map(|entry| entry.split_once("\n# ----").map_or(entry, |(entry, _)| entry)).map(parse).collect()
}

fn parse(entry: &str) -> Requirement {
    let mut requirement = Requirement::default();
    let mut in_tests = false;
    for line in entry.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = match line.split_once(" = ") {
            Some((key, value)) if !in_tests => (key, value),
            _ => ("", line),
        };
        let text = || value.trim().trim_matches('"').to_owned();
        match key {
            "id" => requirement.id = text(),
            "level" => requirement.level = text(),
            "demands" => assert!(!text().is_empty(), "{} demands nothing", requirement.id),
            "binds" => requirement.config = text() == "config",
            "reason" => requirement.reason = text(),
            "tests" | "" => {
                assert!(key == "tests" || in_tests, "requirements.toml: {line}");
                requirement.tests.extend(value.split('"').skip(1).step_by(2).map(str::to_owned));
                in_tests = !value.trim_end().ends_with(']');
            }
            _ => panic!("requirements.toml: unknown key in {line}"),
        }
    }
    requirement
}

/// `runtime::kill::nobody` is the function `nobody` in tests/runtime/kill.rs.
fn exists(test: &str) -> bool {
    let [program, module, function] = test.split("::").collect::<Vec<_>>()[..] else { return false };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let source = std::fs::read_to_string(tests.join(program).join(module).with_extension("rs")).unwrap_or_default();
    let listed = std::fs::read_to_string(tests.join(program).with_extension("rs")).unwrap_or_default();
    listed.contains(&format!("mod {module};")) && source.contains(&format!("#[test]\nfn {function}() {{"))
}

#[test]
fn each_has_a_test_that_exists_or_a_reason() {
    let mut wrong = Vec::new();
    for requirement in requirements() {
        let Requirement { id, tests, config, reason, .. } = &requirement;
        if tests.is_empty() != *config || *config == reason.is_empty() {
            wrong.push(format!("{id}: give it tests, or `binds = \"config\"` and a reason"));
        }
        wrong.extend(tests.iter().filter(|test| !exists(test)).map(|test| format!("{id}: there is no test {test}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_is_listed_once_and_has_a_level() {
    let mut seen = BTreeSet::new();
    let list = requirements();
    assert!(list.len() > 350, "{} requirements are read", list.len());
    for requirement in list {
        let levels = ["must", "must not", "should", "should not"];
        assert!(levels.contains(&&*requirement.level), "{}: level {:?}", requirement.id, requirement.level);
        assert!(seen.insert(requirement.id.clone()), "{} is listed twice", requirement.id);
    }
}
