//! The checks of `forno build --check`: what is legal and yet probably not meant. Names and reach are those of
//! BuildKit's checks, so that `# check=skip=...` in existing files works. What needs variables or base images to be
//! known is reported from [`crate::image::plan`]; the rest is here.

use super::instruction::{Command, From};
use super::{Dockerfile, Instruction, Span};
use crate::bail;
use crate::error::{Context, Result};
use std::collections::BTreeSet;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    ConsistentInstructionCasing,
    CopyIgnoredFile,
    DuplicateStageName,
    ExposeInvalidFormat,
    ExposeProtoCasing,
    FromAsCasing,
    FromPlatformFlagConstDisallowed,
    InvalidBaseImagePlatform,
    InvalidDefaultArgInFrom,
    InvalidDefinitionDescription,
    JSONArgsRecommended,
    LegacyKeyValueFormat,
    MaintainerDeprecated,
    MultipleInstructionsDisallowed,
    NoEmptyContinuation,
    RedundantTargetPlatform,
    ReservedStageName,
    SecretsUsedInArgOrEnv,
    StageNameCasing,
    UndefinedArgInFrom,
    UndefinedVar,
    WorkdirRelativePath,
}

/// The name is the variant's.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    pub span: Span,
    pub rule: Rule,
    pub message: String,
}

/// `# check=skip=Rule,Rule;error=true;experimental=Rule`, at the top of the file or, for `skip`, above an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    skip: Choice,
    experimental: Choice,
    /// Warnings make the build fail.
    pub error: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Choice {
    all: bool,
    names: Vec<String>,
}

impl Choice {
    fn parse(text: &str) -> Choice {
        let all = text.trim() == "all";
        Choice { all, names: text.split(',').map(|name| name.trim().to_owned()).collect() }
    }

    fn has(&self, rule: Rule) -> bool {
        self.all || self.names.contains(&rule.to_string())
    }
}

impl Settings {
    pub fn parse(text: &str) -> Result<Settings> {
        let mut settings = Settings::default();
        for option in text.split(';').map(str::trim).filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match key.trim() {
                "skip" => settings.skip = Choice::parse(value),
                "experimental" => settings.experimental = Choice::parse(value),
                "error" => {
                    settings.error = match value.trim().to_ascii_lowercase().as_str() {
                        "true" | "1" | "t" => true,
                        "false" | "0" | "f" => false,
                        _ => bail!("check directive: error={value:?} is neither true nor false"),
                    }
                }
                _ => bail!("check directive: unknown option {option:?}; want skip=, error= or experimental="),
            }
        }
        Ok(settings)
    }

    fn wants(&self, rule: Rule) -> bool {
        match rule {
            Rule::InvalidDefinitionDescription => self.experimental.has(rule),
            _ => !self.skip.has(rule),
        }
    }
}

/// Collects warnings, as the file's settings say.
#[derive(Debug, Default)]
pub struct Lint {
    pub settings: Settings,
    warnings: BTreeSet<Warning>,
}

impl Lint {
    /// Settings from the file's directive, and the checks that need nothing but its text.
    pub fn new(dockerfile: &Dockerfile) -> Result<Lint> {
        let settings = match &dockerfile.check {
            Some((text, span)) => Settings::parse(text).with(|| dockerfile.at(*span))?,
            None => Settings::default(),
        };
        let mut lint = Lint { settings, warnings: BTreeSet::new() };
        for span in &dockerfile.empty_continuations {
            let message = "an empty line inside an instruction will become an error".to_owned();
            lint.add(Rule::NoEmptyContinuation, *span, message);
        }
        lint.stage_names(&dockerfile.instructions);
        lint.casing(&dockerfile.instructions);
        lint.descriptions(&dockerfile.instructions);
        for instruction in &dockerfile.instructions {
            if let Command::Maintainer(_) = instruction.command {
                let message = "MAINTAINER is deprecated; use LABEL org.opencontainers.image.authors=...".to_owned();
                lint.report(Rule::MaintainerDeprecated, instruction, message);
            }
        }
        Ok(lint)
    }

    /// Takes note of something, unless a comment above the instruction or the file's directive says to skip it.
    pub fn report(&mut self, rule: Rule, instruction: &Instruction, message: String) {
        let skipped = |comment: &String| match super::lex::split_directive(comment) {
            Some((key, options)) if key == "check" => Settings::parse(options).is_ok_and(|s| s.skip.has(rule)),
            _ => false,
        };
        if !instruction.comments.iter().any(skipped) {
            self.add(rule, instruction.span, message);
        }
    }

    fn add(&mut self, rule: Rule, span: Span, message: String) {
        if self.settings.wants(rule) {
            self.warnings.insert(Warning { span, rule, message });
        }
    }

    /// By line.
    pub fn finish(self) -> Vec<Warning> {
        self.warnings.into_iter().collect()
    }

    fn stage_names(&mut self, instructions: &[Instruction]) {
        let mut seen = BTreeSet::new();
        for (instruction, from) in stages(instructions) {
            if let Some(word) = from.as_word.as_ref().filter(|word| !same_case(&instruction.keyword, word)) {
                let message = format!("'{word}' and '{}' differ in case", instruction.keyword);
                self.report(Rule::FromAsCasing, instruction, message);
            }
            let Some((name, written)) = &from.name else {
                continue;
            };
            if name != written {
                self.report(Rule::StageNameCasing, instruction, format!("stage name {written:?} should be lower case"));
            }
            if matches!(name.as_str(), "context" | "scratch") {
                let message = format!("stage name {name:?} has a meaning of its own; choose another");
                self.report(Rule::ReservedStageName, instruction, message);
            }
            if !seen.insert(name) {
                let message = format!("stage name {name:?} is used twice; the last one is meant from here on");
                self.report(Rule::DuplicateStageName, instruction, message);
            }
        }
    }

    /// All keywords in the case that most of them have.
    fn casing(&mut self, instructions: &[Instruction]) {
        let in_stages = || instructions.iter().skip_while(|i| !matches!(i.command, Command::From(_)));
        let (mut lower, mut upper) = (0, 0);
        for keyword in in_stages().map(|instruction| &instruction.keyword) {
            match case(keyword) {
                Some(Case::Lower) => lower += 1,
                Some(Case::Upper) => upper += 1,
                None => {}
            }
        }
        let (want, name) = if lower > upper { (Case::Lower, "lower") } else { (Case::Upper, "upper") };
        for instruction in in_stages().filter(|instruction| case(&instruction.keyword) != Some(want)) {
            let message = format!("'{}' should be in {name} case like most instructions here", instruction.keyword);
            self.report(Rule::ConsistentInstructionCasing, instruction, message);
        }
    }

    /// A comment directly above a stage or an argument describes it, beginning with its name.
    fn descriptions(&mut self, instructions: &[Instruction]) {
        for instruction in instructions {
            let (keyword, names): (_, Vec<&str>) = match &instruction.command {
                Command::From(From { name: Some((_, written)), .. }) => ("FROM", vec![written]),
                Command::Arg(arguments) => ("ARG", arguments.iter().map(|argument| argument.name.as_str()).collect()),
                _ => continue,
            };
            let described = instruction.comments.last().and_then(|comment| comment.split(' ').next());
            if let (Some(described), Some(first)) = (described, names.first())
                && !names.iter().any(|name| name.eq_ignore_ascii_case(described))
            {
                let name = if names.len() == 1 { first } else { "NAME" };
                let message = format!("the comment above {keyword} should read '# {name} DESCRIPTION'");
                self.report(Rule::InvalidDefinitionDescription, instruction, message);
            }
        }
    }
}

fn stages(instructions: &[Instruction]) -> impl Iterator<Item = (&Instruction, &From)> {
    instructions.iter().filter_map(|instruction| match &instruction.command {
        Command::From(from) => Some((instruction, from)),
        _ => None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

fn case(word: &str) -> Option<Case> {
    match word {
        _ if word == word.to_ascii_uppercase() => Some(Case::Upper),
        _ if word == word.to_ascii_lowercase() => Some(Case::Lower),
        _ => None,
    }
}

/// A keyword of mixed case is reported elsewhere.
fn same_case(keyword: &str, word: &str) -> bool {
    case(keyword).is_none_or(|keyword| case(word) == Some(keyword))
}

/// Whether a variable's name sounds like a secret: `API_KEY`, `password`, `GITHUB_TOKEN`; not `TOKEN_FILE`.
pub fn sounds_secret(name: &str) -> bool {
    const SECRET: [&str; 10] =
        ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let lower = name.to_ascii_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests;
