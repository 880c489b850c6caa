//! `exec`: another process in a running container. What the command line does not say comes from config.json.

use super::Global;
use super::bundle::parse_json;
use super::cgroup::Cgroup;
use super::creation::{connect_console, connect_pidfd, send_pidfd, write_pid_file};
use super::foreground::{self, Signals};
use super::host::{self, Birth, Child};
use super::plan::namespaces::Namespaces;
use super::plan::{self, Facts, Plan};
use super::record::Status;
use super::spec::{Linux, Process, Spec, list};
use super::store::Container;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::process::{CLONE_NEWPID, CLONE_NEWUSER, pid_t};
use crate::sys::{Errno, fd, identity, scheduler};
use std::os::fd::OwnedFd;

/// So that it differs from what the program itself may exit with.
const FAILURE: u8 = 255;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    /// Program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// File with the process as in config.json
    #[arg(short, long, value_name = "FILE")]
    process: Option<String>,
    /// Directory to run in
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Variable for the environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// User to be
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// Further group
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Return when the program runs
    #[arg(short, long)]
    detach: bool,
    /// File to write the process's pid to
    #[arg(long, value_name = "PATH")]
    pid_file: Option<String>,
    /// Socket that receives the terminal's master
    #[arg(long, value_name = "PATH")]
    console_socket: Option<String>,
    /// Socket that receives a pidfd of the process
    #[arg(long, value_name = "PATH")]
    pidfd_socket: Option<String>,
    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    no_new_privs: bool,
    /// Add a capability to the bounding, effective and permitted ones
    #[arg(short, long, value_name = "CAP")]
    cap: Vec<String>,
    /// Pass this many descriptors from 3 on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    preserve_fds: u32,
    /// Cgroup below the container's, on version 1 as controller[,controller]:path
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,
    /// Also into a paused container: it waits for resume
    #[arg(long)]
    ignore_paused: bool,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    exec(global, &args).map_err(|error| error.exit(FAILURE))
}

fn exec(global: &Global, args: &Args) -> Result<u8> {
    super::seal::protect()?;
    let mut container = global.store.load(&args.id)?;
    check_status(&container, args)?;
    let Some(first) = container.process()? else { bail!("cannot exec in a stopped container: {}", args.id) };
    let spec = container.spec()?;
    let process = process(args, &spec)?;
    check_terminal(args, process.terminal)?;
    for number in 3..3u32.saturating_add(args.preserve_fds) {
        if fd::borrow(number as i32).is_err() {
            bail!("--preserve-fds: descriptor {number} is not open");
        }
    }
    let plan = plan_for(&container, &spec, &process, args)?;
    plan.log(&global.log);
    let signals = if args.detach { None } else { Some(Signals::take(false)?) };
    let (mut child, terminal) = start(global, args, &mut container, first, &spec, &process, &plan)?;
    child.keep();
    match signals {
        Some(signals) => foreground::attend(signals, child.pid, &child.pidfd, terminal, None),
        None => Ok(0),
    }
}

fn start<'a>(
    global: &Global,
    args: &Args,
    container: &mut Container,
    first: OwnedFd,
    spec: &Spec,
    process: &Process,
    plan: &'a Plan,
) -> Result<(Child<'a>, Option<OwnedFd>)> {
    let pidfd_socket = args.pidfd_socket.as_deref().map(connect_pidfd).transpose()?;
    let mut cgroup = container.state.cgroup.take();
    if !args.cgroup.is_empty() {
        cgroup = cgroup.map(|cgroup| cgroup.below(&args.cgroup)).transpose()?;
    }
    let affinity = process.exec_cpu_affinity.clone().unwrap_or_default();
    let cpus = |text: &str, field: &str| list::bits(text, &format!("process.execCPUAffinity.{field}"));
    if !affinity.initial.is_empty() {
        let initial = cpus(&affinity.initial, "initial")?;
        scheduler::set_affinity(0, &initial).context("process.execCPUAffinity.initial: set it")?;
    }
    let birth = Birth {
        cgroup: match &cgroup {
            Some(cgroup) => cgroup.directory()?,
            None => None,
        },
        console: args.console_socket.as_deref().map(connect_console).transpose()?,
        preserved: args.preserve_fds,
        container: Some(first),
        ..Birth::default()
    };
    let mut child = host::spawn(plan, birth)?;
    if let Some(cgroup) = &mut cgroup {
        join_cgroup(cgroup, &child, container.state.pid)?;
    }
    if !affinity.last.is_empty() {
        let last = cpus(&affinity.last, "final")?;
        scheduler::set_affinity(child.pid, &last).context("process.execCPUAffinity.final: set it")?;
    }
    child.configure()?;
    child.go()?;
    let terminal = child.serve(spec, &container.state, &global.log)?;
    child.wait_for_exec()?;
    if let Some(socket) = pidfd_socket {
        send_pidfd(&socket, &child.pidfd, "setns")?;
    }
    if let Some(path) = &args.pid_file {
        write_pid_file(path, child.pid)?;
    }
    Ok((child, terminal))
}

/// A container whose first process made cgroups below its own takes no process at the top any more; then to where that
/// process is.
fn join_cgroup(cgroup: &mut Cgroup, child: &Child, first: pid_t) -> Result<()> {
    match cgroup.attach(child.pid, child.in_cgroup) {
        Err(error) if error.errno() == Some(Errno::EBUSY) => cgroup.of_process(first)?.attach(child.pid, false),
        attached => attached,
    }
}

fn check_status(container: &Container, args: &Args) -> Result<()> {
    match container.status()? {
        Status::Stopped => bail!("cannot exec in a stopped container: {}", args.id),
        Status::Paused if !args.ignore_paused => bail!("cannot exec in a paused container: {}", args.id),
        _ => Ok(()),
    }
}

fn check_terminal(args: &Args, terminal: bool) -> Result<()> {
    match (terminal, args.detach, args.console_socket.is_some()) {
        (true, true, false) => bail!("--tty: cannot allocate tty if the process is detached without --console-socket"),
        (true, false, true) => bail!("--console-socket: in the foreground the terminal is ours; use --detach"),
        (false, _, true) => bail!("--console-socket: nobody asked for a terminal; use --tty"),
        _ => Ok(()),
    }
}

fn plan_for(container: &Container, spec: &Spec, process: &Process, args: &Args) -> Result<Plan> {
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let facts = Facts {
        id: &args.id,
        no_new_keyring: container.state.no_new_keyring,
        preserved: args.preserve_fds,
        terminal_size: if process.terminal && !args.detach { foreground::terminal_size() } else { None },
        held: super::caller::capabilities()?,
        ..Facts::default()
    };
    let joined = Namespaces::parse(linux)?.all();
    // Whoever is not root may enter the pid namespace only after the user namespace, which is too late for the parent; root
    // in a user namespace may enter it, but not return to the host's.
    let after_user = identity::effective_uid() != 0 && joined & CLONE_NEWUSER != 0;
    let again = joined & CLONE_NEWPID != 0 && (after_user || super::caller::in_user_namespace());
    plan::exec(process, linux, joined, again, &facts)
}

/// config.json's process, or that of `--process`, with what the command line says.
fn process(args: &Args, spec: &Spec) -> Result<Process> {
    if let Some(path) = &args.process {
        let text = std::fs::read(path).with(|| format!("--process: read {path}"))?;
        return parse_json(&text).with(|| format!("--process: {path}"));
    }
    let Some(mut process) = spec.process.clone() else { bail!("config.json of {} has no process", args.id) };
    if args.args.is_empty() {
        bail!("exec: a program is missing: exec ID PROGRAM [ARGUMENTS]");
    }
    process.args = Some(args.args.clone());
    process.terminal = args.tty;
    process.env.get_or_insert_default().extend(args.env.iter().cloned());
    if let Some(cwd) = &args.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(user) = &args.user {
        let (uid, gid) = match user.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (user.as_str(), None),
        };
        process.user.uid = id(uid, user)?;
        if let Some(gid) = gid {
            process.user.gid = id(gid, user)?;
        }
    }
    process.user.additional_gids.get_or_insert_default().extend(&args.additional_gids);
    if !args.cap.is_empty() {
        let sets = process.capabilities.get_or_insert_default();
        for name in &args.cap {
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.get_or_insert_default().push(name.clone());
            }
        }
    }
    process.no_new_privileges |= args.no_new_privs;
    if let Some(label) = &args.process_label {
        process.selinux_label.clone_from(label);
    }
    if let Some(profile) = &args.apparmor {
        process.apparmor_profile.clone_from(profile);
    }
    Ok(process)
}

/// Digits and nothing else: what is read leniently becomes somebody else, root at worst (CVE-2026-30892).
fn id(text: &str, whole: &str) -> Result<u32> {
    match text.parse() {
        Ok(id) if id != u32::MAX && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
        _ => bail!("--user: {whole:?} is not UID or UID:GID with numbers from 0 to 4294967294"),
    }
}
