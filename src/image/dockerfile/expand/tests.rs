use super::*;

const VARIABLES: [(&str, &str); 8] = [
    ("A", "abc"),
    ("EMPTY", ""),
    ("SPACES", "one  two"),
    ("PATH", "/usr/bin:/bin"),
    ("NAME", "foo.tar.gz"),
    ("STAR", "a*b*c"),
    ("QUOTE", "'\""),
    ("U_1", "under"),
];

fn variable(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn expanded(text: &str) -> Result<Expanded> {
    expand(text, Options::word('\\'), &variable)
}

#[test]
fn what_a_word_becomes() {
    for (text, want) in [
        ("plain", "plain"),
        ("$A", "abc"),
        ("${A}x", "abcx"),
        ("$Ax", ""),
        ("$A.x", "abc.x"),
        ("$U_1", "under"),
        ("$", "$"),
        ("a$", "a$"),
        ("$.", "$."),
        ("$1x", "x"),
        ("$*x", "x"),
        ("\\$A", "$A"),
        ("\\t", "t"),
        ("a\\\\b", "a\\b"),
        ("a\\", "a"),
        ("'$A'", "$A"),
        ("'a\\b'", "a\\b"),
        ("\"$A\"", "abc"),
        ("\"\\$A \\\" \\\\ \\t\"", "$A \" \\ \\t"),
        ("\"'$A'\"", "'abc'"),
        ("$QUOTE", "'\""),
        ("${A:-x}${NO:-x}${EMPTY:-x}", "abcxx"),
        ("${A-x}${NO-x}${EMPTY-x}", "abcx"),
        ("${A:+x}${NO:+x}${EMPTY:+x}", "x"),
        ("${A+x}${NO+x}${EMPTY+x}", "xx"),
        ("${NO:-${ALSO_NO:-$A}}", "abc"),
        ("${NO:-'q $A'}", "q $A"),
        ("${NO:-a\\}b}", "a}b"),
        ("${A:?x}${A?}${EMPTY?}", "abcabc"),
        ("${NAME#*.}", "tar.gz"),
        ("${NAME##*.}", "gz"),
        ("${NAME%.*}", "foo.tar"),
        ("${NAME%%.*}", "foo"),
        ("${NAME#nothing}", "foo.tar.gz"),
        ("${NAME#f?o}", ".tar.gz"),
        ("${STAR#a\\*}", "b*c"),
        ("${STAR//\\*/-}", "a-b-c"),
        ("${NAME/./_}", "foo_tar.gz"),
        ("${NAME//./_}", "foo_tar_gz"),
        ("${PATH//:/ }", "/usr/bin /bin"),
        ("${PATH//\\//_}", "_usr_bin:_bin"),
        ("${NO#x}${NO/x/y}", ""),
    ] {
        let got = expanded(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(got.text, want, "{text}");
    }
}

#[test]
fn what_cannot_be_expanded_is_refused() {
    for (text, says) in [
        ("${", "no variable name"),
        ("${}", "no variable name"),
        ("${:x}", "no variable name"),
        ("${A", "no closing"),
        ("${A:", "operator"),
        ("${A:x}", "operator"),
        ("${A!x}", "operator"),
        ("'open", "single quote"),
        ("\"open", "double quote"),
        ("${NO:?say so}", "NO: say so"),
        ("${NO?}", "NO: is not set"),
        ("${EMPTY:?}", "EMPTY: may not be empty"),
        ("${A#\\a}", "means nothing"),
        ("${NAME//.}", "no closing"),
    ] {
        let error = expanded(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn words_part_where_no_quote_is() {
    for (text, want) in [
        ("a  b", &["a", "b"][..]),
        ("$SPACES", &["one", "two"]),
        ("\"$SPACES\"", &["one  two"]),
        ("x${SPACES}y", &["xone", "twoy"]),
        ("a\\ b", &["a b"]),
        ("'a b'c d", &["a bc", "d"]),
        ("$EMPTY", &[]),
    ] {
        assert_eq!(expanded(text).unwrap().words, want, "{text}");
    }
}

#[test]
fn it_is_known_which_names_were_looked_up() {
    let got = expanded("$A ${NO} '$QUIET' ${ALSO:-x} ${ALSO2:+$SPACES}").unwrap();
    assert_eq!(got.used.iter().map(String::as_str).collect::<Vec<_>>(), ["A", "SPACES"]);
    // One with a word that stands for it may be missing.
    assert_eq!(got.unset.iter().map(String::as_str).collect::<Vec<_>>(), ["NO"]);
}

#[test]
fn heredocs_know_variables_but_no_quotes() {
    let got = expand("\"$A\" 'it's' \\$A", Options::heredoc(), &variable).unwrap();
    assert_eq!(got.text, "\"abc\" 'it's' $A");
}

#[test]
fn another_escape_character() {
    let got = expand("C:\\x `$A $A", Options::word('`'), &variable).unwrap();
    assert_eq!(got.text, "C:\\x $A abc");
}

#[test]
fn neither_depth_nor_length_is_without_end() {
    let deep = "${NO:-".repeat(1000) + &"}".repeat(1000);
    assert!(expanded(&deep).unwrap_err().to_string().contains("deep"));
    let long = "x".repeat(100_000);
    let get = move |_: &str| Some("y");
    assert!(expand(&"$A".repeat(100_000), Options::word('\\'), &get).is_ok());
    assert!(expand(&(long.clone() + &long), Options::word('\\'), &get).is_err());
}
