//! One stage: what each instruction does to the image's configuration, and the steps that are left to execute.

use super::copy::{Surroundings, absolute};
use super::expose::Ports;
use super::graph::Graph;
use super::scope::{Variables, is_proxy};
use super::{Base, Copy, Operation, Place, Run, Stage, Step, copy, run, signal};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::config::{self, Empty, History, ImageConfig};
use crate::image::dockerfile::Instruction;
use crate::image::dockerfile::expand::Options as Expansion;
use crate::image::dockerfile::healthcheck::Healthcheck;
use crate::image::dockerfile::instruction::{self, Argument, Command, CommandLine};
use crate::image::dockerfile::lint::{Lint, Rule, sounds_secret};
use crate::image::dockerfile::words::Pair;
use std::collections::BTreeMap;

/// docker's, for images that have none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// All there are, of all protocols; more is somebody keeping us busy.
const PORTS_MAX: u32 = 3 << 16;

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

/// One instruction on its way.
struct Walk<'a, 'g> {
    graph: &'a Graph<'g>,
    index: usize,
    state: &'a mut State,
    lint: &'a mut Lint,
    instruction: &'a Instruction,
    /// Names that were used and are not set.
    unset: Vec<String>,
}

impl Walk<'_, '_> {
    fn step(&mut self) -> Result<(Operation, String)> {
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

    fn word(&self) -> Expansion {
        Expansion::word(self.graph.dockerfile.escape)
    }

    fn expand(&mut self, text: &str, expansion: Expansion) -> Result<String> {
        let expanded = self.state.variables.expand(text, expansion)?;
        self.unset.extend(expanded.unset);
        Ok(expanded.text)
    }

    fn expand_words(&mut self, text: &str) -> Result<Vec<String>> {
        let expanded = self.state.variables.expand(text, self.word())?;
        self.unset.extend(expanded.unset);
        Ok(expanded.words)
    }

    fn warn(&mut self, rule: Rule, message: String) {
        self.lint.report(rule, self.instruction, message);
    }

    fn report_unset(&mut self) {
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
    fn only_last(&mut self, keyword: &'static str) {
        if let Some(before) = self.state.last.insert(keyword, self.instruction.clone()) {
            let message = format!("only the last {keyword} of a stage counts; this one does not");
            self.lint.report(Rule::MultipleInstructionsDisallowed, &before, message);
        }
    }

    /// Each sees those before it, also of the same line.
    fn arg(&mut self, arguments: &[Argument]) -> Result<String> {
        let mut words = Vec::new();
        for Argument { name, default } in arguments {
            let globals = self.graph.globals;
            let value = match (globals.build_arg(name), default) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => Some(self.expand(default, self.word())?),
                (None, None) => globals.variables.get(name).map(str::to_owned),
            };
            if sounds_secret(name) {
                self.warn(
                    Rule::SecretsUsedInArgOrEnv,
                    format!("ARG {name}: what it holds stays in the image's history"),
                );
            }
            words.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            if let Some(value) = &value {
                self.state.variables.set(name, value.clone())?;
            }
            self.state.arguments.push((name.clone(), value));
        }
        Ok(words.join(" "))
    }

    /// All values see the variables from before the instruction.
    fn pairs(&mut self, pairs: &[Pair]) -> Result<Vec<(String, String)>> {
        let mut expanded = Vec::with_capacity(pairs.len());
        for Pair { name, value, old_form } in pairs {
            if *old_form {
                let keyword = self.instruction.keyword.to_ascii_uppercase();
                self.warn(Rule::LegacyKeyValueFormat, format!("write {keyword} {name}=VALUE instead of {name} VALUE"));
            }
            let name = self.expand(name, self.word())?;
            if name.is_empty() {
                bail!("the name of a value is empty");
            }
            expanded.push((name, self.expand(value, self.word())?));
        }
        Ok(expanded)
    }

    fn env(&mut self, pairs: &[Pair]) -> Result<String> {
        let pairs = self.pairs(pairs)?;
        for (name, value) in &pairs {
            if sounds_secret(name) {
                self.warn(Rule::SecretsUsedInArgOrEnv, format!("ENV {name}: what it holds stays in the image"));
            }
            self.state.variables.set(name, value.clone())?;
            self.state.image.config.set_env(name, value);
        }
        Ok(joined(&pairs))
    }

    fn label(&mut self, pairs: &[Pair]) -> Result<String> {
        let pairs = self.pairs(pairs)?;
        self.state.image.config.labels.extend(pairs.iter().cloned());
        Ok(joined(&pairs))
    }

    fn shell(&self) -> Vec<String> {
        let shell = self.state.image.config.shell.clone().filter(|shell| !shell.is_empty());
        shell.unwrap_or_else(|| SHELL.map(str::to_owned).to_vec())
    }

    fn arguments_of(&mut self, command: &CommandLine) -> Option<Vec<String>> {
        match command {
            CommandLine::Exec(args) if args.is_empty() => None,
            CommandLine::Exec(args) => Some(args.clone()),
            CommandLine::Shell(text) => {
                let mut args = self.shell();
                args.push(text.clone());
                if self.state.image.config.shell.is_none() {
                    let keyword = self.instruction.keyword.to_ascii_uppercase();
                    let message = format!("{keyword} in JSON form would get signals itself; this is a shell's child");
                    self.warn(Rule::JSONArgsRecommended, message);
                }
                Some(args)
            }
        }
    }

    fn cmd(&mut self, command: &CommandLine) -> String {
        self.only_last("CMD");
        let args = self.arguments_of(command);
        self.state.image.config.cmd = args.clone();
        quoted(&args.unwrap_or_default())
    }

    fn entrypoint(&mut self, command: &CommandLine) -> String {
        self.only_last("ENTRYPOINT");
        let args = self.arguments_of(command);
        self.state.image.config.entrypoint = args.clone();
        // A command that the base image meant for its own entrypoint.
        if !self.state.last.contains_key("CMD") {
            self.state.image.config.cmd = None;
        }
        quoted(&args.unwrap_or_default())
    }

    fn healthcheck(&mut self, check: &Healthcheck) -> String {
        self.only_last("HEALTHCHECK");
        let healthcheck = match check {
            Healthcheck::None => {
                config::Healthcheck { test: vec!["NONE".to_owned()], ..config::Healthcheck::default() }
            }
            Healthcheck::Cmd { command, interval, timeout, start_period, start_interval, retries } => {
                let (kind, args) = match command {
                    CommandLine::Exec(args) => ("CMD", args.clone()),
                    CommandLine::Shell(text) => ("CMD-SHELL", vec![text.clone()]),
                };
                config::Healthcheck {
                    test: [kind.to_owned()].into_iter().chain(args).collect(),
                    interval: *interval,
                    timeout: *timeout,
                    start_period: *start_period,
                    start_interval: *start_interval,
                    retries: *retries,
                    ..config::Healthcheck::default()
                }
            }
        };
        let words = quoted(&healthcheck.test);
        self.state.image.config.healthcheck = Some(healthcheck);
        words
    }

    fn expose(&mut self, texts: &[String]) -> Result<String> {
        let mut words = Vec::new();
        for text in texts {
            for word in self.expand_words(text)? {
                let ports = Ports::parse(&word)?;
                if ports.odd_case {
                    self.warn(Rule::ExposeProtoCasing, format!("port {word:?}: write the protocol in lower case"));
                }
                if ports.odd_format {
                    let message = format!("port {word:?}: EXPOSE knows neither addresses nor ports of the host");
                    self.warn(Rule::ExposeInvalidFormat, message);
                }
                self.state.ports = self.state.ports.saturating_add(u32::from(ports.last - ports.first) + 1);
                if self.state.ports > PORTS_MAX {
                    bail!("more than {PORTS_MAX} ports");
                }
                let exposed = &mut self.state.image.config.exposed_ports;
                exposed.extend(ports.each().map(|port| (port, Empty {})));
                words.push(ports.to_string());
            }
        }
        words.sort();
        Ok(format!("[{}]", words.join(" ")))
    }

    fn volume(&mut self, paths: &[String]) -> Result<String> {
        let mut volumes = Vec::new();
        for path in paths {
            let path = self.expand(path, self.word())?;
            if path.is_empty() {
                bail!("an empty string is no volume");
            }
            self.state.image.config.volumes.insert(path.clone(), Empty {});
            volumes.push(path);
        }
        Ok(format!("[{}]", volumes.join(" ")))
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
        let created_by = format!("RUN {}", self.run_words(&args));
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

    /// `|2 A=1 B=2 /bin/sh -c make`: the ARGs that are in effect, and how many there are.
    fn run_words(&self, args: &[String]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.state.arguments {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let mut words = Vec::new();
        if !names.is_empty() {
            words.push(format!("|{}", names.len()));
            let value = |name: &str| self.state.variables.get(name).unwrap_or_default().to_owned();
            words.extend(names.iter().map(|name| format!("{name}={}", value(name))));
        }
        words.extend(args.iter().cloned());
        words.join(" ")
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// `["a" "b c"]`, as Go prints a list.
fn quoted(args: &[String]) -> String {
    let quoted: Vec<String> = args.iter().map(|arg| serde_json::Value::from(arg.as_str()).to_string()).collect();
    format!("[{}]", quoted.join(" "))
}

fn copy_words(copy: &Copy, command: &instruction::Copy, is_add: bool) -> String {
    let mut words = vec![if is_add { "ADD" } else { "COPY" }.to_owned()];
    words.extend(command.from.iter().map(|from| format!("--from={from}")));
    words.extend(copy.chown.iter().map(|chown| format!("--chown={chown}")));
    words.extend(copy.chmod.iter().map(|chmod| format!("--chmod={chmod}")));
    words.extend(copy.link.then(|| "--link".to_owned()));
    words.extend(copy.parents.then(|| "--parents".to_owned()));
    words.extend(copy.exclude.iter().map(|pattern| format!("--exclude={pattern}")));
    words.extend(copy.sources.iter().map(|source| match source {
        copy::Source::Path { written, .. } => written.clone(),
        copy::Source::Inline { name, .. } => format!("<<{name}"),
        copy::Source::Url { url, .. } => url.clone(),
        copy::Source::Git(git) => git.remote.clone(),
    }));
    words.push(copy.destination.clone());
    words.join(" ")
}
