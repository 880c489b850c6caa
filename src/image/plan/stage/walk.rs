//! One instruction on its way: what it asks of the configuration, and the operation that is left.

use super::State;
use super::words::{copy_words, run_words};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerfile::Instruction;
use crate::image::dockerfile::expand::Options as Expansion;
use crate::image::dockerfile::instruction::{self, Command};
use crate::image::dockerfile::lint::{Lint, Rule};
use crate::image::plan::copy::{Surroundings, absolute};
use crate::image::plan::graph::Graph;
use crate::image::plan::scope::is_proxy;
use crate::image::plan::{Copy, Operation, Place, Run, copy, run, signal};

/// One instruction on its way.
pub(super) struct Walk<'a, 'g> {
    pub(super) graph: &'a Graph<'g>,
    pub(super) index: usize,
    pub(super) state: &'a mut State,
    pub(super) lint: &'a mut Lint,
    pub(super) instruction: &'a Instruction,
    /// Names that were used and are not set.
    pub(super) unset: Vec<String>,
}

impl Walk<'_, '_> {
    pub(super) fn step(&mut self) -> Result<(Operation, String)> {
        let keyword = self.instruction.keyword.to_ascii_uppercase();
        let instruction = self.instruction;
        let config = |words: String| Ok((Operation::Config, format!("{keyword} {words}")));
        match &instruction.command {
            Command::Add(command) => self.copy(command, true),
            Command::Arg(arguments) => config(self.arg(arguments)?),
            Command::Cmd(command) => config(self.cmd(command)),
            Command::Copy(command) => self.copy(command, false),
            Command::Entrypoint(command) => config(self.entrypoint(command)),
            Command::Env(pairs) => config(self.env(pairs)?),
            Command::Expose(ports) => config(self.expose(ports)?),
            Command::From(_) => bail!("cannot be inside a stage"),
            Command::Healthcheck(check) => config(self.healthcheck(check)),
            Command::Label(pairs) => config(self.label(pairs)?),
            Command::Maintainer(name) => {
                self.state.image.author = Some(name.clone());
                config(name.clone())
            }
            Command::OnBuild(text) => {
                self.state.image.config.on_build.push(text.clone());
                config(text.clone())
            }
            Command::Run(command) => self.run(command),
            Command::Shell(shell) => {
                self.state.image.config.shell = Some(shell.clone());
                config(format!("[{}]", shell.join(" ")))
            }
            Command::StopSignal(text) => {
                let signal = self.expand(text, self.word())?;
                signal::check(&signal)?;
                self.state.image.config.stop_signal = signal.clone();
                config(signal)
            }
            Command::User(text) => {
                let user = self.expand(text, self.word())?;
                self.state.image.config.user = user.clone();
                config(user)
            }
            Command::Volume(paths) => config(self.volume(paths)?),
            Command::Workdir(path) => self.workdir(path),
        }
    }

    pub(super) fn word(&self) -> Expansion {
        Expansion::word(self.graph.dockerfile.escape)
    }

    pub(super) fn expand(&mut self, text: &str, expansion: Expansion) -> Result<String> {
        let expanded = self.state.variables.expand(text, expansion)?;
        self.unset.extend(expanded.unset);
        Ok(expanded.text)
    }

    pub(super) fn expand_words(&mut self, text: &str) -> Result<Vec<String>> {
        let expanded = self.state.variables.expand(text, self.word())?;
        self.unset.extend(expanded.unset);
        Ok(expanded.words)
    }

    pub(super) fn warn(&mut self, rule: Rule, message: String) {
        self.lint.report(rule, self.instruction, message);
    }

    pub(super) fn report_unset(&mut self) {
        let mut names = std::mem::take(&mut self.unset);
        names.sort();
        names.dedup();
        // A declared ARG without a value is meant to be empty.
        names.retain(|name| !self.state.declares(name));
        for name in names {
            let message = format!("${name} is not set here{}", self.state.variables.hint(&name));
            self.warn(Rule::UndefinedVar, message);
        }
    }

    /// Says of the instruction before that it is in vain.
    pub(super) fn only_last(&mut self, keyword: &'static str) {
        if let Some(before) = self.state.last.insert(keyword, self.instruction.clone()) {
            let message = format!("only the last {keyword} of a stage counts; this one does not");
            self.lint.report(Rule::MultipleInstructionsDisallowed, &before, message);
        }
    }

    fn workdir(&mut self, path: &str) -> Result<(Operation, String)> {
        let path = self.expand(path, self.word())?;
        let before = &self.state.image.config.working_dir;
        if !path.starts_with('/') && before.is_empty() {
            let message = format!("{path:?} is relative, and neither the base image nor a WORKDIR says to what");
            self.warn(Rule::WorkdirRelativePath, message);
        }
        let absolute = absolute(&self.cwd(), &path);
        let path = if absolute == "/" { absolute } else { absolute.trim_end_matches('/').to_owned() };
        self.state.image.config.working_dir = path.clone();
        let created_by = format!("WORKDIR {path}");
        if path == "/" {
            return Ok((Operation::Config, created_by));
        }
        let user = self.state.image.config.user.clone();
        Ok((Operation::MakeDir { path, user }, created_by))
    }

    fn cwd(&self) -> String {
        let cwd = &self.state.image.config.working_dir;
        if cwd.is_empty() { "/".to_owned() } else { cwd.clone() }
    }

    fn copy(&mut self, command: &instruction::Copy, is_add: bool) -> Result<(Operation, String)> {
        let place = match &command.from {
            Some(from) => self.graph.place(from, self.index).context("flag --from")?,
            None => Place::Context,
        };
        let cwd = self.cwd();
        let escape = self.graph.dockerfile.escape;
        let mut expand = |text: &str, expansion: Expansion| self.expand(text, expansion);
        let mut around = Surroundings { expand: &mut expand, escape, cwd: &cwd, place, is_add };
        let copy = Copy::resolve(command, &mut around)?;
        self.report_ignored(&copy);
        let created_by = copy_words(&copy, command, is_add);
        Ok((Operation::Copy(copy), created_by))
    }

    fn report_ignored(&mut self, copy: &Copy) {
        let ignore = &self.graph.options.ignore;
        for source in &copy.sources {
            let copy::Source::Path { place: Place::Context, path, .. } = source else {
                continue;
            };
            let literal = !path.is_empty() && !crate::image::glob::has_wildcard(path);
            if literal && ignore.matches(path) && !ignore.has_exceptions() {
                let message = format!("{path:?} is not in the context: .dockerignore leaves it out");
                self.lint.report(Rule::CopyIgnoredFile, self.instruction, message);
            }
        }
    }

    fn run(&mut self, command: &instruction::Run) -> Result<(Operation, String)> {
        let (args, script) = run::command(command, &self.shell())?;
        let cwd = self.cwd();
        let mut mounts = Vec::new();
        let mut agents = 0;
        for mount in &command.mounts {
            let mut expand = |text: &str| self.expand(text, self.word());
            let resolved = mount.resolve(&mut expand).context("flag --mount")?;
            let place = match mount.from() {
                Some(from) => Some(self.graph.place(from, self.index).context("flag --mount")?),
                None => None,
            };
            let mount = run::Mount::resolve(resolved, &cwd, place, agents).context("flag --mount")?;
            agents += usize::from(matches!(mount, run::Mount::Ssh { .. }));
            mounts.push(mount);
        }
        let network = match command.network {
            instruction::Network::Default => run::Network::Default,
            instruction::Network::None => run::Network::None,
            instruction::Network::Host => run::Network::Host,
        };
        let created_by = format!("RUN {}", run_words(self.state, &args));
        let operation = Run {
            args,
            env: self.state.variables.to_env(),
            proxies: self.proxies(),
            cwd,
            user: self.state.image.config.user.clone(),
            script,
            mounts,
            network,
            privileged: command.security == instruction::Security::Insecure,
        };
        Ok((Operation::Run(operation), created_by))
    }

    fn proxies(&self) -> Vec<String> {
        let given = self.graph.options.build_args.iter();
        let undeclared = |name: &str| is_proxy(name) && self.state.variables.get(name).is_none();
        given.filter(|(name, _)| undeclared(name)).map(|(name, value)| format!("{name}={value}")).collect()
    }
}
