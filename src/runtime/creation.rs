//! From a bundle to a container that waits for `start`: what `create` and `run` share. What fails is undone.

use super::Global;
use super::bundle::Bundle;
use super::cgroup::Cgroup;
use super::foreground;
use super::host::{self, Birth, Child};
use super::net_devices;
use super::notify::{self, Relay};
use super::plan::{self, Facts, Plan};
use super::record::State;
use super::spec::Spec;
use super::spec::resources::Resources;
use super::store::{Container, START_SOCKET};
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::{fd, identity, process, socket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Flags of `create` and `run`.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Name of the container, unique on this host
    pub id: String,
    /// Directory with config.json; where it is not given, the current one
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub bundle: String,
    /// Socket that receives the master of the container's terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<String>,
    /// Socket that receives a pidfd of the container's first process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<String>,
    /// File to write the process's pid to
    #[arg(long, value_name = "PATH")]
    pub pid_file: Option<String>,
    /// Move the root instead of pivot_root: for a root on a ramfs, less safe
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Pass this many descriptors from 3 on to the container
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub preserve_fds: u32,
}

/// Who says that the program may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// `start`, through the state directory.
    Later,
    /// We, and then we go.
    Detached,
    /// We, and stay.
    Foreground,
}

/// A container on paper, beside its plan.
#[derive(Debug)]
pub struct Draft {
    pub bundle: Bundle,
    pub rootfs: OwnedFd,
    pub state: State,
    pub preserved: u32,
    /// Whether a service manager waits to hear that the program is ready.
    pub notifies: bool,
}

/// Everything that can be refused is refused here; nothing is made.
pub fn draft(global: &Global, args: &Flags, starter: Starter) -> Result<(Draft, Plan)> {
    let mut bundle = Bundle::open(&args.bundle)?;
    let preserved = preserved_descriptors(args, &mut bundle.spec)?;
    check_terminal(&bundle.spec, args, starter)?;
    if bundle.spec.process.is_none() && starter != Starter::Later {
        bail!("process: missing; there is nothing to run");
    }
    super::labels::drop_foreign(&mut bundle.spec).iter().for_each(|warning| global.log.warn(warning));
    let notify = notify::of_our_manager().map(|_| {
        notify::add_to_environment(&mut bundle.spec);
        format!("{}/{}", global.store.directory_of(&args.id), notify::DIRECTORY)
    });
    let (rootfs, rootfs_path) = bundle.rootfs()?;
    let rootless = identity::effective_uid() != 0;
    let cgroups_path = bundle.spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str());
    let mut cgroup = Cgroup::locate(cgroups_path, &args.id, global.systemd_cgroup, rootless || global.rootless)?;
    cgroup.check(&resources(&bundle.spec), &bundle.spec.annotations)?;
    let shown = starter == Starter::Foreground && bundle.spec.process.as_ref().is_some_and(|process| process.terminal);
    let facts = Facts {
        bundle: &bundle.path,
        id: &args.id,
        rootless,
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
        preserved,
        terminal_size: if shown { foreground::terminal_size() } else { None },
        cgroup: Some(&cgroup),
        notify: notify.as_deref(),
        held: super::caller::capabilities()?,
    };
    let plan = plan::container(&bundle.spec, &facts)?;
    host::refuse_host_sysctls(&plan)?;
    net_devices::check(&plan.launch)?;
    let state = State {
        oci_version: bundle.spec.oci_version.clone(),
        id: args.id.clone(),
        bundle: bundle.path.clone(),
        rootfs: rootfs_path,
        created: super::clock::now(),
        owner: identity::effective_uid(),
        annotations: bundle.spec.annotations.clone(),
        cgroup: Some(cgroup),
        systemd: global.systemd_cgroup,
        no_new_keyring: args.no_new_keyring,
        ..State::default()
    };
    Ok((Draft { bundle, rootfs, state, preserved, notifies: notify.is_some() }, plan))
}

/// A container whose first process is ready for `start`.
#[derive(Debug)]
pub struct Created<'a> {
    pub container: Container,
    pub child: Child<'a>,
    /// The terminal's master, unless an engine has it.
    pub terminal: Option<OwnedFd>,
    /// Where the program says that it is ready, unless `start` will listen.
    pub notify: Option<Relay>,
}

pub fn create<'a>(
    global: &Global,
    args: &Flags,
    starter: Starter,
    draft: &'a mut Draft,
    plan: &'a Plan,
) -> Result<Created<'a>> {
    plan.log(&global.log);
    // The parent's current directory is the root filesystem while it clones.
    let pid_file = args.pid_file.as_deref().map(absolute).transpose()?;
    let console = args.console_socket.as_deref().map(connect_console).transpose()?;
    let pidfd_socket = args.pidfd_socket.as_deref().map(connect_pidfd).transpose()?;
    let state = std::mem::take(&mut draft.state);
    let mut container = global.store.create(state, &draft.bundle.config)?;
    let prepared = prepare_notify(starter, draft.notifies, &container);
    let made = prepared.and_then(|notify| {
        let (mut child, terminal) = make(global, starter, console, draft, plan, &mut container)?;
        if let Some(socket) = pidfd_socket {
            send_pidfd(&socket, &child.pidfd, "standard")?;
        }
        if let Some(path) = &pid_file {
            write_pid_file(path, child.pid)?;
        }
        if starter == Starter::Later {
            child.keep();
        }
        Ok((child, terminal, notify))
    });
    match made {
        Ok((child, terminal, notify)) => Ok(Created { container, child, terminal, notify }),
        Err(error) => {
            undo(global, &container, &draft.bundle.spec);
            Err(error)
        }
    }
}

fn prepare_notify(starter: Starter, notifies: bool, container: &Container) -> Result<Option<Relay>> {
    if !notifies {
        return Ok(None);
    }
    container.make_notify_directory()?;
    let manager = notify::of_our_manager().filter(|_| starter != Starter::Later);
    manager.map(|manager| Relay::listen(container, manager)).transpose()
}

fn make<'a>(
    global: &Global,
    starter: Starter,
    console: Option<OwnedFd>,
    draft: &'a Draft,
    plan: &'a Plan,
    container: &mut Container,
) -> Result<(Child<'a>, Option<OwnedFd>)> {
    let spec = &draft.bundle.spec;
    let start = if starter == Starter::Later {
        Some(socket::listen_at(container.directory(), START_SOCKET).context("listen for start")?)
    } else {
        None
    };
    let mut cgroup = container.state.cgroup.take();
    if let Some(cgroup) = &mut cgroup {
        cgroup.create()?;
    }
    let birth = Birth {
        rootfs: Some(draft.rootfs.as_fd()),
        cgroup: match &cgroup {
            Some(cgroup) => cgroup.directory()?,
            None => None,
        },
        start,
        console,
        preserved: draft.preserved,
        state: state_around_status(&container.state)?,
        container: None,
    };
    let spawned = host::spawn(plan, birth);
    let prepared = spawned.and_then(|mut child| {
        if let Some(cgroup) = &mut cgroup {
            cgroup.adopt(child.pid, child.in_cgroup)?;
            // Before the hooks, which may change what is set here.
            cgroup.apply(&resources(spec))?;
            if let Some(uid) = plan.launch.cgroup_owner {
                cgroup.give_to(uid)?;
            }
        }
        child.configure()?;
        Ok(child)
    });
    container.state.cgroup = cgroup;
    let mut child = prepared?;
    set_pid(container, child.pid)?;
    child.go()?;
    let terminal = child.serve(spec, &container.state, &global.log)?;
    if container.state.pid != child.pid {
        set_pid(container, child.pid)?;
    }
    Ok((child, terminal))
}

pub fn resources(spec: &Spec) -> Resources {
    spec.linux.as_ref().and_then(|linux| linux.resources.clone()).unwrap_or_default()
}

/// From now on `delete` finds the process.
pub fn set_pid(container: &mut Container, pid: process::pid_t) -> Result<()> {
    let stat = process::stat(pid).context("look at the container's first process")?;
    container.state.pid = pid;
    container.state.start_time = stat.start_time;
    container.save()
}

/// In reverse, and without hiding why.
pub fn undo(global: &Global, container: &Container, spec: &Spec) {
    let cgroup = container.state.cgroup.as_ref();
    let steps = [cgroup.map_or(Ok(()), Cgroup::remove), container.remove()];
    for error in steps.into_iter().filter_map(Result::err) {
        global.log.warn(&error.to_string());
    }
    if let Some(hooks) = &spec.hooks
        && let Err(error) = super::hooks::run_poststop(&hooks.poststop, &container.state, &global.log)
    {
        global.log.warn(&error.to_string());
    }
}

/// The state as hooks in the container read it: before the word for the status, and after the pid.
fn state_around_status(state: &State) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut rest = serde_json::Map::new();
    rest.insert("bundle".to_owned(), state.bundle.as_str().into());
    if !state.annotations.is_empty() {
        rest.insert("annotations".to_owned(), serde_json::to_value(&state.annotations)?);
    }
    let version = serde_json::to_string(&state.oci_version)?;
    let before = format!("{{\"ociVersion\":{version},\"id\":\"{}\",\"status\":\"", state.id);
    let rest = serde_json::to_string(&rest)?;
    let after = format!(",{}", rest.trim_start_matches('{'));
    Ok((before.into_bytes(), after.into_bytes()))
}

/// `--preserve-fds`, and what systemd's socket activation passed to us (sd_listen_fds(3)).
fn preserved_descriptors(args: &Flags, spec: &mut Spec) -> Result<u32> {
    let to_us = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    // sd_listen_fds(3): what is no number is no descriptors.
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok());
    let listening: u32 = count.filter(|_| to_us).unwrap_or(0);
    if let Some(process) = spec.process.as_mut().filter(|_| listening > 0) {
        let env = process.env.get_or_insert_default();
        env.push(format!("LISTEN_FDS={listening}"));
        env.push("LISTEN_PID=1".to_owned());
    }
    let Some(all) = listening.checked_add(args.preserve_fds).filter(|all| *all < 1 << 20) else {
        bail!("--preserve-fds: {} is more than a process can have", args.preserve_fds);
    };
    for number in 3..3 + all {
        if fd::borrow(number as i32).is_err() {
            let who = if number < 3 + listening { "LISTEN_FDS" } else { "--preserve-fds" };
            bail!("{who}: descriptor {number} is not open");
        }
    }
    Ok(all)
}

fn check_terminal(spec: &Spec, args: &Flags, starter: Starter) -> Result<()> {
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    match (terminal, starter == Starter::Foreground, args.console_socket.is_some()) {
        (true, false, false) => {
            bail!("process.terminal: cannot allocate tty if the container is detached without --console-socket")
        }
        (false, _, true) => bail!("--console-socket: config.json asks for no terminal (process.terminal)"),
        (true, true, true) => bail!("--console-socket: in the foreground the terminal is ours; use --detach"),
        _ => Ok(()),
    }
}

pub fn connect_console(path: &str) -> Result<OwnedFd> {
    connect(path, "--console-socket")
}

pub fn connect_pidfd(path: &str) -> Result<OwnedFd> {
    connect(path, "--pidfd-socket")
}

/// `kind`: "standard" for a container's first process, "setns" for what `exec` makes.
pub fn send_pidfd(socket: &OwnedFd, pidfd: &OwnedFd, kind: &str) -> Result<()> {
    let sent = socket::send(socket.as_fd(), kind.as_bytes(), &[pidfd.as_raw_fd()]);
    sent.context("--pidfd-socket: send the pidfd")
}

fn connect(path: &str, flag: &str) -> Result<OwnedFd> {
    socket::connect_stream(Path::new(path)).with(|| format!("{flag}: connect to {path}"))
}

pub fn absolute(path: &str) -> Result<String> {
    let whole = std::path::absolute(path).with(|| format!("--pid-file: {path}"))?;
    whole.into_os_string().into_string().map_err(|_| Error::new("--pid-file: the path is not UTF-8"))
}

/// Whole or not at all: engines read it as soon as it is there.
pub fn write_pid_file(path: &str, pid: process::pid_t) -> Result<()> {
    let path = Path::new(path);
    let Some(name) = path.file_name() else { bail!("--pid-file: {} names no file", path.display()) };
    let new = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = std::fs::write(&new, pid.to_string()).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.with(|| format!("--pid-file: write {}", path.display()))
}
