use super::*;

fn ignored(patterns: &[&str], path: &str) -> bool {
    Ignore::new(patterns.iter().copied()).unwrap().matches(path)
}

#[test]
fn patterns_are_anchored_and_cover_what_is_below() {
    for (patterns, path, want) in [
        (&["a"][..], "a", true),
        (&["a"], "a/b", true),
        (&["a"], "b/a", false),
        (&["/a"], "a", true),
        (&["a/"], "a", true),
        (&["./a/../b"], "b", true),
        (&["*/temp*"], "x/temporary", true),
        (&["*/temp*"], "temporary", false),
        (&["*/*/temp*"], "x/y/temp", true),
        (&["temp?"], "tempa", true),
        (&["temp?"], "temp", false),
        (&["**/*.go"], "a/b/c.go", true),
        (&["**"], "anything/at/all", true),
        (&["*.md", "!README.md"], "README.md", false),
        (&["*.md", "!README.md"], "other.md", true),
        (&["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
        (&["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false),
        (&["docs", "!docs/keep"], "docs/keep", false),
        (&["docs", "!docs/keep"], "docs/keep/x", false),
        (&["docs", "!docs/keep"], "docs/other", true),
        (&["*", "!src"], "src/main", false),
        (&["*", "!src"], "other", true),
        (&["a b"], "a b", true),
        (&["  spaced  "], "spaced", true),
        (&["\\#x"], "#x", true),
        (&[], "a", false),
    ] {
        assert_eq!(ignored(patterns, path), want, "{patterns:?} {path:?}");
    }
}

#[test]
fn the_file_has_comments_in_the_first_column_only() {
    let ignore = Ignore::parse(".dockerignore", "\u{feff}# comment\n\n #kept\n  x  \n!y\r\n").unwrap();
    assert!(ignore.matches("#kept") && ignore.matches("x") && !ignore.matches("# comment"));
    assert!(ignore.has_exceptions());
    let error = Ignore::parse(".dockerignore", "a\n\n!\n").unwrap_err().to_string();
    assert!(error.starts_with(".dockerignore:3: "), "{error}");
    let error = Ignore::parse("x", "[a\n").unwrap_err().to_string();
    assert!(error.starts_with("x:1: pattern "), "{error}");
}

#[test]
fn a_walk_sees_what_a_question_sees() {
    let ignore = Ignore::new(["*", "!a/b", "a/b/c*"]).unwrap();
    let (mut above, mut whole) = (Above::default(), String::new());
    for part in ["a", "b", "cd", "e"] {
        whole = if whole.is_empty() { part.to_owned() } else { format!("{whole}/{part}") };
        let (ignored, next) = ignore.matches_below(&whole, &above);
        assert_eq!(ignored, ignore.matches(&whole), "{whole}");
        above = next;
    }
}

#[test]
fn paths_are_made_short() {
    for (path, want) in [
        ("", "."),
        ("a//b/./c/", "a/b/c"),
        ("a/../..", ".."),
        ("/../a", "/a"),
        ("/", "/"),
        ("a/..", "."),
        ("../../a", "../../a"),
    ] {
        assert_eq!(clean(path), want, "{path:?}");
    }
}
