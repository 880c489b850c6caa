//! Which stages the target needs, and what each of them stands on.
//!
//! A stage can only refer to stages above it, so that one pass from the last to the first finds all that are needed, and
//! the order of the file is an order in which they can be built.

use super::scope::Globals;
use super::{Base, Bases, NamedContext, Options, Place, platform};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::{ImageConfig, Platform};
use crate::image::dockerfile::expand::Options as Expansion;
use crate::image::dockerfile::instruction::{Command, From};
use crate::image::dockerfile::lint::{Lint, Rule};
use crate::image::dockerfile::{Dockerfile, Instruction};
use crate::image::reference::Reference;
use std::collections::BTreeSet;

/// A FROM line with what belongs to it.
#[derive(Debug)]
pub struct Section<'a> {
    pub instruction: &'a Instruction,
    pub from: &'a From,
    /// With variables replaced.
    base: String,
    /// `--platform`
    platform: Option<Platform>,
    pub body: &'a [Instruction],
}

impl Section<'_> {
    fn name(&self) -> Option<&str> {
        self.from.name.as_ref().map(|(name, _)| name.as_str())
    }
}

/// A section that is needed. Stages are told by their section here.
#[derive(Debug, Default)]
pub struct Node {
    pub base: Option<Base>,
    pub platform: Platform,
    /// The base image's configuration.
    pub image: Option<ImageConfig>,
    /// What ONBUILD of the base asks for.
    pub triggers: Vec<Instruction>,
}

#[derive(Debug)]
pub struct Graph<'a> {
    pub dockerfile: &'a Dockerfile,
    pub options: &'a Options,
    pub globals: &'a Globals,
    pub sections: Vec<Section<'a>>,
    pub nodes: Vec<Node>,
    /// Indices of sections, ascending.
    pub needed: Vec<usize>,
    pub target: usize,
}

/// Splits the file at its FROM lines.
pub fn sections<'a>(dockerfile: &'a Dockerfile, globals: &Globals, lint: &mut Lint) -> Result<Vec<Section<'a>>> {
    let all = dockerfile.instructions.as_slice();
    let is_from = |instruction: &Instruction| matches!(instruction.command, Command::From(_));
    let starts: Vec<usize> = (0..all.len()).filter(|at| all.get(*at).is_some_and(is_from)).collect();
    for instruction in all.iter().take_while(|instruction| !is_from(instruction)) {
        if !matches!(instruction.command, Command::Arg(_)) {
            let (place, keyword) = (dockerfile.at(instruction.span), instruction.keyword.to_ascii_uppercase());
            bail!("{place}: {keyword}: only ARG may come before the first FROM");
        }
    }
    if starts.is_empty() {
        bail!("{}: no FROM: no stage to build", dockerfile.name);
    }
    let mut sections = Vec::with_capacity(starts.len());
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(all.len());
        let Some([instruction, body @ ..]) = all.get(*start..end) else {
            continue;
        };
        if let Command::From(from) = &instruction.command {
            let section = section(dockerfile, globals, instruction, from, body, lint);
            sections.push(section.with(|| format!("{}: FROM", dockerfile.at(instruction.span)))?);
        }
    }
    Ok(sections)
}

fn section<'a>(
    dockerfile: &Dockerfile,
    globals: &Globals,
    instruction: &'a Instruction,
    from: &'a From,
    body: &'a [Instruction],
    lint: &mut Lint,
) -> Result<Section<'a>> {
    let expansion = Expansion::word(dockerfile.escape);
    let base = globals.variables.expand(&from.base, expansion)?;
    let mut unset: BTreeSet<String> = base.unset.clone();
    let mut platform = None;
    if let Some(text) = &from.platform {
        let expanded = globals.variables.expand(text, expansion).context("flag --platform")?;
        unset.extend(expanded.unset.clone());
        if expanded.text.is_empty() {
            bail!("flag --platform: {text:?} is empty");
        }
        let parsed = platform::parse(&expanded.text)?;
        check_platform(text, &parsed, instruction, from, lint);
        platform = Some(parsed);
    }
    for name in unset.iter().filter(|name| !globals.knows(name)) {
        let message = format!("FROM uses ${name}, which no ARG above the first FROM declares{}", globals.hint(name));
        lint.report(Rule::UndefinedArgInFrom, instruction, message);
    }
    if base.text.is_empty() {
        bail!("base name {} is empty{}", from.base, unset.iter().map(|name| globals.hint(name)).collect::<String>());
    }
    let default = globals.defaults.as_ref().and_then(|defaults| defaults.expand(&from.base, expansion).ok());
    let good = |text: &str| text == "scratch" || text.parse::<Reference>().is_ok();
    if from.base.contains('$') && !default.is_some_and(|default| good(&default.text)) {
        let message = format!("with the defaults of its ARGs alone, {} is no name of an image", from.base);
        lint.report(Rule::InvalidDefaultArgInFrom, instruction, message);
    }
    Ok(Section { instruction, from, base: base.text, platform, body })
}

fn check_platform(text: &str, parsed: &Platform, instruction: &Instruction, from: &From, lint: &mut Lint) {
    if matches!(text, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!("--platform={text} is what FROM does without it");
        lint.report(Rule::RedundantTargetPlatform, instruction, message);
    }
    // A stage that carries the platform in its name is one of several, chosen by an ARG.
    let named = |name: &str| name.contains(&parsed.os) || name.contains(&parsed.architecture);
    if !text.contains('$') && !from.name.as_ref().is_some_and(|(name, _)| named(name)) {
        let message = format!("--platform={text} is the same for every target; use $BUILDPLATFORM or --platform");
        lint.report(Rule::FromPlatformFlagConstDisallowed, instruction, message);
    }
}

impl<'a> Graph<'a> {
    pub fn new(
        dockerfile: &'a Dockerfile,
        options: &'a Options,
        globals: &'a Globals,
        sections: Vec<Section<'a>>,
        lint: &mut Lint,
        bases: &mut Bases,
    ) -> Result<Graph<'a>> {
        let nodes = sections.iter().map(|_| Node::default()).collect();
        let mut graph = Graph { dockerfile, options, globals, sections, nodes, needed: Vec::new(), target: 0 };
        graph.target = graph.find_target()?;
        let count = graph.sections.len();
        let mut wanted: Vec<bool> = (0..count).map(|at| options.all_stages || at == graph.target).collect();
        for at in (0..count).rev() {
            if wanted.get(at) != Some(&true) {
                continue;
            }
            graph.needed.push(at);
            for dependency in graph.resolve(at, lint, bases)? {
                if let Some(slot) = wanted.get_mut(dependency) {
                    *slot = true;
                }
            }
        }
        graph.needed.reverse();
        Ok(graph)
    }

    /// Where a section is among those that are needed: its place in the plan.
    pub fn position(&self, section: usize) -> Option<usize> {
        self.needed.iter().position(|needed| *needed == section)
    }

    fn find_target(&self) -> Result<usize> {
        let last = self.sections.len().saturating_sub(1);
        let Some(target) = &self.options.target else {
            return Ok(last);
        };
        let lower = target.to_lowercase();
        let named = self.sections.iter().rposition(|section| section.name() == Some(lower.as_str()));
        let numbered = target.parse::<usize>().ok().filter(|number| *number < self.sections.len());
        let names = || self.sections.iter().filter_map(Section::name);
        named.or(numbered).ok_or_else(|| {
            let hint = crate::image::dockerfile::suggest::hint(&lower, names());
            Error::new(format!("{}: no stage {target:?} (--target){hint}", self.dockerfile.name))
        })
    }

    /// Finds out about a section; gives the sections that it needs.
    fn resolve(&mut self, at: usize, lint: &mut Lint, bases: &mut Bases) -> Result<Vec<usize>> {
        let Some(section) = self.sections.get(at) else {
            return Ok(Vec::new());
        };
        let place = || self.dockerfile.at(section.instruction.span);
        let base = self.base(section, at).with(place)?;
        let build = &self.options.build_platform;
        let target = self.options.target_platform.as_ref().unwrap_or(build);
        let mut node = Node { platform: section.platform.clone().unwrap_or_else(|| target.clone()), ..Node::default() };
        let mut dependencies = Vec::new();
        let triggers: Vec<String> = match &base {
            Base::Image(name) => {
                node.image = bases(name, &node.platform).with(|| format!("{}: FROM", place()))?;
                node.image.as_ref().map(|image| image.config.on_build.clone()).unwrap_or_default()
            }
            Base::Stage(index) => {
                dependencies.push(*index);
                self.sections.get(*index).map(|section| on_build_of(section.body)).unwrap_or_default()
            }
            Base::Scratch | Base::Context(_) => Vec::new(),
        };
        if let Some(image) = &node.image {
            check_base(image, &node.platform, section, lint);
        }
        for trigger in &triggers {
            node.triggers.extend(parse_trigger(trigger, section.instruction).with(place)?);
        }
        for instruction in node.triggers.iter().chain(section.body) {
            for from in sources_of(&instruction.command) {
                let keyword = instruction.keyword.to_ascii_uppercase();
                let place = || format!("{}: {keyword}: --from={from}", self.dockerfile.at(instruction.span));
                let found = self.source(from, at).with(place)?;
                if let Place::Stage(index) = found {
                    dependencies.push(index);
                }
            }
        }
        node.base = Some(base);
        if let Some(slot) = self.nodes.get_mut(at) {
            *slot = node;
        }
        Ok(dependencies)
    }

    fn base(&self, section: &Section, at: usize) -> Result<Base> {
        let name = &section.base;
        if let Some(context) = section.name().and_then(|name| self.context(name)).or_else(|| self.context(name)) {
            return Ok(match context {
                (_, NamedContext::Image(reference)) => Base::Image(reference.clone()),
                (name, NamedContext::Tree) => Base::Context(name.to_owned()),
            });
        }
        if let Some(index) = self.named_before(name, at) {
            return Ok(Base::Stage(index));
        }
        if name == "scratch" {
            return Ok(Base::Scratch);
        }
        Ok(Base::Image(name.parse::<Reference>().context("FROM")?))
    }

    /// `--build-context`, by the name as written or in its full form.
    fn context(&self, name: &str) -> Option<(&str, &NamedContext)> {
        let contexts = &self.options.contexts;
        let full = |text: &str| text.parse::<Reference>().ok();
        let found = contexts.get_key_value(name).or_else(|| {
            let reference = full(name)?;
            contexts.iter().find(|(known, _)| full(known).as_ref() == Some(&reference))
        });
        found.map(|(name, context)| (name.as_str(), context))
    }

    fn named_before(&self, name: &str, at: usize) -> Option<usize> {
        let lower = name.to_lowercase();
        self.sections.iter().take(at).rposition(|section| section.name() == Some(lower.as_str()))
    }

    /// What `--from` and `from=` name, seen from a section; a stage by its section.
    fn source(&self, name: &str, at: usize) -> Result<Place> {
        if name.contains('$') {
            bail!("variables are not replaced here; name a stage with FROM ... AS and copy from it");
        }
        match self.context(name) {
            Some((_, NamedContext::Image(reference))) => return Ok(Place::Image(reference.clone())),
            Some((name, NamedContext::Tree)) => return Ok(Place::Named(name.to_owned())),
            None => {}
        }
        if let Some(index) = self.named_before(name, at) {
            return Ok(Place::Stage(index));
        }
        let lower = name.to_lowercase();
        if let Some(found) = self.sections.iter().position(|section| section.name() == Some(lower.as_str())) {
            let what = if found == at { "is this stage itself" } else { "comes later" };
            bail!("the stage of that name {what}; only stages above can be used");
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return match name.parse::<usize>() {
                Ok(index) if index < at => Ok(Place::Stage(index)),
                _ => bail!("no stage of that number above"),
            };
        }
        if name == "scratch" {
            return Ok(Place::Scratch);
        }
        Ok(Place::Image(name.parse()?))
    }

    /// The same, a stage by its place in the plan.
    pub fn place(&self, name: &str, at: usize) -> Result<Place> {
        match self.source(name, at)? {
            Place::Stage(index) => match self.position(index) {
                Some(position) => Ok(Place::Stage(position)),
                None => bail!("stage {name} was not planned"),
            },
            place => Ok(place),
        }
    }
}

fn check_base(image: &ImageConfig, wanted: &Platform, section: &Section, lint: &mut Lint) {
    let here = platform::new(&image.os, &image.architecture, image.variant.as_deref().unwrap_or_default());
    let same = here.os == wanted.os && here.architecture == wanted.architecture;
    if !same && !image.os.is_empty() {
        let (here, wanted) = (platform::format(&here), platform::format(wanted));
        let message = format!("base image {} is for {here}, this stage is for {wanted}", section.base);
        lint.report(Rule::InvalidBaseImagePlatform, section.instruction, message);
    }
}

fn on_build_of(body: &[Instruction]) -> Vec<String> {
    let trigger = |instruction: &Instruction| match &instruction.command {
        Command::OnBuild(text) => Some(text.clone()),
        _ => None,
    };
    body.iter().filter_map(trigger).collect()
}

/// A trigger counts as if it stood in the FROM line.
fn parse_trigger(text: &str, from: &Instruction) -> Result<Vec<Instruction>> {
    let parsed = Dockerfile::parse("ONBUILD", text.as_bytes())?;
    let mut instructions = parsed.instructions;
    for instruction in &mut instructions {
        if let Command::OnBuild(_) | Command::From(_) | Command::Maintainer(_) = instruction.command {
            bail!("ONBUILD {}: cannot be a trigger", instruction.keyword);
        }
        instruction.span = from.span;
    }
    Ok(instructions)
}

/// The names that `--from` and `from=` give.
fn sources_of(command: &Command) -> Vec<&str> {
    match command {
        Command::Copy(copy) => copy.from.as_deref().into_iter().collect(),
        Command::Run(run) => run.mounts.iter().filter_map(|mount| mount.from()).collect(),
        _ => Vec::new(),
    }
}
