use super::*;

fn rules(text: &str) -> Vec<(u32, Rule)> {
    let dockerfile = Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap();
    let lint = Lint::new(&dockerfile).unwrap();
    lint.finish().into_iter().map(|warning| (warning.span.first, warning.rule)).collect()
}

#[test]
fn what_the_text_alone_tells() {
    use Rule::*;
    for (text, want) in [
        ("FROM a AS b\nRUN x", &[][..]),
        ("FROM a as b", &[(1, FromAsCasing)]),
        ("from a as b\nrun x", &[]),
        ("FROM a AS B", &[(1, StageNameCasing)]),
        ("FROM a AS scratch", &[(1, ReservedStageName)]),
        ("FROM a AS b\nFROM a AS b", &[(2, DuplicateStageName)]),
        ("FROM a\nrun x\nRUN y", &[(2, ConsistentInstructionCasing)]),
        ("FROM a\nRun x", &[(2, ConsistentInstructionCasing)]),
        ("FROM a\nMAINTAINER x", &[(2, MaintainerDeprecated)]),
        ("FROM a\nRUN x \\\n\n y", &[(3, NoEmptyContinuation)]),
        ("FROM a\n# check=skip=MaintainerDeprecated\nMAINTAINER x", &[]),
        ("# check=skip=MaintainerDeprecated,Other\nFROM a\nMAINTAINER x", &[]),
        ("# check=skip=all\nFROM a as B\nMAINTAINER x", &[]),
    ] {
        assert_eq!(rules(text), want, "{text}");
    }
}

#[test]
fn settings_of_the_directive() {
    assert!(Settings::parse("skip=A;error=true").unwrap().error);
    for bad in ["error=maybe", "quiet=1", "x"] {
        assert!(Settings::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_that_sound_like_secrets() {
    for name in ["API_KEY", "password", "GITHUB_TOKEN", "auth"] {
        assert!(sounds_secret(name), "{name}");
    }
    for name in ["TOKEN_FILE", "PUBLIC_KEY", "MONKEY", "KEYBOARD", "TOKEN_VERSION"] {
        assert!(!sounds_secret(name), "{name}");
    }
}
