//! What went wrong in the child, as numbers: step, part of it, a detail, errno. The parent, who has the words, makes the
//! message.

use crate::error::{Error, errno_text};
use crate::runtime::plan::mounts::{Mount, What};
use crate::runtime::plan::step::{Op, Origin, Step};
use crate::runtime::plan::{Plan, show};
use crate::sys::Errno;
use nix::sys::signal::Signal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub part: Part,
    /// Which of several: an option, a hook; an exit code.
    pub detail: i32,
    pub errno: i32,
}

impl Fault {
    pub fn new(part: Part, detail: i32) -> Fault {
        Fault { part, detail, errno: 0 }
    }
}

macro_rules! parts {
    ($($(#[$meta:meta])* $name:ident: $words:literal,)*) => {
        /// The part of a step that failed, and its words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Part { $($(#[$meta])* $name,)* }

        impl Part {
            const ALL: &[(Part, &str)] = &[$((Part::$name, $words),)*];
        }
    };
}

parts! {
    /// The step is one system call.
    Whole: "",
    Target: "resolve the target below the root filesystem",
    MakeTarget: "make the target",
    Source: "open the source",
    Filesystem: "open the filesystem",
    FilesystemOption: "set an option",
    Superblock: "make the filesystem",
    MountMade: "make the mount",
    Attach: "attach the mount",
    Attributes: "set the mount's attributes",
    Propagate: "set the mount's propagation",
    Idmap: "map the mount's owners",
    CopyUp: "copy the covered directory's content",
    OverProc: "the target is in a procfs, where nothing may be mounted",
    OnlyProc: "only a procfs may be mounted on /proc",
    Remove: "remove what is there",
    Node: "make the node",
    Owner: "set owner and mode",
    Procfs: "open a procfs",
    NotProcfs: "the container's /proc is no procfs",
    Join: "enter",
    NotThatKind: "it is a namespace of another kind",
    Time: "write the time offsets",
    Clone: "clone",
    Groups: "set the groups",
    Become: "become the user",
    Chdir: "change directory",
    Outside: "the directory is outside of the container",
    Terminal: "open /dev/pts/ptmx",
    Peer: "open the terminal's other end",
    SendTerminal: "send the terminal",
    Controlling: "make it the controlling terminal",
    Stdio: "make it the standard streams",
    BindConsole: "bind it on /dev/console",
    NotFound: "executable file not found in $PATH",
    NotExecutable: "no permission to execute it",
    Missing: "stat",
    HookStart: "start the hook",
    HookExit: "exit status",
    HookSignal: "killed by signal",
    HookTimeout: "not done in time",
    Read: "read",
    Write: "write",
    Listener: "hand over the listener",
    /// The other side went away: whoever it was has its own words.
    Alone: "the other side is gone",
}

/// `call().at(Part::Attach)?`
pub trait At<T> {
    fn at(self, part: Part) -> Result<T, Fault>;
    fn at_detail(self, part: Part, detail: usize) -> Result<T, Fault>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, part: Part) -> Result<T, Fault> {
        self.map_err(|errno| Fault { part, detail: 0, errno: errno as i32 })
    }

    fn at_detail(self, part: Part, detail: usize) -> Result<T, Fault> {
        self.map_err(|errno| Fault { part, detail: detail as i32, errno: errno as i32 })
    }
}

/// The message for people.
pub fn words_of(plan: &Plan, step: usize, part: i32, detail: i32, errno: i32) -> Error {
    let (part, words) = Part::ALL.get(part as usize).copied().unwrap_or((Part::Whole, ""));
    let fault = Fault { part, detail, errno };
    let Some(Step { origin, op }) = plan.steps.get(step) else {
        return Error::new(format!("the container's first process failed: {}", errno_text(Errno::from_raw(errno))));
    };
    let (what, cause) = match op {
        Op::FindProgram { name, .. } => program(&show::text(name), fault),
        Op::Exec { args, .. } => program(&args.iter().next().map(show::text).unwrap_or_default(), fault),
        Op::Hooks { kind, hooks } => {
            let index = detail as usize & HOOK_INDEX;
            let path = hooks.get(index).map_or("", |hook| hook.path.as_str());
            return Error::new(format!("hooks.{kind}[{index}]: {path}: {}", hook(words, fault)));
        }
        Op::Mount(mount) => (mount.to_string(), plain(&option_words(mount, words, fault), fault)),
        Op::JoinNamespaces(list) => {
            let Some(namespace) = list.get(detail as usize) else { return Error::new(plain(words, fault)) };
            let what = format!("join {} namespace {}", namespace.kind, show::text(&namespace.path));
            return Error::new(format!("linux.namespaces[{}].path: {what}: {}", namespace.index, plain(words, fault)));
        }
        op => (op.to_string(), plain(words, fault)),
    };
    let hint = hint(op, fault).map(|hint| format!(" ({hint})")).unwrap_or_default();
    match origin {
        Origin::Always => Error::new(format!("{what}: {cause}{hint}")),
        origin => Error::new(format!("{origin}: {what}: {cause}{hint}")),
    }
}

/// A hook's fault has the hook's index here, and above it the exit code or the signal.
pub(super) const HOOK_INDEX: usize = 0xffff;
pub(super) const HOOK_STATUS_SHIFT: i32 = 16;

fn plain(words: &str, fault: Fault) -> String {
    match (words, fault.errno) {
        (words, 0) => words.to_owned(),
        ("", errno) => errno_text(Errno::from_raw(errno)),
        (words, errno) => format!("{words}: {}", errno_text(Errno::from_raw(errno))),
    }
}

fn program(name: &str, fault: Fault) -> (String, String) {
    let text = errno_text(Errno::from_raw(fault.errno));
    let cause = match fault.part {
        Part::NotFound => "executable file not found in $PATH".to_owned(),
        Part::Missing => format!("stat {name}: {text}"),
        _ => text,
    };
    (format!("exec: {name:?}"), cause)
}

fn hook(words: &str, fault: Fault) -> String {
    let status = fault.detail >> HOOK_STATUS_SHIFT;
    match fault.part {
        Part::HookExit => format!("{words} {status}"),
        Part::HookSignal => match Signal::try_from(status) {
            Ok(signal) => format!("{words} {signal}"),
            Err(_) => format!("{words} {status}"),
        },
        _ => plain(words, fault),
    }
}

fn option_words(mount: &Mount, words: &str, fault: Fault) -> String {
    let What::Filesystem { options, .. } = &mount.what else { return words.to_owned() };
    match (fault.part, options.get(fault.detail as usize)) {
        (Part::FilesystemOption, Some((key, Some(value)))) => {
            format!("{words} {}={}", show::text(key), show::text(value))
        }
        (Part::FilesystemOption, Some((key, None))) => format!("{words} {}", show::text(key)),
        _ => words.to_owned(),
    }
}

/// What to think of an errno that says little, or lies.
fn hint(op: &Op, fault: Fault) -> Option<&'static str> {
    let errno = Errno::from_raw(fault.errno);
    Some(match (op, fault.part, errno) {
        (Op::Mount(_), Part::Superblock | Part::MountMade, Errno::EPERM) => {
            "in a user namespace: a procfs or sysfs that is covered in places cannot be mounted anew"
        }
        (Op::Mount(_), Part::Superblock, Errno::EINVAL) => "an option has a bad value, or the kernel log has more",
        (Op::Mount(_), Part::Attributes, Errno::EPERM) => {
            "the source's own mount has a flag that a user namespace cannot clear"
        }
        (Op::Mount(_) | Op::EnterRootfs(_), _, Errno::ELOOP) => "a symbolic link is in the way",
        (Op::Mount(_), Part::Filesystem, Errno::ENODEV) => "the kernel has no such filesystem",
        (_, _, Errno::ENOSYS) => "this needs Linux 5.12 or later",
        (Op::Label(_), _, Errno::EINVAL | Errno::ENOENT | Errno::ENOTSUP) => {
            "the kernel has no such security module on, or does not know the label"
        }
        (Op::Capabilities(_), _, Errno::EPERM) => "a capability is asked for that the caller does not have",
        (Op::AdditionalGroups(_), _, Errno::EPERM) => "in a user namespace without permission to set groups",
        (Op::BecomeRoot | Op::Uid(_) | Op::Gid(_), _, Errno::EINVAL) => "the user namespace does not map this id",
        (Op::PivotRoot { .. }, _, Errno::EINVAL) => "a root on a ramfs needs --no-pivot",
        _ => return None,
    })
}
