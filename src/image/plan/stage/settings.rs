//! The instructions that change the configuration and nothing else.

use super::walk::Walk;
use super::words::{joined, quoted};
use crate::bail;
use crate::error::Result;
use crate::image::config::{self, Empty};
use crate::image::dockerfile::healthcheck::Healthcheck;
use crate::image::dockerfile::instruction::{Argument, CommandLine};
use crate::image::dockerfile::lint::{Rule, sounds_secret};
use crate::image::dockerfile::words::Pair;
use crate::image::plan::expose::Ports;

const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// All there are, of all protocols; more is somebody keeping us busy.
const PORTS_MAX: u32 = 3 << 16;

impl Walk<'_, '_> {
    /// Each sees those before it, also of the same line.
    pub(super) fn arg(&mut self, arguments: &[Argument]) -> Result<String> {
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

    pub(super) fn env(&mut self, pairs: &[Pair]) -> Result<String> {
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

    pub(super) fn label(&mut self, pairs: &[Pair]) -> Result<String> {
        let pairs = self.pairs(pairs)?;
        self.state.image.config.labels.extend(pairs.iter().cloned());
        Ok(joined(&pairs))
    }

    pub(super) fn shell(&self) -> Vec<String> {
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

    pub(super) fn cmd(&mut self, command: &CommandLine) -> String {
        self.only_last("CMD");
        let args = self.arguments_of(command);
        self.state.image.config.cmd = args.clone();
        quoted(&args.unwrap_or_default())
    }

    pub(super) fn entrypoint(&mut self, command: &CommandLine) -> String {
        self.only_last("ENTRYPOINT");
        let args = self.arguments_of(command);
        self.state.image.config.entrypoint = args.clone();
        // A command that the base image meant for its own entrypoint.
        if !self.state.last.contains_key("CMD") {
            self.state.image.config.cmd = None;
        }
        quoted(&args.unwrap_or_default())
    }

    pub(super) fn healthcheck(&mut self, check: &Healthcheck) -> String {
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

    pub(super) fn expose(&mut self, texts: &[String]) -> Result<String> {
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

    pub(super) fn volume(&mut self, paths: &[String]) -> Result<String> {
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
}
