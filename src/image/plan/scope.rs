//! Variables: the global scope before the first FROM, and what a stage sees.

use super::{Options, platform, stage};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerfile::expand::{self, Expanded, Options as Expansion};
use crate::image::dockerfile::instruction::{Argument, Command};
use crate::image::dockerfile::suggest;
use crate::image::dockerfile::{Dockerfile, Instruction};
use std::collections::{BTreeMap, BTreeSet};

/// The bytes of all names and values that one stage may hold; a program with more cannot be started anyway
/// (execve(2): a quarter of the stack's limit).
const SCOPE_BYTES_MAX: usize = 256 << 10;

const EPOCH: &str = "SOURCE_DATE_EPOCH";
/// Both in capitals and not: a build argument of these names reaches RUN without being declared, and neither history
/// nor cache sees it.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

pub fn is_proxy(name: &str) -> bool {
    PROXIES.contains(&name.to_ascii_lowercase().as_str())
}

/// Names and values in order of their first appearance.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    names: Vec<String>,
    values: BTreeMap<String, String>,
    bytes: usize,
}

impl Variables {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn set(&mut self, name: &str, value: String) -> Result<()> {
        let added = value.len();
        match self.values.get_mut(name) {
            Some(old) => self.bytes -= std::mem::replace(old, value).len(),
            None => {
                self.bytes += name.len();
                self.names.push(name.to_owned());
                self.values.insert(name.to_owned(), value);
            }
        }
        self.bytes += added;
        if self.bytes > SCOPE_BYTES_MAX {
            bail!("{name}: all variables together have more than {SCOPE_BYTES_MAX} bytes");
        }
        Ok(())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// `NAME=value`
    pub fn to_env(&self) -> Vec<String> {
        self.names().map(|name| format!("{name}={}", self.get(name).unwrap_or_default())).collect()
    }

    pub fn expand(&self, text: &str, expansion: Expansion) -> Result<Expanded> {
        expand::expand(text, expansion, &|name| self.get(name))
    }

    /// ` (did you mean $NAME?)`, or nothing.
    pub fn hint(&self, name: &str) -> String {
        suggest::nearest(name, self.names()).map(|near| format!(" (did you mean ${near}?)")).unwrap_or_default()
    }
}

/// What FROM lines see: the predefined platform arguments, and ARGs before the first FROM.
#[derive(Debug)]
pub struct Globals {
    pub variables: Variables,
    /// The same as if nobody had given build arguments; `None` where that fails.
    pub defaults: Option<Variables>,
    build_args: BTreeMap<String, String>,
    /// Names that an ARG before the first FROM declares.
    declared: BTreeSet<String>,
    predefined: BTreeSet<String>,
}

impl Globals {
    pub fn new(dockerfile: &Dockerfile, options: &Options) -> Result<Globals> {
        let predefined = predefined(dockerfile, options);
        let mut variables = Variables::default();
        for (name, value) in &predefined {
            let value = options.build_args.get(*name).unwrap_or(value);
            variables.set(name, value.clone())?;
        }
        let global = |i: &&Instruction| matches!(i.command, Command::Arg(_));
        let args: Vec<&Instruction> = dockerfile.instructions.iter().take_while(global).collect();
        let defaults = declare(&variables, &args, &BTreeMap::new(), dockerfile).ok();
        let variables = declare(&variables, &args, &options.build_args, dockerfile)?;
        let declared = args.iter().flat_map(|i| arguments(i)).map(|argument| argument.name.clone()).collect();
        let predefined = predefined.iter().map(|(name, _)| (*name).to_owned()).collect();
        Ok(Globals { variables, defaults, build_args: options.build_args.clone(), declared, predefined })
    }

    pub fn build_arg(&self, name: &str) -> Option<&str> {
        self.build_args.get(name).map(String::as_str)
    }

    /// Declared, predefined, or both.
    pub fn knows(&self, name: &str) -> bool {
        self.declared.contains(name) || self.predefined.contains(name)
    }

    /// For "did you mean": everything that a FROM line may use.
    pub fn hint(&self, name: &str) -> String {
        let names = self.declared.iter().chain(&self.predefined).map(String::as_str);
        suggest::hint(name, names)
    }

    /// SOURCE_DATE_EPOCH from a build argument, or from a global ARG's default.
    pub fn epoch(&self) -> Result<Option<i64>> {
        let text = self.build_arg(EPOCH).or_else(|| self.variables.get(EPOCH)).unwrap_or_default();
        match text.parse::<i64>() {
            _ if text.is_empty() => Ok(None),
            Ok(seconds) if seconds >= 0 => Ok(Some(seconds)),
            _ => bail!("build argument {EPOCH}={text:?}: want seconds since 1970"),
        }
    }

    /// Build arguments that no ARG asked for.
    pub(super) fn notes(&self, states: &[stage::State]) -> Vec<String> {
        let used = |name: &String| {
            self.knows(name)
                || is_proxy(name)
                || name == EPOCH
                || name.starts_with("BUILDKIT_")
                || states.iter().any(|state| state.declares(name))
        };
        let unused: Vec<&str> = self.build_args.keys().filter(|name| !used(name)).map(String::as_str).collect();
        if unused.is_empty() {
            return Vec::new();
        }
        vec![format!("no ARG asks for the build arguments {}", unused.join(", "))]
    }
}

fn arguments(instruction: &Instruction) -> &[Argument] {
    match &instruction.command {
        Command::Arg(arguments) => arguments,
        _ => &[],
    }
}

/// The variables after the global ARGs; each sees those before it.
fn declare(
    predefined: &Variables,
    args: &[&Instruction],
    build_args: &BTreeMap<String, String>,
    dockerfile: &Dockerfile,
) -> Result<Variables> {
    let mut variables = predefined.clone();
    for instruction in args {
        for argument in arguments(instruction) {
            let place = || format!("{}: ARG", dockerfile.at(instruction.span));
            let value = match (build_args.get(&argument.name), &argument.default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => {
                    variables.expand(default, Expansion::word(dockerfile.escape)).with(place)?.text
                }
                (None, None) => continue,
            };
            variables.set(&argument.name, value).with(place)?;
        }
    }
    Ok(variables)
}

/// A stage has to declare them before it sees them.
fn predefined(dockerfile: &Dockerfile, options: &Options) -> Vec<(&'static str, String)> {
    let build = &options.build_platform;
    let target = options.target_platform.as_ref().unwrap_or(build);
    let last = dockerfile.instructions.iter().rev().find_map(|instruction| match &instruction.command {
        Command::From(from) => Some(from.name.as_ref().map(|(name, _)| name.clone())),
        _ => None,
    });
    let stage = options.target.clone().or(last.flatten()).unwrap_or_else(|| "default".to_owned());
    let variant = |platform: &crate::image::config::Platform| platform.variant.clone().unwrap_or_default();
    vec![
        ("BUILDPLATFORM", platform::format(build)),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", String::new()),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", variant(build)),
        ("TARGETPLATFORM", platform::format(target)),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", String::new()),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", variant(target)),
        ("TARGETSTAGE", stage),
    ]
}
