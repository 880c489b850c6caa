//! RUN with everything resolved.

use super::Place;
use super::copy::absolute;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerfile::heredoc::{self, Heredoc};
use crate::image::dockerfile::instruction::{self, CommandLine};
use crate::image::dockerfile::mount::{Kind, Resolved, Sharing};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub args: Vec<String>,
    /// `NAME=value`, ARGs among them.
    pub env: Vec<String>,
    /// Proxies that were given and not declared: part of the environment, but not of what the cache asks for.
    #[serde(skip)]
    pub proxies: Vec<String>,
    pub cwd: String,
    /// As USER said it; empty for root.
    pub user: String,
    /// A heredoc that begins with `#!`: a file for the shell to start.
    pub script: Option<Script>,
    pub mounts: Vec<Mount>,
    pub network: Network,
    /// `--security=insecure`
    pub privileged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    Default,
    None,
    Host,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Script {
    pub name: String,
    pub content: String,
}

/// Where scripts are seen in the container.
pub const SCRIPTS: &str = "/dev/pipes";
const SECRETS: &str = "/run/secrets";
const AGENTS: &str = "/run/buildkit/ssh_agent";

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mount {
    Bind {
        #[serde(skip)]
        place: Place,
        source: String,
        target: String,
        read_only: bool,
    },
    Cache {
        /// What it begins with.
        #[serde(skip)]
        place: Place,
        source: String,
        target: String,
        id: String,
        #[serde(skip)]
        sharing: Sharing,
        read_only: bool,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Tmpfs {
        target: String,
        /// Bytes; 0 is no limit.
        size: u64,
    },
    /// Its value is never in the key.
    Secret {
        id: String,
        /// `None`: it is only a variable.
        target: Option<String>,
        env: Option<String>,
        required: bool,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Ssh {
        id: String,
        target: String,
        required: bool,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

impl Mount {
    /// `number` counts the agents of one RUN. `place` is what `from=` names, the build context where it is missing.
    pub fn resolve(mount: Resolved, cwd: &str, place: Option<Place>, number: usize) -> Result<Mount> {
        let target = mount.target.as_deref().map(|target| trimmed(absolute(cwd, target)));
        let source = trimmed(absolute("/", mount.source.as_deref().unwrap_or("/")));
        let (uid, gid) = (mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let needed = |target: Option<String>| match target {
            Some(target) if target != "/" => Ok(target),
            Some(_) => bail!("target: the root cannot be mounted over"),
            None => bail!("target: missing"),
        };
        let read_only = mount.read_only;
        Ok(match mount.kind {
            Kind::Bind => {
                Mount::Bind { place: place.unwrap_or(Place::Context), source, target: needed(target)?, read_only }
            }
            Kind::Cache => {
                let target = needed(target)?;
                let id = mount.id.unwrap_or_else(|| target.clone());
                let (place, mode) = (place.unwrap_or(Place::Scratch), mount.mode.unwrap_or(0o755));
                Mount::Cache { place, source, target, id, sharing: mount.sharing, read_only, mode, uid, gid }
            }
            Kind::Tmpfs => Mount::Tmpfs { target: needed(target)?, size: mount.size },
            Kind::Secret => secret(mount, target)?,
            Kind::Ssh => Mount::Ssh {
                id: mount.id.unwrap_or_else(|| "default".to_owned()),
                target: needed(Some(target.unwrap_or_else(|| format!("{AGENTS}.{number}"))))?,
                required: mount.required,
                mode: mount.mode.unwrap_or(0o600),
                uid,
                gid,
            },
        })
    }

    pub fn target(&self) -> Option<&str> {
        match self {
            Mount::Bind { target, .. }
            | Mount::Cache { target, .. }
            | Mount::Tmpfs { target, .. }
            | Mount::Ssh { target, .. } => Some(target),
            Mount::Secret { target, .. } => target.as_deref(),
        }
    }

    /// Where its files come from.
    pub fn place(&self) -> Option<(&Place, &str)> {
        match self {
            Mount::Bind { place, source, .. } | Mount::Cache { place, source, .. } => Some((place, source)),
            _ => None,
        }
    }
}

fn secret(mount: Resolved, target: Option<String>) -> Result<Mount> {
    let base = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let id = match (mount.id, mount.source, &target) {
        (Some(id), ..) => id,
        (None, Some(source), _) => base(&source),
        (None, None, Some(target)) => base(target),
        (None, None, None) => String::new(),
    };
    if id.is_empty() {
        bail!("id: missing");
    }
    // With env and without target there is no file.
    let target = match (target, &mount.env) {
        (None, Some(_)) => None,
        (None, None) => Some(format!("{SECRETS}/{}", base(&id))),
        (Some(target), _) if target == "/" => bail!("target: the root cannot be mounted over"),
        (target, _) => target,
    };
    Ok(Mount::Secret {
        id,
        target,
        env: mount.env,
        required: mount.required,
        mode: mount.mode.unwrap_or(0o400),
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
    })
}

fn trimmed(path: String) -> String {
    if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path }
}

/// The arguments of the process, and the script that they start. Heredocs are the shell's business, except that a lone
/// one is itself what is run.
pub fn command(run: &instruction::Run, shell: &[String]) -> Result<(Vec<String>, Option<Script>)> {
    let text = match &run.command {
        CommandLine::Exec(args) => return Ok((args.clone(), None)),
        CommandLine::Shell(text) => text,
    };
    let with_shell = |text: String| shell.iter().cloned().chain([text]).collect::<Vec<_>>();
    let lone = heredoc::parse(text).context("heredoc")?.is_some();
    match run.heredocs.as_slice() {
        [] if text.is_empty() => bail!("requires at least one argument"),
        [] => Ok((with_shell(text.clone()), None)),
        [one] if lone && one.content().starts_with("#!") => {
            if one.name.contains('/') || matches!(one.name.as_str(), "." | "..") {
                bail!("heredoc {:?}: its name is a file's, and cannot be a path", one.name);
            }
            let script = Script { name: one.name.clone(), content: one.content() };
            Ok((with_shell(format!("{SCRIPTS}/{}", one.name)), Some(script)))
        }
        [one] if lone => Ok((with_shell(one.content()), None)),
        all => Ok((with_shell(reconstituted(text, all)), None)),
    }
}

fn reconstituted(text: &str, heredocs: &[Heredoc]) -> String {
    let mut full = text.to_owned();
    for Heredoc { body, name, .. } in heredocs {
        full.push('\n');
        full.push_str(body);
        full.push_str(name);
    }
    full
}
