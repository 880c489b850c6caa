//! The 18 instructions, typed, with variables not yet replaced.

use super::Span;
use super::healthcheck::Healthcheck;
use super::heredoc::Heredoc;
use super::mount::Mount;
use super::words::Pair;

/// Every keyword of the language.
pub const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    pub command: Command,
    /// As written: `RUN`, `run`.
    pub keyword: String,
    /// The whole instruction, continuations joined, without heredoc bodies.
    pub text: String,
    /// The comments directly above it, without `#`.
    pub comments: Vec<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Add(Copy),
    Arg(Vec<Argument>),
    Cmd(CommandLine),
    Copy(Copy),
    Entrypoint(CommandLine),
    Env(Vec<Pair>),
    Expose(Vec<String>),
    From(From),
    Healthcheck(Healthcheck),
    Label(Vec<Pair>),
    Maintainer(String),
    /// The trigger's text, heredocs included; it was parsed once to find its errors here.
    OnBuild(String),
    Run(Run),
    Shell(Vec<String>),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    Workdir(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct From {
    /// An image, a stage or `scratch`.
    pub base: String,
    pub platform: Option<String>,
    /// The stage's name in lower case, and as written.
    pub name: Option<(String, String)>,
    /// The word between base and name, as written.
    pub as_word: Option<String>,
}

/// `ARG name` or `ARG name=default`.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    pub name: String,
    pub default: Option<String>,
}

/// The arguments of RUN, CMD and ENTRYPOINT.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandLine {
    /// `["program", "argument"]`
    Exec(Vec<String>),
    /// One line for the shell.
    Shell(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub command: CommandLine,
    pub heredocs: Vec<Heredoc>,
    pub mounts: Vec<Mount>,
    pub network: Network,
    pub security: Security,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// What the build as a whole was told.
    #[default]
    Default,
    None,
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    #[default]
    Sandbox,
    Insecure,
}

/// COPY and ADD. What only one of them knows is empty in the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    pub sources: Vec<String>,
    pub contents: Vec<Heredoc>,
    pub destination: String,
    /// COPY only.
    pub from: Option<String>,
    pub chown: Option<String>,
    pub chmod: Option<String>,
    pub link: bool,
    /// COPY only.
    pub parents: bool,
    pub exclude: Vec<String>,
    /// ADD only, like all that follow.
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub unpack: Option<bool>,
}
