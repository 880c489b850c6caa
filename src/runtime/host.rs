//! The parent: makes the child, does for it what it cannot do itself, serves it at each step where the two meet, and puts
//! its failures into words.

mod agent;
mod maps;

use super::init::fault::words_of;
use super::init::{self, Inheritance, Message, REACHED};
use super::log::Log;
use super::net_devices::{self, Moved};
use super::plan::Plan;
use super::plan::mounts::{Idmap, What};
use super::plan::step::{Op, Step};
use super::record::{State, Status};
use super::spec::Spec;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::sys::mount::{self, Attributes};
use crate::sys::process::{self, Exit};
use crate::sys::{Errno, OFlag, fd, socket};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the child is born with.
#[derive(Debug, Default)]
pub struct Birth<'a> {
    /// Its current directory: the root filesystem.
    pub rootfs: Option<BorrowedFd<'a>>,
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Where `start` will knock.
    pub start: Option<OwnedFd>,
    /// Where the master of the terminal goes.
    pub console: Option<OwnedFd>,
    pub preserved: u32,
    /// State for hooks, around status and pid.
    pub state: (Vec<u8>, Vec<u8>),
    /// `exec`: the container's first process.
    pub container: Option<OwnedFd>,
}

/// A child that lives. Dropped before it is let go, it dies.
#[derive(Debug)]
pub struct Child<'a> {
    plan: &'a Plan,
    pub pid: process::pid_t,
    pub pidfd: OwnedFd,
    /// Whether it was born in its version 2 cgroup.
    pub in_cgroup: bool,
    sync: OwnedFd,
    idmaps: Vec<(OwnedFd, bool)>,
    moved: Option<Moved>,
    kept: bool,
}

/// Clones. The child waits for `go`.
pub fn spawn<'a>(plan: &'a Plan, birth: Birth) -> Result<Child<'a>> {
    let (sync, theirs) = socket::seqpacket_pair().context("make a socket pair")?;
    let (mut sources, idmaps) = open_sources(plan)?;
    if let Some(rootfs) = birth.rootfs {
        nix::unistd::fchdir(rootfs).context("enter the root filesystem")?;
    }
    // Until the child has its own dispositions no signal may end it half-way.
    let before = process::block_all_signals().context("block signals")?;
    let back = enter_for_child(plan, birth.container.as_ref())?;
    sources.extend(birth.container.map(|container| (usize::MAX, container)));
    let cloned = match process::clone3(plan.launch.clone_flags, birth.cgroup) {
        // KERNEL(5.7), or the cgroup takes no process that way; then it is moved in later.
        Err(Errno::EINVAL | Errno::EBUSY | Errno::EOPNOTSUPP | Errno::EACCES | Errno::ENODEV | Errno::E2BIG)
            if birth.cgroup.is_some() =>
        {
            process::clone3(plan.launch.clone_flags, None).map(|clone| (clone, false))
        }
        other => other.map(|clone| (clone, birth.cgroup.is_some())),
    };
    if let Ok((process::Clone::Child, _)) = cloned {
        let Birth { start, console, preserved, state, .. } = birth;
        init::run(plan, Inheritance { sync: theirs, start, console, sources, preserved, state });
    }
    for (namespace, flag) in back {
        process::setns(namespace, flag).context("return to our own namespaces")?;
    }
    process::set_signal_mask(&before).context("unblock signals")?;
    match cloned.with(|| format!("clone with {}", super::plan::namespaces::words(plan.launch.clone_flags)))? {
        (process::Clone::Parent { pid, pidfd }, in_cgroup) => {
            Ok(Child { plan, pid, pidfd, in_cgroup, sync, idmaps, moved: None, kept: false })
        }
        (process::Clone::Child, _) => process::exit_now(1),
    }
}

/// Namespaces that only a child is born in: ours for a moment. What to return to.
fn enter_for_child(plan: &Plan, container: Option<&OwnedFd>) -> Result<Vec<(OwnedFd, i32)>> {
    let mut back = Vec::new();
    let mut keep = |path: &std::ffi::CStr, flag: i32| -> Result<()> {
        back.push((fd::open(path, OFlag::O_RDONLY).with(|| format!("open {}", path.to_string_lossy()))?, flag));
        Ok(())
    };
    if let Some(container) = container.filter(|_| plan.launch.container_pid) {
        keep(c"/proc/self/ns/pid", process::CLONE_NEWPID)?;
        process::setns(container, process::CLONE_NEWPID).context("join the container's pid namespace")?;
    }
    if let Some(pid) = &plan.launch.pid {
        keep(c"/proc/self/ns/pid", process::CLONE_NEWPID)?;
        let place = || format!("linux.namespaces[{}].path: join {}", pid.index, pid.path.to_string_lossy());
        let namespace = fd::open(&pid.path, OFlag::O_RDONLY).with(place)?;
        if process::namespace_type(&namespace).with(place)? != process::CLONE_NEWPID {
            bail!("{}: it is no pid namespace", place());
        }
        process::setns(namespace, process::CLONE_NEWPID).with(place)?;
    }
    if let Some(offsets) = &plan.launch.time {
        keep(c"/proc/self/ns/time", process::CLONE_NEWTIME)?;
        process::unshare(process::CLONE_NEWTIME).context("linux.namespaces: make a time namespace")?;
        if let Some(offsets) = offsets {
            let file = fd::open(c"/proc/self/timens_offsets", OFlag::O_WRONLY).map_err(Error::from);
            let written = file.and_then(|file| fd::write_once(file, offsets.to_bytes()).map_err(Error::from));
            written.context("linux.timeOffsets: write them")?;
        }
    }
    Ok(back)
}

/// A joined namespace may be our own; what is written to /proc/sys/net there would change the host.
pub fn refuse_host_sysctls(plan: &Plan) -> Result<()> {
    let writes = |step: &Step| matches!(&step.op, Op::Sysctl { file, .. } if file.to_bytes().starts_with(b"net/"));
    if !plan.steps.iter().any(writes) {
        return Ok(());
    }
    for step in &plan.steps {
        let Op::JoinNamespaces(joined) = &step.op else { continue };
        for network in joined.iter().filter(|namespace| namespace.flag == process::CLONE_NEWNET) {
            let identity = |path: &std::ffi::CStr| fd::open(path, OFlag::O_PATH).and_then(fd::stat);
            // One that is not there is refused when it is joined.
            let Ok(theirs) = identity(&network.path) else { continue };
            if theirs == identity(c"/proc/self/ns/net").context("open our own network namespace")? {
                bail!("linux.sysctl: linux.namespaces[{}].path is the host's network namespace", network.index);
            }
        }
    }
    Ok(())
}

type Sources = Vec<(usize, OwnedFd)>;

/// Mounts whose source only we can open, or whose owners only we can map.
fn open_sources(plan: &Plan) -> Result<(Sources, Vec<(OwnedFd, bool)>)> {
    let (mut sources, mut idmaps) = (Vec::new(), Vec::new());
    for (index, step) in plan.steps.iter().enumerate() {
        let Op::Mount(wanted) = &step.op else { continue };
        let What::Bind { source, recursive, by_parent: true, .. } = &wanted.what else { continue };
        let place = || format!("{}: open {}", step.origin, source.to_string_lossy());
        let tree = mount::open_tree(None, source, *recursive).with(place)?;
        let slave = Attributes { propagation: mount::SLAVE, ..Attributes::default() };
        mount::mount_setattr(&tree, true, slave).with(place)?;
        match &wanted.idmap {
            Some(Idmap { maps: Some((uids, gids)), recursive }) => {
                let namespace = maps::namespace(uids, gids).with(|| format!("{}: map owners", step.origin))?;
                let mapped = mount::mount_setattr_idmap(&tree, *recursive, namespace.as_fd());
                mapped.with(|| format!("{}: map the owners of {}", step.origin, source.to_string_lossy()))?;
            }
            Some(Idmap { maps: None, recursive }) => {
                idmaps.push((tree.try_clone().context("copy a descriptor")?, *recursive));
            }
            None => {}
        }
        sources.push((index, tree));
    }
    Ok((sources, idmaps))
}

impl Child<'_> {
    /// What the child may not do for itself, or not any more.
    pub fn configure(&mut self) -> Result<()> {
        let launch = &self.plan.launch;
        if let Some(score) = launch.oom_score_adj {
            self.write_proc("oom_score_adj", &score.to_string())
                .with(|| format!("process.oomScoreAdj: set {score} on the container"))?;
        }
        // Another process in a container does not wait for us again.
        if !self.is_first() {
            self.limit()?;
        }
        if let Some((uids, gids)) = &launch.maps {
            maps::write(self.pid, uids, gids)?;
        }
        self.map_owners()?;
        // A network namespace that the second of two processes makes is not there yet.
        if !self.makes_network_later() {
            self.moved = net_devices::send(launch, self.pid)?;
        }
        Ok(())
    }

    /// Mounts whose owners the container's user namespace maps: a new one, or the one that it joins.
    fn map_owners(&mut self) -> Result<()> {
        if self.idmaps.is_empty() {
            return Ok(());
        }
        let joined = self.plan.steps.iter().find_map(|step| match &step.op {
            Op::JoinNamespaces(list) => list.iter().find(|namespace| namespace.flag == process::CLONE_NEWUSER),
            _ => None,
        });
        let path = joined.map_or_else(|| proc_file(self.pid, "ns/user"), |namespace| namespace.path.clone());
        for (tree, recursive) in self.idmaps.drain(..) {
            let namespace = fd::open(&path, OFlag::O_RDONLY);
            let mapped = namespace.and_then(|ns| mount::mount_setattr_idmap(&tree, recursive, ns.as_fd()));
            mapped.context("mounts: map the owners of a bind mount as the container's user namespace does")?;
        }
        Ok(())
    }

    /// What the program gets; a container's first process has more to do than a small limit allows.
    fn limit(&self) -> Result<()> {
        for limit in &self.plan.launch.limits {
            process::prlimit(self.pid, limit.resource, limit.soft, limit.hard)
                .with(|| format!("process.rlimits[{}]: set {} at most {}", limit.index, limit.soft, limit.hard))?;
        }
        Ok(())
    }

    fn makes_network_later(&self) -> bool {
        let makes = |step: &Step| matches!(step.op, Op::CloneAgain(flags) if flags & process::CLONE_NEWNET as u64 != 0);
        self.plan.steps.iter().any(makes)
    }

    fn write_proc(&self, file: &str, text: &str) -> crate::sys::Result<()> {
        fd::write_once(fd::open(&proc_file(self.pid, file), OFlag::O_WRONLY)?, text.as_bytes())
    }

    /// Any answer: go on. It tells the child its pid.
    pub fn go(&self) -> Result<()> {
        let message = Message { detail: self.pid, ..Message::default() };
        match message.send(self.sync.as_fd(), &[]) {
            // Gone; what it said before that is still to be read.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            other => other.context("talk to the container's first process"),
        }
    }

    /// Serves the child until it is ready for `start`. The terminal's master, if it comes to us.
    pub fn serve(&mut self, spec: &Spec, state: &State, log: &Log) -> Result<Option<OwnedFd>> {
        let mut terminal = None;
        loop {
            let (message, descriptor) = self.receive()?;
            let Some(step) = self.plan.steps.get(message.step as usize) else { bail!("the child lost its way") };
            match &step.op {
                Op::Console { .. } => {
                    terminal = descriptor;
                    continue;
                }
                Op::TellReady => {
                    if self.is_first() {
                        self.limit()?;
                    }
                    return Ok(terminal);
                }
                Op::AskHooks => self.ask_hooks(spec, state, log)?,
                Op::CloneAgain(_) => {
                    process::wait(self.pid).context("wait for the first of two processes")?;
                    self.pid = message.detail;
                    self.pidfd = process::pidfd_open(self.pid).context("open the container's first process")?;
                    if self.makes_network_later() {
                        self.moved = net_devices::send(&self.plan.launch, self.pid)?;
                    }
                }
                Op::Seccomp(filter) => {
                    let listener = process::pidfd_getfd(&self.pidfd, message.detail);
                    let listener = listener.context("linux.seccomp: fetch the listener")?;
                    agent::send(filter, &listener, self.pid, state, self.status())?;
                }
                op => bail!("the child is at a step that needs nobody: {op}"),
            }
            self.go()?;
        }
    }

    /// The container's: a first process is being made, or another in one that runs.
    fn status(&self) -> Status {
        if self.is_first() { Status::Creating } else { Status::Running }
    }

    /// Then it waits until somebody says start.
    fn is_first(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step.op, Op::AwaitStart))
    }

    /// The child's next message; its failure as an error.
    fn receive(&self) -> Result<(Message, Option<OwnedFd>)> {
        match Message::receive(self.sync.as_fd()).context("listen to the container's first process")? {
            None => Err(self.why_gone()),
            Some((message, _)) if message.part != REACHED => {
                Err(words_of(self.plan, message.step as usize, message.part, message.detail, message.errno))
            }
            Some(reached) => Ok(reached),
        }
    }

    fn why_gone(&self) -> Error {
        Error::new(match process::wait(self.pid) {
            Ok(Exit::Signal(signal)) if signal == process::SIGKILL => {
                "the container's first process was killed while it was set up (too little memory?)".to_owned()
            }
            Ok(Exit::Signal(signal)) => format!("the container's first process was ended by signal {signal}"),
            Ok(Exit::Code(code)) => format!("the container's first process exited with {code} while it was set up"),
            Err(errno) => format!("the container's first process is gone: {}", crate::error::errno_text(errno)),
        })
    }

    fn ask_hooks(&self, spec: &Spec, state: &State, log: &Log) -> Result<()> {
        let Some(hooks) = &spec.hooks else { return Ok(()) };
        // runtime.md, Lifecycle: the environment is made (step 2), which is what `created` says, and hooks go by it.
        super::hooks::run_all("prestart", &hooks.prestart, state, Status::Created, log)?;
        super::hooks::run_all("createRuntime", &hooks.create_runtime, state, Status::Created, log)
    }

    /// `run`: the program may start. Returns when it has, or why it has not.
    pub fn start(&self) -> Result<()> {
        self.go()?;
        self.wait_for_exec()
    }

    /// Exec closes the socket; anything else that comes over it is a failure.
    pub fn wait_for_exec(&self) -> Result<()> {
        match Message::receive(self.sync.as_fd()).context("listen to the container's first process")? {
            None => Ok(()),
            Some((message, _)) => {
                Err(words_of(self.plan, message.step as usize, message.part, message.detail, message.errno))
            }
        }
    }

    /// From now on it lives without us.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        if !self.kept {
            if let Some(moved) = &mut self.moved {
                moved.back();
            }
            // It may be dead already, and reaped: nothing to do then.
            let _ = process::pidfd_send_signal(&self.pidfd, process::SIGKILL);
            let _ = process::wait(self.pid);
        }
    }
}

pub(super) fn proc_file(pid: process::pid_t, file: &str) -> CString {
    CString::new(format!("/proc/{pid}/{file}")).unwrap_or_default()
}
