//! What a build will do, as data: instructions, build arguments and the configurations of base images to stages of
//! steps with everything resolved. Nothing is read or written here; base images are asked for through a function, so
//! that a plan can be made, printed and compared without any image at all.
//!
//! [`graph`] finds the stages that the target needs, [`stage`] walks the instructions of one.

pub mod copy;
pub mod expose;
pub mod git;
pub mod graph;
pub mod platform;
pub mod print;
pub mod run;
pub mod scope;
pub mod signal;
pub mod stage;

pub use copy::{Copy, Source};
pub use print::print;
pub use run::{Mount, Network, Run};

use super::config::{ImageConfig, Platform};
use super::dockerfile::lint::{Lint, Warning};
use super::dockerfile::{Dockerfile, Span};
use super::dockerignore::Ignore;
use super::reference::Reference;
use crate::bail;
use crate::error::Result;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the command line says about the language. All of it can change the plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--build-arg`, the last of a name counts.
    pub build_args: BTreeMap<String, String>,
    /// `--target`; the last stage where it is missing.
    pub target: Option<String>,
    /// The machine that builds.
    pub build_platform: Platform,
    /// `--platform`; the building machine's where it is missing.
    pub target_platform: Option<Platform>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--build-context`: names that stand for something else than the stage or image of that name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The ignore file of the context, for the check that names what it hides.
    pub ignore: Ignore,
    /// Plan every stage, needed or not (`--check`).
    pub all_stages: bool,
}

impl Options {
    pub fn new(build_platform: Platform) -> Options {
        Options {
            build_args: BTreeMap::new(),
            target: None,
            build_platform,
            target_platform: None,
            labels: BTreeMap::new(),
            contexts: BTreeMap::new(),
            ignore: Ignore::default(),
            all_stages: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum NamedContext {
    /// `docker-image://NAME`
    Image(Reference),
    /// Anything that is a tree of files.
    Tree,
}

/// Gives the configuration of a base image; `None` where a plan is wanted although the image is not there.
pub type Bases<'a> = dyn FnMut(&Reference, &Platform) -> Result<Option<ImageConfig>> + 'a;

#[derive(Debug, Clone)]
pub struct Plan {
    /// The Dockerfile's name, for messages.
    pub name: String,
    /// Those that are needed, each behind those that it needs.
    pub stages: Vec<Stage>,
    /// Which of `stages` is the result.
    pub target: usize,
    pub warnings: Vec<Warning>,
    /// The file asks for an error where there are warnings.
    pub warnings_are_errors: bool,
    /// What the user may want to know, without being a check: build arguments that nothing uses.
    pub notes: Vec<String>,
    /// SOURCE_DATE_EPOCH, seconds: the time that everything new is said to be made.
    pub epoch: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Stage {
    /// In the file, counted from 0.
    pub index: usize,
    pub name: Option<String>,
    /// Of FROM.
    pub span: Span,
    pub base: Base,
    pub platform: Platform,
    pub steps: Vec<Step>,
    /// The configuration after the last step, with history, but without what only execution knows: diff ids and times.
    /// The history of the base image is the beginning of this one's.
    pub image: ImageConfig,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Scratch,
    Image(Reference),
    /// Index into [`Plan::stages`].
    Stage(usize),
    /// A named context that is no image.
    Context(String),
}

/// Where COPY and RUN --mount take files from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Context,
    Named(String),
    /// Index into [`Plan::stages`].
    Stage(usize),
    Image(Reference),
    Scratch,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub span: Span,
    /// It is a trigger of the base image; `span` is FROM's.
    pub on_build: bool,
    /// The instruction as the user wrote it, on one line.
    pub title: String,
    /// With variables replaced, as history tells it.
    pub created_by: String,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Changes the configuration only; the effect is in [`Stage::image`].
    Config,
    /// WORKDIR: the directory and what is missing above it, mode 0755, owned by `user`.
    MakeDir {
        path: String,
        user: String,
    },
    Copy(Copy),
    Run(Run),
}

impl Operation {
    /// Whether history counts a layer for it, be it empty.
    pub fn makes_layer(&self) -> bool {
        !matches!(self, Operation::Config)
    }

    /// Where it reads from.
    pub fn places(&self) -> Vec<&Place> {
        match self {
            Operation::Copy(copy) => copy.sources.iter().filter_map(Source::place).collect(),
            Operation::Run(run) => run.mounts.iter().filter_map(Mount::place).map(|(place, _)| place).collect(),
            Operation::Config | Operation::MakeDir { .. } => Vec::new(),
        }
    }
}

/// Makes the plan. An error says which line is wrong.
pub fn plan(dockerfile: &Dockerfile, options: &Options, bases: &mut Bases) -> Result<Plan> {
    let mut lint = Lint::new(dockerfile)?;
    let globals = scope::Globals::new(dockerfile, options)?;
    let sections = graph::sections(dockerfile, &globals, &mut lint)?;
    let graph = graph::Graph::new(dockerfile, options, &globals, sections, &mut lint, bases)?;
    let mut stages: Vec<Stage> = Vec::with_capacity(graph.needed.len());
    let mut states: Vec<stage::State> = Vec::with_capacity(graph.needed.len());
    for index in graph.needed.iter().copied() {
        let mut state = stage::State::begin(&graph, index, &states)?;
        let stage = state.walk(&graph, index, &mut lint)?;
        stages.push(stage);
        states.push(state);
    }
    let Some(target) = graph.position(graph.target) else {
        bail!("{}: no stage to build", dockerfile.name);
    };
    if let Some(stage) = stages.get_mut(target) {
        stage.image.config.labels.extend(options.labels.clone());
    }
    let mut notes = globals.notes(&states);
    notes.extend(syntax_note(dockerfile));
    Ok(Plan {
        name: dockerfile.name.clone(),
        stages,
        target,
        warnings_are_errors: lint.settings.error,
        warnings: lint.finish(),
        notes,
        epoch: globals.epoch()?,
    })
}

/// A file that was written for another language than this one deserves to be told.
fn syntax_note(dockerfile: &Dockerfile) -> Option<String> {
    let (syntax, span) = dockerfile.syntax.as_ref()?;
    let image = syntax.split(' ').next().unwrap_or(syntax);
    let known = image.contains("docker/dockerfile") || image.contains("docker/dockerfile-upstream");
    let place = dockerfile.at(*span);
    (!known).then(|| format!("{place}: syntax directive {image:?} is not followed; this is read as a Dockerfile"))
}
