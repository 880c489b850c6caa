//! A line to a typed instruction: one function for each keyword.

use super::flags::{Flags, Kind};
use super::heredoc::{self, Heredoc};
use super::instruction::{Argument, Command, CommandLine, Copy, From, Instruction, KEYWORDS, Network, Run, Security};
use super::lex::Line;
use super::mount::Mount;
use super::{healthcheck, suggest, words};
use crate::bail;
use crate::error::{Context, Result};

const FROM_FLAGS: &[(&str, Kind)] = &[("platform", Kind::Value)];
const RUN_FLAGS: &[(&str, Kind)] = &[("mount", Kind::Values), ("network", Kind::Value), ("security", Kind::Value)];
const COPY_FLAGS: &[(&str, Kind)] = &[
    ("chmod", Kind::Value),
    ("chown", Kind::Value),
    ("exclude", Kind::Values),
    ("from", Kind::Value),
    ("link", Kind::Switch),
    ("parents", Kind::Switch),
];
const ADD_FLAGS: &[(&str, Kind)] = &[
    ("checksum", Kind::Value),
    ("chmod", Kind::Value),
    ("chown", Kind::Value),
    ("exclude", Kind::Values),
    ("keep-git-dir", Kind::Switch),
    ("link", Kind::Switch),
    ("unpack", Kind::Switch),
];

pub(super) fn instruction(line: Line, escape: char) -> Result<Instruction> {
    let command = command(&line, escape)?;
    let Line { keyword, text, comments, span, .. } = line;
    Ok(Instruction { command, keyword, text: text.trim().to_owned(), comments, span })
}

fn command(line: &Line, escape: char) -> Result<Command> {
    let keyword = line.keyword.to_ascii_uppercase();
    let parsed = match keyword.as_str() {
        "ADD" => copy(line, ADD_FLAGS).map(Command::Add),
        "ARG" => arguments(line, escape).map(Command::Arg),
        "CMD" => command_line(line).map(Command::Cmd),
        "COPY" => copy(line, COPY_FLAGS).map(Command::Copy),
        "ENTRYPOINT" => command_line(line).map(Command::Entrypoint),
        "ENV" => Flags::none(&line.flags).and_then(|()| words::pairs(&line.rest, escape)).map(Command::Env),
        "EXPOSE" => list(line).map(sorted).map(Command::Expose),
        "FROM" => from(line).map(Command::From),
        "HEALTHCHECK" => healthcheck::parse(line, shell_or_exec).map(Command::Healthcheck),
        "LABEL" => Flags::none(&line.flags).and_then(|()| words::pairs(&line.rest, escape)).map(Command::Label),
        "MAINTAINER" => one(line).map(Command::Maintainer),
        "ONBUILD" => on_build(line, escape).map(Command::OnBuild),
        "RUN" => run(line).map(Command::Run),
        "SHELL" => shell(line).map(Command::Shell),
        "STOPSIGNAL" => one(line).map(Command::StopSignal),
        "USER" => one(line).map(Command::User),
        "VOLUME" => volumes(line).map(Command::Volume),
        "WORKDIR" => one(line).map(Command::Workdir),
        _ => bail!("unknown instruction: {}{}", line.keyword, suggest::hint(&line.keyword, KEYWORDS)),
    };
    parsed.context(keyword)
}

/// Everything behind the keyword is one argument.
fn one(line: &Line) -> Result<String> {
    Flags::none(&line.flags)?;
    if line.rest.is_empty() {
        bail!("requires exactly one argument");
    }
    Ok(line.rest.clone())
}

fn list(line: &Line) -> Result<Vec<String>> {
    Flags::none(&line.flags)?;
    let words = words::split_blanks(&line.rest);
    if words.is_empty() {
        bail!("requires at least one argument");
    }
    Ok(words)
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

fn from(line: &Line) -> Result<From> {
    let flags = Flags::parse(&line.flags, FROM_FLAGS)?;
    let words = words::split_blanks(&line.rest);
    let (base, as_word, name) = match words.as_slice() {
        [base] => (base, None, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (base, Some(word.clone()), Some(stage_name(name)?)),
        _ => bail!("requires either one argument or three: BASE AS NAME"),
    };
    Ok(From { base: base.clone(), platform: flags.value("platform").map(str::to_owned), name, as_word })
}

fn stage_name(written: &str) -> Result<(String, String)> {
    let name = written.to_lowercase();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(good) {
        bail!("stage name {written:?}: want a letter first, then letters, digits, '-', '_' and '.'");
    }
    Ok((name, written.to_owned()))
}

fn arguments(line: &Line, escape: char) -> Result<Vec<Argument>> {
    Flags::none(&line.flags)?;
    let words = words::split_quoted(&line.rest, escape);
    if words.is_empty() {
        bail!("requires at least one argument");
    }
    let mut arguments = Vec::with_capacity(words.len());
    for word in words {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (word.as_str(), None),
        };
        if name.is_empty() {
            bail!("{word}: has no name");
        }
        arguments.push(Argument { name: name.to_owned(), default });
    }
    Ok(arguments)
}

fn shell_or_exec(text: &str) -> Result<CommandLine> {
    Ok(match words::json_strings(text)? {
        Some(args) => CommandLine::Exec(args),
        None => CommandLine::Shell(text.to_owned()),
    })
}

fn command_line(line: &Line) -> Result<CommandLine> {
    Flags::none(&line.flags)?;
    shell_or_exec(&line.rest)
}

fn run(line: &Line) -> Result<Run> {
    let flags = Flags::parse(&line.flags, RUN_FLAGS)?;
    let network = match flags.value("network") {
        None | Some("default") => Network::Default,
        Some("none") => Network::None,
        Some("host") => Network::Host,
        Some(other) => bail!("flag --network: {other:?}; want default, none or host"),
    };
    let security = match flags.value("security") {
        None | Some("sandbox") => Security::Sandbox,
        Some("insecure") => Security::Insecure,
        Some(other) => bail!("flag --security: {other:?}; want sandbox or insecure"),
    };
    let mounts = flags.values("mount").map(|text| Mount::parse(text).context("flag --mount"));
    let mounts = mounts.collect::<Result<Vec<_>>>()?;
    let command = shell_or_exec(&line.rest)?;
    if matches!(&command, CommandLine::Exec(args) if args.is_empty()) {
        bail!("requires at least one argument");
    }
    Ok(Run { command, heredocs: line.heredocs.clone(), mounts, network, security })
}

fn copy(line: &Line, known: &'static [(&'static str, Kind)]) -> Result<Copy> {
    let flags = Flags::parse(&line.flags, known)?;
    let json = words::json_strings(&line.rest)?;
    let mut words = json.unwrap_or_else(|| words::split_blanks(&line.rest));
    let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
        bail!("requires at least two arguments: SOURCE... DESTINATION");
    };
    if heredoc::parse(&destination).ok().flatten().is_some() && !line.heredocs.is_empty() {
        bail!("a heredoc cannot be the destination");
    }
    let (sources, contents) = split_contents(words, &line.heredocs)?;
    let text = |name| flags.value(name).map(str::to_owned);
    Ok(Copy {
        sources,
        contents,
        destination,
        from: text("from").filter(|from| !from.is_empty()),
        chown: text("chown").filter(|chown| !chown.is_empty()),
        chmod: text("chmod").filter(|chmod| !chmod.is_empty()),
        link: flags.switch("link").unwrap_or(false),
        parents: flags.switch("parents").unwrap_or(false),
        exclude: flags.values("exclude").map(str::to_owned).collect(),
        checksum: text("checksum").filter(|checksum| !checksum.is_empty()),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    })
}

/// Which of the words are paths and which announce the heredocs of the line, in order.
fn split_contents(words: Vec<String>, heredocs: &[Heredoc]) -> Result<(Vec<String>, Vec<Heredoc>)> {
    let mut waiting = heredocs.iter();
    let mut sources = Vec::new();
    for word in words {
        match heredoc::parse(&word).ok().flatten() {
            Some(heredoc) if waiting.as_slice().first().is_some_and(|next| next.name == heredoc.name) => {
                waiting.next();
            }
            _ => sources.push(word),
        }
    }
    if let Some(heredoc) = waiting.next() {
        bail!("heredoc {:?} is not one of the sources", heredoc.name);
    }
    Ok((sources, heredocs.to_vec()))
}

fn shell(line: &Line) -> Result<Vec<String>> {
    Flags::none(&line.flags)?;
    match words::json_strings(&line.rest)? {
        Some(args) if !args.is_empty() => Ok(args),
        None if !line.rest.is_empty() => bail!("requires the JSON form: SHELL [\"/bin/bash\", \"-c\"]"),
        _ => bail!("requires at least one argument"),
    }
}

fn volumes(line: &Line) -> Result<Vec<String>> {
    Flags::none(&line.flags)?;
    let words = words::json_strings(&line.rest)?.unwrap_or_else(|| words::split_blanks(&line.rest));
    if words.is_empty() {
        bail!("requires at least one argument");
    }
    let volumes: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
    if volumes.iter().any(String::is_empty) {
        bail!("an empty string is no volume");
    }
    Ok(volumes)
}

/// The trigger as text, since the image keeps it as text; a heredoc's body goes with it.
fn on_build(line: &Line, escape: char) -> Result<String> {
    Flags::none(&line.flags)?;
    let (keyword, flags, rest) = words::split_instruction(&line.rest, escape);
    match keyword.to_ascii_uppercase().as_str() {
        "" => bail!("requires at least one argument"),
        "ONBUILD" => bail!("a trigger cannot be ONBUILD itself"),
        "FROM" | "MAINTAINER" => bail!("{keyword} cannot be a trigger"),
        _ => {}
    }
    let trigger = Line { keyword: keyword.to_owned(), flags, rest: rest.to_owned(), ..line.clone() };
    command(&trigger, escape)?;
    let mut text = line.rest.clone();
    for heredoc in &line.heredocs {
        text.push('\n');
        text.push_str(&heredoc.body);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
