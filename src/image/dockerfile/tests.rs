use super::*;

fn lexed(text: &str) -> lex::Lexed {
    lex::lex(text).unwrap_or_else(|error| panic!("{text}: {}", error.at("Dockerfile")))
}

fn texts(text: &str) -> Vec<String> {
    lexed(text).lines.into_iter().map(|line| line.text).collect()
}

#[test]
fn directives_are_at_the_top_only() {
    let lexed = lexed("# Syntax = a/b:1\n#escape=`\n# check=skip=all\nFROM x `\n y");
    assert_eq!((lexed.escape, lexed.syntax.unwrap().0.as_str()), ('`', "a/b:1"));
    assert_eq!((lexed.check.unwrap().0.as_str(), lexed.lines[0].text.as_str()), ("skip=all", "FROM x  y"));
    for text in ["# a comment\n# escape=`\nX", "\n# escape=`\nX", "FROM x\n# escape=`\nX", "# unknown=1\n# escape=`\nX"]
    {
        assert_eq!(self::lexed(text).escape, '\\', "{text:?}");
    }
    for text in ["# escape=`\n# escape=`\nX", "# escape=x\nX", "# syntax=a\n# SYNTAX=b\nX"] {
        assert!(lex::lex(text).is_err(), "{text:?}");
    }
}

#[test]
fn lines_are_continued() {
    assert_eq!(texts("RUN a \\\n  b \\  \n# gone\n\nc\nRUN d"), ["RUN a   b c", "RUN d"]);
    assert_eq!(texts("RUN a\\\\\nRUN b"), ["RUN a\\\\", "RUN b"]);
    assert_eq!(texts("\u{feff}RUN a\r\nRUN b\\\r\nc\r\n"), ["RUN a", "RUN bc"]);
    assert_eq!(texts("RUN a \\"), ["RUN a "]);
    assert_eq!(lexed("RUN a \\\n\nb").empty_continuations, [Span::line(2)]);
    assert_eq!(lexed("\n\n  RUN a \\\nb\nX").lines[0].span, Span { first: 3, last: 4 });
}

#[test]
fn comments_above_an_instruction_belong_to_it() {
    let lexed = lexed("# first\n\n# one\n# two\nRUN a\nRUN b");
    assert_eq!(lexed.lines[0].comments, ["first", "one", "two"]);
    assert!(lexed.lines[1].comments.is_empty());
}

#[test]
fn bodies_of_heredocs_are_as_written() {
    let lexed = lexed("RUN <<-E a\n\t\\\n\t# no comment\n\tE\nRUN b");
    let heredoc = &lexed.lines[0].heredocs[0];
    assert_eq!(heredoc.body, "\t\\\n\t# no comment\n");
    assert_eq!(heredoc.content(), "\\\n# no comment\n");
    assert_eq!(lexed.lines.len(), 2);
}

#[test]
fn what_announces_a_heredoc() {
    for (word, want) in [
        ("<<EOF", Some(("EOF", true, false))),
        ("<<-EOF", Some(("EOF", true, true))),
        ("3<<EOF", Some(("EOF", true, false))),
        ("<<'EOF'", Some(("EOF", false, false))),
        ("<<E\"O\"F", Some(("EOF", false, false))),
        ("<<'A B'", Some(("A B", false, false))),
        ("<<<EOF", None),
        ("<<", None),
        ("<EOF", None),
        ("a<<EOF", None),
        ("<<A B", None),
    ] {
        let got = heredoc::parse(word).unwrap();
        let got = got.as_ref().map(|heredoc| (heredoc.name.as_str(), heredoc.expand, heredoc.strip_tabs));
        assert_eq!(got, want, "{word}");
    }
}

#[test]
fn neither_lines_nor_files_are_without_end() {
    let long = format!("RUN {}", "x".repeat(lex::LINE_BYTES_MAX));
    assert!(Dockerfile::parse("D", long.as_bytes()).unwrap_err().to_string().starts_with("D:1: line is longer"));
    assert!(Dockerfile::parse("D", &vec![b'\n'; BYTES_MAX + 1]).is_err());
    assert!(Dockerfile::parse("D", b"# \xff\nFROM x\xfe").is_ok());
}
