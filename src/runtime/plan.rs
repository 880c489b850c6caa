//! config.json to a plan: what the container's first process does, as data, in its order. No side effects: `bolo plan`
//! prints it, tests compare it with golden files, `init` walks it.

pub mod capabilities;
mod cgroup_mount;
mod check;
mod console;
mod devices;
mod hooks;
mod limits;
pub mod mounts;
pub mod namespaces;
mod net_devices;
mod options;
mod order;
mod paths;
mod process;
mod rootfs;
mod scheduling;
mod seccomp;
pub mod show;
pub mod step;
mod sysctl;

use crate::bail;
use crate::error::Result;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::log::Log;
use crate::runtime::spec::{Linux, Process, Spec};
use crate::sys::process::{CLONE_NEWPID, CLONE_NEWUSER};
use namespaces::Namespaces;
pub use options::known_words as mount_words;
pub use scheduling::{MEMORY_FLAGS, MEMORY_MODES};
use std::ffi::CString;
use step::{JoinedNamespace, Op, Origin, Step};

/// What the planner knows beside config.json.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// Absolute.
    pub bundle: &'a str,
    pub id: &'a str,
    /// The kernel may refuse what only the host's root can do.
    pub rootless: bool,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// Descriptors from 3 on that the program inherits (`--preserve-fds`, LISTEN_FDS).
    pub preserved: u32,
    /// Rows and columns of the terminal that shows the container's: before consoleSize.
    pub terminal_size: Option<(u16, u16)>,
    pub cgroup: Option<&'a Cgroup>,
    /// Directory of the host with the socket that the program tells its readiness to.
    pub notify: Option<&'a str>,
    /// The caller's capabilities, of which a container may have those, a bit for each.
    pub held: Option<u64>,
}

impl Facts<'_> {
    /// Root in a user namespace, as an engine without root has it, is a user, too.
    fn is_of_user(&self) -> bool {
        self.rootless || self.cgroup.is_some_and(Cgroup::is_of_user)
    }
}

#[derive(Debug, Default)]
pub struct Plan {
    pub launch: Launch,
    pub steps: Vec<Step>,
    /// What config.json asks for in vain; allowed by the specification, worth a word.
    pub warnings: Vec<String>,
    /// The same where config.json, as engines and `spec` write it, asks for it every day.
    pub notes: Vec<String>,
}

impl Plan {
    /// Says what is worth a word.
    pub fn log(&self, log: &Log) {
        self.warnings.iter().for_each(|warning| log.warn(warning));
        self.notes.iter().for_each(|note| log.debug(note));
    }
}

/// What the parent does around the clone.
#[derive(Debug, Default)]
pub struct Launch {
    /// CLONE_NEW*
    pub clone_flags: u64,
    /// A new time namespace, and its offsets.
    pub time: Option<Option<CString>>,
    /// A pid namespace that the child is born in.
    pub pid: Option<JoinedNamespace>,
    /// `exec`: the child is born in the container's pid namespace.
    pub container_pid: bool,
    /// Text for uid_map and gid_map, if the user namespace is new.
    pub maps: Option<(String, String)>,
    /// Whom the version 2 cgroup belongs to, as the host numbers users: the container manages what is below it.
    pub cgroup_owner: Option<u32>,
    /// What moves into the container's network namespace.
    pub net_devices: Vec<NetDevice>,
    /// That namespace, where it is joined.
    pub network: Option<JoinedNamespace>,
    pub limits: Vec<Limit>,
    pub oom_score_adj: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetDevice {
    pub name: String,
    /// There; `%d` stands for a number.
    pub rename: String,
}

/// prlimit(2)
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Of `process.rlimits`.
    pub index: usize,
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// A plan in the making.
#[derive(Debug, Default)]
pub(super) struct Steps {
    plan: Plan,
    /// For when everything below them is made.
    late: Vec<Step>,
}

impl Steps {
    fn add(&mut self, origin: Origin, op: Op) {
        self.plan.steps.push(Step { origin, op });
    }

    fn always(&mut self, op: Op) {
        self.add(Origin::Always, op);
    }

    fn later(&mut self, origin: Origin, op: Op) {
        self.late.push(Step { origin, op });
    }

    fn warn(&mut self, warning: String) {
        self.plan.warnings.push(warning);
    }

    fn note(&mut self, note: String) {
        self.plan.notes.push(note);
    }

    fn finish(&mut self) -> Result<Plan> {
        let plan = std::mem::take(&mut self.plan);
        plan.check()?;
        Ok(plan)
    }
}

/// THE SCREEN: the life of a container's first process, from its birth to the program.
pub fn container(spec: &Spec, facts: &Facts) -> Result<Plan> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    // `create` needs none (config.md, Process: required at `start`).
    let none = Process { cwd: "/".to_owned(), ..Process::default() };
    let process = spec.process.as_ref().unwrap_or(&none);
    let namespaces = Namespaces::parse(linux)?;
    check::all(spec, linux, &namespaces)?;

    let steps = &mut Steps::default();
    limits::plan(steps, process)?;

    steps.always(Op::AwaitGo); // id maps, limits and the cgroup are the parent's part, and need what the child gives up
    net_devices::plan(steps, linux, &namespaces, facts)?;
    namespaces::plan(steps, linux, &namespaces, facts)?; // first: everything below happens to them
    process::session(steps, facts)?;
    namespaces::cgroup(steps, &namespaces); // its root is the cgroup that the parent has put us in
    namespaces::names(steps, spec, &namespaces)?;

    rootfs::enter(steps, spec, linux, &namespaces, facts)?;
    mounts::plan(steps, spec, &namespaces, facts)?;
    mounts::notify_socket(steps, &namespaces, facts)?;
    cgroup_mount::plan_owner(steps, spec, linux, process, &namespaces);
    devices::plan(steps, spec, linux, &namespaces, facts)?;
    hooks::create(steps, spec)?; // the specification: after the mounts, before pivot_root
    console::plan(steps, process, facts); // in the container's devpts, with the container's owners
    rootfs::reopen_null(steps, &namespaces);
    process::make_cwd(steps, process)?;
    sysctl::plan(steps, linux, &namespaces)?; // before /proc/sys turns read-only
    paths::plan(steps, linux, &namespaces)?; // after the hooks, which may have mounted more
    rootfs::finish(steps, spec, linux, &namespaces, facts)?; // below here no path of the host has a meaning

    scheduling::plan(steps, process, linux)?;
    process::place(steps, process)?;
    process::before_ready(steps, process);
    let filter = seccomp::plan(linux)?;
    seccomp::with_listener(steps, &filter, facts.preserved); // its agent is reached through `create`, which is about to go
    steps.always(Op::TellReady);
    steps.always(Op::AwaitStart);
    hooks::start(steps, spec)?;
    let held = facts.held.filter(|_| !namespaces.has(CLONE_NEWUSER)); // whoever enters a user namespace has all, there
    process::become_user(steps, process, filter, facts.preserved, held)?;
    steps.finish()
}

/// What `exec` does: into the namespaces `joined` (CLONE_NEW*) of a running container, then like a first process.
pub fn exec(process: &Process, linux: &Linux, joined: i32, again: bool, facts: &Facts) -> Result<Plan> {
    check::process(process)?;
    let steps = &mut Steps::default();
    limits::plan(steps, process)?;
    steps.always(Op::AwaitGo);
    steps.plan.launch.container_pid = joined & CLONE_NEWPID != 0 && !again;
    steps.always(Op::JoinContainer(if again { joined } else { joined & !CLONE_NEWPID }));
    if again {
        steps.always(Op::CloneAgain(0));
    }
    if joined & CLONE_NEWUSER != 0 {
        steps.always(Op::BecomeRoot);
    }
    process::session(steps, facts)?;
    console::plan_exec(steps, process, facts);
    scheduling::plan(steps, process, linux)?;
    process::place(steps, process)?;
    process::before_ready(steps, process);
    let filter = seccomp::plan(linux)?;
    seccomp::with_listener(steps, &filter, facts.preserved);
    steps.always(Op::TellReady);
    let held = facts.held.filter(|_| joined & CLONE_NEWUSER == 0);
    process::become_user(steps, process, filter, facts.preserved, held)?;
    steps.finish()
}

pub(super) fn cstring(text: &str, origin: Origin) -> Result<CString> {
    match CString::new(text) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{origin}: {text:?} has a zero byte in it"),
    }
}
