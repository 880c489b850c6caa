//! The vocabulary of a plan: what the child does, as plain data. A step is one intention towards the kernel; it knows
//! which entry of config.json asked for it.

use super::mounts::Mount;
use crate::runtime::seccomp::Filter;
use crate::runtime::spec::Hook;
use crate::sys::identity::Capabilities;
use crate::sys::mount::Attributes;
use crate::sys::process::Strings;
use crate::sys::scheduler::Scheduler;
use std::ffi::CString;
use std::fmt;

#[derive(Debug)]
pub struct Step {
    pub origin: Origin,
    pub op: Op,
}

/// The place in config.json that asked for something, or the runtime's own duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Field(&'static str),
    Item(&'static str, usize),
    /// What the specification or safety asks of every container.
    Always,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Field(name) => f.pad(name),
            Origin::Item(name, index) => f.pad(&format!("{name}[{index}]")),
            Origin::Always => f.pad("-"),
        }
    }
}

#[derive(Debug)]
pub enum Op {
    /// The parent has done its part: maps, limits, cgroup.
    AwaitGo,
    /// The parent runs the prestart and createRuntime hooks.
    AskHooks,
    /// `create` may return.
    TellReady,
    /// Somebody says `start`.
    AwaitStart,

    JoinNamespaces(Vec<JoinedNamespace>),
    /// Join the namespaces of a running container (CLONE_NEW* flags of setns on its pidfd).
    JoinContainer(i32),
    /// Time offsets have to be written before the first process enters the namespace.
    UnshareTime {
        offsets: Option<CString>,
        /// In a new user namespace, which nobody else is in yet.
        alone: bool,
    },
    /// The process that joined a user namespace makes the one that lives in it.
    CloneAgain(u64),
    /// User and group 0 of the user namespace.
    BecomeRoot,
    Setsid,
    SessionKeyring(CString),
    UnshareCgroup,
    Hostname(CString),
    Domainname(CString),
    LoopbackUp,

    /// How mounts of the host's namespace and ours tell each other about news.
    RootPropagation(u64),
    /// The same for the one mount that the root filesystem is on.
    PrivateParent,
    EnterRootfs(Rootfs),
    Mount(Box<Mount>),
    /// A symbolic link in the rootfs; what is there already stays, unless it is to be replaced.
    Link {
        target: CString,
        at: CString,
        replace: bool,
    },
    Device(Device),
    Hooks {
        kind: &'static str,
        hooks: Vec<Hook>,
    },
    /// A terminal of the container's devpts, and its size: rows, columns. `bind`: on /dev/console too.
    Console {
        size: Option<(u16, u16)>,
        bind: bool,
    },
    /// Of the standard descriptors those that are the host's /dev/null become the container's.
    ReopenNull,
    MakeCwd(CString),
    Sysctl {
        file: CString,
        value: CString,
    },
    /// A mount that had to be writable while things were made below it.
    ReadonlyMount {
        target: CString,
        attributes: Attributes,
    },
    ReadonlyPath(CString),
    MaskPath(CString),
    /// Propagation of the container's root, when all is mounted.
    Propagation {
        flags: u64,
        recursive: bool,
    },
    ReadonlyRoot,
    /// `shared`: the host's mounts, which go from here, still are peers of those that stay there.
    PivotRoot {
        shared: bool,
    },
    /// Without pivot_root: move the mount and chroot (`--no-pivot`).
    MoveRoot,
    /// In a mount namespace that is not ours to change.
    Chroot,

    Scheduler(Scheduler),
    IoPriority(i32),
    Personality(u64),
    MemoryPolicy {
        mode: i32,
        nodes: Vec<u64>,
    },
    Umask(u32),
    /// Where the user may go and root may not, the step for the user does it.
    Chdir(CString),
    /// HOME from the container's /etc/passwd, if the environment has none.
    Home(u32),
    /// args[0] is a path, or a name to be found in these directories.
    FindProgram {
        name: CString,
        directories: Vec<CString>,
    },
    NoNewPrivileges,
    Label(Label),
    Seccomp(Box<Filter>),
    AdditionalGroups(Vec<u32>),
    Gid(u32),
    /// The capabilities that are kept.
    BoundingSet(u64),
    /// With the permitted capabilities kept over the change.
    Uid(u32),
    /// What a user's program reads and writes is the user's: a terminal, a pipe.
    OwnStdio(u32),
    Capabilities(Capabilities),
    AmbientSet(u64),
    ChdirAgain(CString),
    CloseRange {
        first: u32,
    },
    Exec {
        args: Strings,
        env: Strings,
    },
}

#[derive(Debug, Clone)]
pub struct JoinedNamespace {
    pub kind: &'static str,
    pub flag: i32,
    pub path: CString,
    /// Of `linux.namespaces`.
    pub index: usize,
}

#[derive(Debug)]
pub enum Rootfs {
    /// The current directory, which the parent set: it followed us into the new mount namespace, no name is looked up.
    Here,
    /// In a joined mount namespace there is only the name.
    Joined(CString),
    /// Without a mount namespace nothing is mounted.
    Path(CString),
}

#[derive(Debug)]
pub struct Device {
    pub path: CString,
    pub kind: DeviceKind,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// In a user namespace nodes cannot be made; the host's node is bound instead.
    pub bind: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    Char,
    Block,
    Fifo,
}

/// What is written to a file of /proc/thread-self/attr before exec.
#[derive(Debug)]
pub struct Label {
    /// The first that exists.
    pub files: &'static [&'static std::ffi::CStr],
    pub value: CString,
}
