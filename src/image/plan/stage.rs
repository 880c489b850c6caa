//! One stage: what each instruction does to the image's configuration, and the steps that are left to execute.
//!
//! [`walk`] takes the instructions one by one, [`settings`] are those that change the configuration and nothing else,
//! [`words`] is how history tells them.

mod settings;
mod walk;
mod words;

use super::graph::Graph;
use super::scope::Variables;
use super::{Base, Copy, Operation, Stage, Step};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{History, ImageConfig};
use crate::image::dockerfile::Instruction;
use crate::image::dockerfile::lint::Lint;
use std::collections::BTreeMap;
use walk::Walk;

/// docker's, for images that have none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a stage knows after its last instruction, and a stage on top of it at its first.
#[derive(Debug, Clone, Default)]
pub struct State {
    image: ImageConfig,
    /// ENV and ARG together, the later one of a name counts; what expansion and RUN see.
    variables: Variables,
    /// Declared ARGs, in order, the same again where declared again; history tells them with each RUN.
    arguments: Vec<(String, Option<String>)>,
    /// Instructions of which only the last counts, by keyword.
    last: BTreeMap<&'static str, Instruction>,
    /// How many ports were exposed, some perhaps several times.
    ports: u32,
}

impl State {
    /// The state before the first instruction.
    pub fn begin(graph: &Graph, index: usize, states: &[State]) -> Result<State> {
        let Some((node, section)) = graph.nodes.get(index).zip(graph.sections.get(index)) else {
            return Ok(State::default());
        };
        let mut state = match &node.base {
            Some(Base::Stage(base)) => {
                let below = graph.position(*base).and_then(|position| states.get(position));
                State { last: BTreeMap::new(), ..below.cloned().unwrap_or_default() }
            }
            _ => State { image: node.image.clone().unwrap_or_else(|| scratch(node.base.as_ref())), ..State::default() },
        };
        let platform = &node.platform;
        if state.image.os.is_empty() || node.image.is_none() && !matches!(node.base, Some(Base::Stage(_))) {
            state.image.os = platform.os.clone();
            state.image.architecture = platform.architecture.clone();
            state.image.variant = platform.variant.clone();
        }
        state.image.config.on_build.clear();
        if state.image.config.env("PATH").is_none() {
            state.image.config.set_env("PATH", PATH);
        }
        let place = || graph.dockerfile.at(section.instruction.span);
        for entry in state.image.config.env.clone() {
            let (name, value) = entry.split_once('=').unwrap_or((&entry, ""));
            if !matches!(node.base, Some(Base::Stage(_))) {
                state.variables.set(name, value.to_owned()).with(place)?;
            }
        }
        Ok(state)
    }

    /// Whether an ARG of the stage asks for it.
    pub fn declares(&self, name: &str) -> bool {
        self.arguments.iter().any(|(declared, _)| declared == name)
    }

    /// Goes through the instructions of the stage.
    pub fn walk(&mut self, graph: &Graph, index: usize, lint: &mut Lint) -> Result<Stage> {
        let Some((node, section)) = graph.nodes.get(index).zip(graph.sections.get(index)) else {
            bail!("{}: stage {index} does not exist", graph.dockerfile.name);
        };
        let mut steps = Vec::new();
        if let Some(Base::Context(name)) = &node.base {
            let created_by = format!("FROM {name}");
            self.image.history.push(History { created_by: Some(created_by.clone()), ..History::default() });
            steps.push(Step {
                span: section.instruction.span,
                on_build: false,
                title: one_line(&section.instruction.text),
                created_by,
                operation: Operation::Copy(Copy::of_context(name)),
            });
        }
        let triggers = node.triggers.iter().map(|instruction| (instruction, true));
        for (instruction, on_build) in triggers.chain(section.body.iter().map(|instruction| (instruction, false))) {
            let mut walk = Walk { graph, index, state: self, lint, instruction, unset: Vec::new() };
            let keyword = instruction.keyword.to_ascii_uppercase();
            let place = || format!("{}: {keyword}", graph.dockerfile.at(instruction.span));
            let (operation, created_by) = walk.step().with(place)?;
            walk.report_unset();
            let empty_layer = !operation.makes_layer();
            let created_by_line = Some(created_by.clone());
            self.image.history.push(History { created_by: created_by_line, empty_layer, ..History::default() });
            let title = one_line(&instruction.text);
            steps.push(Step { span: instruction.span, on_build, title, created_by, operation });
        }
        let base = match &node.base {
            Some(Base::Stage(base)) => Base::Stage(graph.position(*base).unwrap_or_default()),
            Some(base) => base.clone(),
            None => Base::Scratch,
        };
        Ok(Stage {
            index,
            name: section.from.name.as_ref().map(|(name, _)| name.clone()),
            span: section.instruction.span,
            base,
            platform: node.platform.clone(),
            steps,
            image: self.image.clone(),
        })
    }
}

fn scratch(base: Option<&Base>) -> ImageConfig {
    let mut image = ImageConfig::default();
    if base == Some(&Base::Scratch) {
        image.config.working_dir = "/".to_owned();
    }
    image
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
