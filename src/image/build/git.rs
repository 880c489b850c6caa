//! Git repositories, by the program git. What it is told comes from a stranger: no word of it can become an option, and
//! neither the machine's configuration of git nor a repository's submodules lead to anything but the network.

use super::interrupt::Interrupt;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::plan::git::Git;
use crate::sys::process::pidfd_open;
use crate::sys::tree::Time;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is reached by a transport that runs programs, or by files of this machine, is not for a Dockerfile to name.
const CONFIGURATION: [(&str, &str); 6] = [
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("protocol.git.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("advice.detachedHead", "false"),
];
/// Of git's own messages.
const MESSAGE_MAX: u64 = 64 << 10;
const OUTPUT_MAX: u64 = 16 << 20;

#[derive(Default)]
pub struct Access<'a> {
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
    /// `Authorization` for HTTP.
    pub authorization: Option<String>,
    /// Who may stop it.
    pub interrupt: Option<&'a Interrupt>,
}

impl Access<'_> {
    /// The commit that is meant, without fetching it.
    pub fn commit(&self, git: &Git) -> Result<String> {
        let reference = git.reference.as_deref().unwrap_or("HEAD");
        if is_commit(reference) {
            return check(git, reference.to_owned());
        }
        let peeled = format!("{reference}^{{}}");
        let listed = self.run(git, Path::new("/"), &["ls-remote", "--", &git.remote, reference, &peeled])?;
        let mut found: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
        // An annotated tag's commit before the tag itself; a branch before a tag of the same name.
        let rank = |name: &str| match name.strip_suffix("^{}") {
            _ if name == reference => 0,
            _ if name == format!("refs/heads/{reference}") => 1,
            Some(name) if name == reference || name == format!("refs/tags/{reference}") => 2,
            None if name == format!("refs/tags/{reference}") => 3,
            _ => 4,
        };
        found.sort_by_key(|(_, name)| rank(name));
        // `refs/tags/v1` asked for by its full name may be a tag, too.
        let whole = found.iter().find(|(_, name)| *name == peeled).or_else(|| found.first());
        match whole.filter(|(_, name)| rank(name) < 4 || *name == peeled) {
            Some((commit, _)) => check(git, (*commit).to_owned()),
            None => bail!("no branch or tag {reference:?}; a commit has to be named by its whole id"),
        }
    }

    /// Puts the files of `commit` into a new directory; when it was made.
    pub fn check_out(&self, git: &Git, commit: &str, directory: &Path) -> Result<Time> {
        std::fs::create_dir(directory).with(|| format!("create {}", directory.display()))?;
        let run = |args: &[&str]| self.run(git, directory, args);
        run(&["init", "--quiet"])?;
        run(&["remote", "add", "--", "origin", &git.remote])?;
        let one = ["fetch", "--quiet", "--depth=1", "--no-tags", "--", "origin", commit];
        if run(&one).is_err() {
            // Servers that show only the ends of branches, or everything at once.
            let all =
                ["fetch", "--quiet", "--", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
            run(&all)?;
        }
        run(&["checkout", "--quiet", "--detach", commit])?;
        if git.submodules.unwrap_or(true) {
            run(&["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"])?;
        }
        let text = run(&["log", "-1", "--format=%ct"])?;
        let Ok(seconds) = text.trim().parse() else {
            bail!("git log says {text:?}, which is no time");
        };
        if git.keep_git_dir != Some(true) {
            remove_git_dirs(directory)?;
        }
        Ok(Time { seconds, nanoseconds: 0 })
    }

    fn run(&self, git: &Git, directory: &Path, args: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        command.args(args).current_dir(directory);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| wanted(&name.to_string_lossy())));
        let mut configuration: Vec<(String, String)> =
            CONFIGURATION.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        if let Some(value) = &self.authorization {
            configuration.push((format!("http.{}.extraHeader", git.remote), format!("Authorization: {value}")));
        }
        command.env("GIT_CONFIG_COUNT", configuration.len().to_string());
        for (number, (key, value)) in configuration.iter().enumerate() {
            // Not by -c: what is on a command line can be read by everybody on the machine.
            command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_SSH_COMMAND", "ssh -F none -o BatchMode=yes").env("HOME", "/nonexistent").env("LC_ALL", "C");
        command.envs(self.agent.iter().map(|agent| ("SSH_AUTH_SOCK", agent)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("run git, which must be installed")?;
        let (output, message) = (child.stdout.take(), child.stderr.take());
        let read = |source: Option<&mut dyn Read>, limit: u64| {
            let mut bytes = Vec::new();
            if let Some(source) = source {
                // What was read until something went wrong is what there is.
                let _ = source.take(limit).read_to_end(&mut bytes);
                let _ = std::io::copy(source, &mut std::io::sink());
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (status, output, message) = std::thread::scope(|scope| {
            let output =
                scope.spawn(move || read(output.map(Box::new).as_deref_mut().map(|o| o as &mut dyn Read), OUTPUT_MAX));
            let message = scope
                .spawn(move || read(message.map(Box::new).as_deref_mut().map(|m| m as &mut dyn Read), MESSAGE_MAX));
            let status = self.wait(&mut child);
            (status, output.join().unwrap_or_default(), message.join().unwrap_or_default())
        });
        if status?.success() {
            return Ok(output);
        }
        let said = message.lines().rfind(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let said = said.or(message.lines().last()).unwrap_or("failed").trim_start_matches("fatal: ");
        Err(Error::new(said).context(format!("git {}", args.first().copied().unwrap_or_default())))
    }

    fn wait(&self, child: &mut std::process::Child) -> Result<std::process::ExitStatus> {
        if let Some(interrupt) = self.interrupt {
            let pidfd = pidfd_open(i32::try_from(child.id()).unwrap_or(0)).context("watch git")?;
            if !interrupt.wait(pidfd.as_fd())? {
                drop(child.kill());
                drop(child.wait());
                return Err(interrupt.error());
            }
        }
        child.wait().context("wait for git")
    }
}

/// Proxies and where programs are.
fn wanted(name: &str) -> bool {
    matches!(name, "PATH" | "SSL_CERT_FILE" | "SSL_CERT_DIR") || crate::image::plan::scope::is_proxy(name)
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn check(git: &Git, commit: String) -> Result<String> {
    if let Some(checksum) = &git.checksum
        && !commit.starts_with(&checksum.to_ascii_lowercase())
    {
        bail!("the commit is {commit}, not {checksum} as demanded");
    }
    if !is_commit(&commit) {
        bail!("git answers with {commit:?}, which is no commit");
    }
    Ok(commit)
}

/// Of the repository and its submodules.
fn remove_git_dirs(directory: &Path) -> Result<()> {
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).with(|| format!("read {}", directory.display()))? {
            let entry = entry.context("read directory")?;
            let path = entry.path();
            let is_dir = entry.file_type().context("stat")?.is_dir();
            match (entry.file_name() == ".git", is_dir) {
                (true, true) => crate::image::store::remove_tree(&path)?,
                (true, false) => std::fs::remove_file(&path).with(|| format!("remove {}", path.display()))?,
                (false, true) => left.push(path),
                (false, false) => {}
            }
        }
    }
    Ok(())
}
