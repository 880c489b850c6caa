use crate::image::dockerfile::instruction::{Command, CommandLine, Network};
use crate::image::dockerfile::{Dockerfile, Span};

fn parsed(text: &str) -> Vec<Command> {
    let dockerfile = Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    dockerfile.instructions.into_iter().map(|instruction| instruction.command).collect()
}

fn one(text: &str) -> Command {
    parsed(text).remove(0)
}

fn refused(text: &str) -> String {
    match Dockerfile::parse("Dockerfile", text.as_bytes()) {
        Ok(_) => panic!("{text:?} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn stages_have_names_in_lower_case() {
    let Command::From(from) = one("from --platform=linux/arm64 Debian:12 as Base-1.x") else { panic!() };
    assert_eq!((from.base.as_str(), from.platform.as_deref()), ("Debian:12", Some("linux/arm64")));
    assert_eq!(from.name, Some(("base-1.x".to_owned(), "Base-1.x".to_owned())));
    for bad in ["FROM", "FROM a b", "FROM a as", "FROM a as 1x", "FROM a as x/y", "FROM a as b c", "FROM --x a"] {
        refused(bad);
    }
}

#[test]
fn single_quotes_are_no_json() {
    assert_eq!(one("CMD ['a']"), Command::Cmd(CommandLine::Shell("['a']".to_owned())));
    assert_eq!(one("CMD [\"a\"]"), Command::Cmd(CommandLine::Exec(vec!["a".to_owned()])));
    assert!(refused("CMD [1]").starts_with("Dockerfile:1: CMD: "));
}

#[test]
fn run_has_flags() {
    let Command::Run(run) = one("RUN --network=none --mount=type=tmpfs,target=/t --mount=target=/x make -j") else {
        panic!()
    };
    assert_eq!((run.network, run.mounts.len()), (Network::None, 2));
    assert_eq!(run.command, CommandLine::Shell("make -j".to_owned()));
    for (bad, says) in [
        ("RUN --netwrk=none x", "did you mean"),
        ("RUN --network=some x", "default, none or host"),
        ("RUN --network=none --network=none x", "given twice"),
        ("RUN --mount x", "has no value"),
        ("RUN --security=high x", "sandbox or insecure"),
        ("RUN --mount=typ=bind x", "did you mean"),
    ] {
        assert!(refused(bad).contains(says), "{bad}: {}", refused(bad));
    }
}

#[test]
fn copies_have_sources_and_a_destination() {
    let Command::Copy(copy) = one("COPY --from=a --chown=b:c --chmod=0644 --link --exclude=x --exclude=y s1 s2 d/")
    else {
        panic!()
    };
    assert_eq!((copy.sources.as_slice(), copy.destination.as_str()), (&["s1".to_owned(), "s2".to_owned()][..], "d/"));
    assert_eq!((copy.from.as_deref(), copy.link, copy.exclude.len()), (Some("a"), true, 2));
    let Command::Copy(copy) = one("COPY [\"a b\", \"c d\"]") else { panic!() };
    assert_eq!((copy.sources.as_slice(), copy.destination.as_str()), (&["a b".to_owned()][..], "c d"));
    let Command::Add(add) = one("ADD --unpack=false --keep-git-dir --checksum=sha256:x u d") else { panic!() };
    assert_eq!((add.unpack, add.keep_git_dir, add.checksum.as_deref()), (Some(false), Some(true), Some("sha256:x")));
    for bad in ["COPY", "COPY a", "COPY --unpack a b", "ADD --from=x a b", "COPY --link=maybe a b", "COPY <<E\nE\n"] {
        refused(bad);
    }
}

#[test]
fn heredocs_belong_to_their_words() {
    let text = "COPY <<A x <<\"BC\" /d/\na $V\nA\nb\nBC\nRUN x";
    let dockerfile = Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap();
    assert_eq!(dockerfile.instructions[0].span, Span { first: 1, last: 5 });
    assert_eq!(dockerfile.instructions[1].span, Span { first: 6, last: 6 });
    let Command::Copy(copy) = &dockerfile.instructions[0].command else { panic!() };
    let contents: Vec<_> = copy.contents.iter().map(|h| (h.name.as_str(), h.body.as_str(), h.expand)).collect();
    assert_eq!(contents, [("A", "a $V\n", true), ("BC", "b\n", false)]);
    assert_eq!(copy.sources, ["x"]);
    // An exec form takes none, and quotes hide the mark.
    assert_eq!(parsed("RUN [\"x\", \"<<A\"]\nRUN echo '<<A'\nRUN echo $((1<<2))").len(), 3);
}

#[test]
fn triggers_are_looked_at_when_they_are_written() {
    assert_eq!(one("ONBUILD RUN <<E\nx\nE\n"), Command::OnBuild("RUN <<E\nx\nE".to_owned()));
    for bad in
        ["ONBUILD", "ONBUILD ONBUILD RUN x", "ONBUILD FROM x", "ONBUILD MAINTAINER x", "ONBUILD COPY a", "ONBUILD NO"]
    {
        refused(bad);
    }
}

#[test]
fn healthchecks() {
    for good in ["HEALTHCHECK NONE", "HEALTHCHECK --interval=5s --retries=0 CMD x", "healthcheck cmd [\"x\"]"] {
        one(good);
    }
    for (bad, says) in [
        ("HEALTHCHECK", "NONE or CMD"),
        ("HEALTHCHECK NONE x", "no arguments"),
        ("HEALTHCHECK CMD", "no command"),
        ("HEALTHCHECK TRY x", "unknown type"),
        ("HEALTHCHECK --interval=1us CMD x", "shorter than 1ms"),
        ("HEALTHCHECK --interval=5 CMD x", "no duration"),
        ("HEALTHCHECK --retries=-1 CMD x", "negative"),
    ] {
        assert!(refused(bad).contains(says), "{bad}: {}", refused(bad));
    }
}

#[test]
fn an_error_says_the_line_where_the_instruction_begins() {
    assert_eq!(refused("FROM a\n\nRUN x \\\n  y\nNOPE z\n"), "Dockerfile:5: unknown instruction: NOPE");
    assert!(refused("FROM a\nRUNN x").ends_with("unknown instruction: RUNN (did you mean RUN?)"));
    assert_eq!(refused("# only a comment\n"), "Dockerfile: no instructions");
    assert!(refused(&"RUN x\n".repeat(5001)).contains("more than 5000 instructions"));
}
