//! The child: walks the plan and becomes the program. It decides nothing, words nothing and does not come back.

mod console;
mod copy_up;
mod devices;
pub mod fault;
mod hooks;
mod identity;
mod mount;
mod names;
mod paths;
mod program;
mod rendezvous;
mod rootfs;

use super::plan::Plan;
use super::plan::step::Op;
use crate::sys::root::Root;
use crate::sys::{Mode, OFlag, fd, identity as ids, mount as mounts, process, scheduler};
use fault::{At, Fault, Part};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use rendezvous::{Message, REACHED};

/// Of directories and files that something is mounted on.
const DIR_MODE: Mode = Mode::from_bits_truncate(0o755);
const FILE_MODE: Mode = Mode::from_bits_truncate(0o644);
const NO_MODE: Mode = Mode::empty();

/// A path below the root filesystem, for `sys::root` only.
fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// What the child gets from its parent.
#[derive(Debug)]
pub struct Inheritance {
    /// To the parent and back.
    pub sync: OwnedFd,
    /// Where `start` will knock. None: the parent itself says when.
    pub start: Option<OwnedFd>,
    /// Where the master of the terminal goes. None: to the parent.
    pub console: Option<OwnedFd>,
    /// Mounts that the parent prepared, by step.
    pub sources: Vec<(usize, OwnedFd)>,
    /// How many descriptors from 3 on are the program's.
    pub preserved: u32,
    /// The container's state for hooks, in two parts: the pid goes between them.
    pub state: (Vec<u8>, Vec<u8>),
}

struct Child {
    sync: OwnedFd,
    start: Option<OwnedFd>,
    /// `start`, waiting to hear that exec worked.
    starter: Option<OwnedFd>,
    console: Option<OwnedFd>,
    sources: Vec<(usize, OwnedFd)>,
    state: (Vec<u8>, Vec<u8>),
    /// Our pid as the parent sees it.
    pid: i32,
    root: Option<Root>,
    /// A procfs of our own, that nobody can mount over or swap links in (CVE-2025-52881).
    proc: Option<OwnedFd>,
    /// What was mounted on /proc and /sys: masks have to be on these, whatever the names lead to by then.
    kernel: Vec<(CString, OwnedFd)>,
    /// The first mask of a directory: the others are its copies.
    mask: Option<OwnedFd>,
    cwd_refused: bool,
    home: Option<CString>,
    program: Option<CString>,
}

/// Never returns: exec, or a report and the end.
pub fn run(plan: &Plan, inheritance: Inheritance) -> ! {
    let Inheritance { sync, start, console, sources, preserved, state } = inheritance;
    let mut kept: Vec<RawFd> = sources.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
    kept.extend([Some(&sync), start.as_ref(), console.as_ref()].into_iter().flatten().map(AsRawFd::as_raw_fd));
    let mut child = Child {
        sync,
        start,
        starter: None,
        console,
        sources,
        state,
        pid: 0,
        root: None,
        proc: None,
        kernel: Vec::new(),
        mask: None,
        cwd_refused: false,
        home: None,
        program: None,
    };
    // Nothing of the host's stays in reach of whoever gets to look into this process (CVE-2016-9962, CVE-2024-21626).
    let mut result = fd::close_all_but(preserved.saturating_add(3), &mut kept).at(Part::Whole);
    if result.is_ok() {
        // Nodes and directories get the modes that the plan says, not what our caller's umask leaves of them; to change a
        // mode afterwards would take the name once more, which may be another's by then.
        crate::sys::tree::umask(0);
        result = process::reset_signals().at(Part::Whole);
        // Whose process cannot be dumped, his /proc files are root's: a parent without root writes the maps first. Nobody
        // else is in a user namespace without maps.
        if plan.launch.maps.is_none() {
            result = result.and_then(|()| process::set_dumpable(false).at(Part::Whole));
        }
    }
    let mut reached = 0;
    for (index, step) in plan.steps.iter().enumerate() {
        reached = index;
        result = result.and_then(|()| child.apply(index, &step.op));
        if result.is_err() {
            break;
        }
    }
    if let Err(fault) = result {
        child.report(reached, fault);
    }
    process::exit_now(1)
}

impl Child {
    /// THE OTHER SCREEN: one line for each thing that a plan can say.
    fn apply(&mut self, index: usize, op: &Op) -> Result<(), Fault> {
        match op {
            Op::AwaitGo => self.await_go().and_then(|()| process::set_dumpable(false).at(Part::Whole)),
            Op::AskHooks => self.ask(index),
            Op::TellReady => self.tell(index),
            Op::AwaitStart => self.await_start(),
            Op::JoinNamespaces(namespaces) => names::join(namespaces),
            Op::JoinContainer(flags) => self.join_container(*flags),
            Op::UnshareTime { offsets, alone } => names::unshare_time(offsets.as_deref(), *alone),
            Op::CloneAgain(flags) => self.clone_again(index, *flags),
            Op::BecomeRoot => names::become_root(),
            Op::Setsid => nix::unistd::setsid().map(drop).at(Part::Whole),
            Op::SessionKeyring(name) => names::session_keyring(name),
            Op::UnshareCgroup => process::unshare(process::CLONE_NEWCGROUP).at(Part::Whole),
            Op::Hostname(name) => nix::unistd::sethostname(name.to_string_lossy().as_ref()).at(Part::Whole),
            Op::Domainname(name) => process::set_domainname(name).at(Part::Whole),
            Op::LoopbackUp => crate::sys::socket::loopback_up().at(Part::Whole),
            Op::RootPropagation(flags) => rootfs::propagation_of_all(*flags),
            Op::PrivateParent => rootfs::private_parent(),
            Op::EnterRootfs(rootfs) => self.enter_rootfs(rootfs),
            Op::Mount(mount) => self.mount(index, mount),
            Op::Link { target, at, replace } => self.link(target, at, *replace),
            Op::Device(device) => self.device(device),
            Op::Hooks { hooks, .. } => self.hooks(hooks),
            Op::Console { size, bind } => self.console(index, *size, *bind),
            Op::ReopenNull => self.reopen_null(),
            Op::MakeCwd(path) => self.make_cwd(path),
            Op::Sysctl { file, value } => self.sysctl(file, value),
            Op::ReadonlyMount { target, attributes } => self.readonly_mount(target, *attributes),
            Op::ReadonlyPath(path) => self.readonly_path(path),
            Op::MaskPath(path) => self.mask_path(path),
            Op::Propagation { flags, recursive } => self.propagation(*flags, *recursive),
            Op::ReadonlyRoot => self.readonly_root(),
            Op::PivotRoot { shared } => self.pivot_root(*shared),
            Op::MoveRoot => self.move_root(),
            Op::Chroot => self.chroot(),
            Op::Scheduler(scheduler) => scheduler::set_scheduler(scheduler).at(Part::Whole),
            Op::IoPriority(value) => scheduler::set_io_priority(*value).at(Part::Whole),
            Op::Personality(persona) => scheduler::set_personality(*persona).at(Part::Whole),
            Op::MemoryPolicy { mode, nodes } => scheduler::set_memory_policy(*mode, nodes).at(Part::Whole),
            Op::Umask(umask) => {
                crate::sys::tree::umask(*umask);
                Ok(())
            }
            Op::Chdir(path) => self.chdir(path),
            Op::Home(uid) => self.home(*uid),
            Op::FindProgram { name, directories } => self.find_program(name, directories),
            Op::NoNewPrivileges => process::set_no_new_privs().at(Part::Whole),
            Op::Label(label) => self.label(label),
            Op::Seccomp(filter) => self.seccomp(index, filter),
            Op::AdditionalGroups(groups) => identity::groups(groups),
            Op::Gid(gid) => ids::setresgid(*gid).at(Part::Whole),
            Op::BoundingSet(keep) => identity::bounding(*keep),
            Op::OwnStdio(uid) => identity::own_stdio(*uid),
            Op::Uid(uid) => identity::user(*uid),
            Op::Capabilities(sets) => ids::capset(*sets).at(Part::Whole),
            Op::AmbientSet(bits) => identity::ambient(*bits),
            Op::ChdirAgain(path) => self.chdir_again(path),
            Op::CloseRange { first } => fd::close_range_cloexec(*first).at(Part::Whole),
            Op::Exec { args, env } => self.exec(args, env),
        }
    }

    fn root(&self) -> Result<&Root, Fault> {
        self.root.as_ref().ok_or(Fault { part: Part::Whole, detail: 0, errno: crate::sys::Errno::ENOENT as i32 })
    }

    fn proc(&mut self) -> Result<BorrowedFd<'_>, Fault> {
        if self.proc.is_none() {
            let opened = mounts::fsopen(c"proc").and_then(|fs| {
                mounts::fsconfig_create(&fs)?;
                mounts::fsmount(&fs, 0)
            });
            let opened = match (opened, &self.root) {
                // In a user namespace whose procfs is covered in places the kernel makes no new one. The container's is
                // the next best, if it is one.
                (Err(_), Some(root)) => {
                    let proc = root.open_at("proc", OFlag::O_PATH | OFlag::O_DIRECTORY, NO_MODE);
                    let proc = proc.at(Part::Procfs)?;
                    if mounts::filesystem_type(&proc).at(Part::Procfs)? != mounts::PROC_SUPER_MAGIC {
                        return Err(Fault::new(Part::NotProcfs, 0));
                    }
                    proc
                }
                (opened, _) => opened.at(Part::Procfs)?,
            };
            self.proc = Some(opened);
        }
        match &self.proc {
            Some(proc) => Ok(proc.as_fd()),
            None => Err(Fault::new(Part::Procfs, 0)),
        }
    }
}
