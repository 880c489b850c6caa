use super::*;

#[test]
fn patterns_as_go_matches_them() {
    for (pattern, path, want) in [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "abc", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^e-g]", "abc", true),
        ("[z-a]", "m", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a\u{263a}b", true),
        ("a???b", "a\u{263a}b", false),
        ("a?b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[x\\-]", "-", true),
        ("[[]", "[", true),
        ("**", "a/b", false),
        ("a.b", "axb", false),
        ("*.go", "main.go", true),
        ("x\n*", "x\ny", true),
    ] {
        assert_eq!(Glob::new(pattern).unwrap().matches(path), want, "{pattern:?} {path:?}");
    }
}

#[test]
fn two_stars_are_any_depth() {
    for (pattern, path, want) in [
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/file", "file", true),
        ("**/file", "a/b/file", true),
        ("**/file", "a/afile", false),
        ("**file", "a/afile", true),
        ("dir/**", "dir/a/b", true),
        ("dir/**", "dir", false),
        ("a/**/c", "a/c", true),
        ("a/**/c", "a/b/b/c", true),
        ("a/**/c", "a/bc", false),
        ("**/*.txt", "a/b.txt", true),
        ("**/*.txt", "b.txt", true),
        ("*/dir", "a/dir", true),
        ("*/dir", "a/b/dir", false),
    ] {
        assert_eq!(Glob::with_deep(pattern).unwrap().matches(path), want, "{pattern:?} {path:?}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for pattern in ["[", "[a", "[]", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "a[", "\\", "[^", "[^bc", "[a\\"] {
        assert!(Glob::new(pattern).is_err(), "{pattern:?}");
    }
}

#[test]
fn wildcards_are_found_and_escaped_ones_are_none() {
    for (text, want) in [("a*", true), ("a?", true), ("[a]", true), ("a\\*", false), ("a\\\\*", true), ("a", false)] {
        assert_eq!(has_wildcard(text), want, "{text:?}");
    }
}
