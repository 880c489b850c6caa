use super::*;

#[test]
fn keyword_flags_and_the_rest() {
    for (text, keyword, flags, rest) in [
        ("RUN", "RUN", &[][..], ""),
        ("RUN  make all ", "RUN", &[], "make all"),
        ("COPY --from=a --chown=b x y", "COPY", &["--from=a", "--chown=b"], "x y"),
        ("RUN -- --not-a-flag", "RUN", &[], "--not-a-flag"),
        ("RUN make --flag", "RUN", &[], "make --flag"),
        ("RUN --mount='a b' x", "RUN", &["--mount=a b"], "x"),
        ("RUN --mount=\"a\\\"b\" x", "RUN", &["--mount=a\"b"], "x"),
        ("RUN --a\\ b x", "RUN", &["--a b"], "x"),
        ("RUN\t--a\tx", "RUN", &["--a"], "x"),
    ] {
        let (got, got_flags, got_rest) = split_instruction(text, '\\');
        assert_eq!((got, got_rest), (keyword, rest), "{text:?}");
        assert_eq!(got_flags, flags, "{text:?}");
    }
}

#[test]
fn quotes_keep_words_together_and_stay() {
    for (text, want) in [
        ("a b  c", &["a", "b", "c"][..]),
        ("'a b' c", &["'a b'", "c"]),
        ("a=\"x y\" b", &["a=\"x y\"", "b"]),
        ("a\\ b c", &["a\\ b", "c"]),
        ("'a\\' b", &["'a\\'", "b"]),
        ("\"a\\\" b\"", &["\"a\\\" b\""]),
        ("'open a b", &["'open a b"]),
        ("a\\", &["a"]),
        ("", &[]),
    ] {
        assert_eq!(split_quoted(text, '\\'), want, "{text:?}");
    }
    assert_eq!(split_quoted("a` b\\ c", '`'), ["a` b\\", "c"]);
}

#[test]
fn pairs_in_both_forms() {
    let got = |text| -> Vec<(String, String, bool)> {
        pairs(text, '\\').unwrap().into_iter().map(|pair| (pair.name, pair.value, pair.old_form)).collect()
    };
    let pair = |name: &str, value: &str, old| (name.to_owned(), value.to_owned(), old);
    assert_eq!(got("a=1 b='2 3'"), [pair("a", "1", false), pair("b", "'2 3'", false)]);
    assert_eq!(got("a b = c  d"), [pair("a", "b = c  d", true)]);
    assert_eq!(got("a= b="), [pair("a", "", false), pair("b", "", false)]);
    for bad in ["", "a", "a=1 b", "=x"] {
        assert!(pairs(bad, '\\').is_err(), "{bad:?}");
    }
}

#[test]
fn an_exec_form_is_json_or_none() {
    for (text, want) in [
        ("[\"a\", \"b c\"]", Some(&["a", "b c"][..])),
        ("[]", Some(&[])),
        (" [ \"\\u0041\" ] ", Some(&["A"])),
        ("['a']", None),
        ("[\"a\"", None),
        ("[\"a\"] b", None),
        ("[\"a\",]", None),
        ("a [\"b\"]", None),
        ("{}", None),
    ] {
        let want = want.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(json_strings(text).unwrap(), want, "{text:?}");
    }
    for bad in ["[1]", "[\"a\", null]", "[[\"a\"]]"] {
        assert!(json_strings(bad).is_err(), "{bad:?}");
    }
}
