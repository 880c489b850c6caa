//! Processes: making them, waiting for them, becoming another program.

use super::fd::{check, owned};
use super::{Errno, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

pub use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS,
    CLONE_PARENT, pid_t,
};

/// The C library's constant does not fit the type that it has there.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

pub enum Clone {
    Parent { pid: pid_t, pidfd: OwnedFd },
    Child,
}

/// A copy of this process in the namespaces that `flags` (CLONE_NEW*, CLONE_PARENT) ask for, born in `cgroup` where given.
/// The child is the only thread of its process, as we are of ours. KERNEL(5.7) for `cgroup`.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd>) -> Result<Clone> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain numbers; zero is the documented default of each.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    // CLONE_PARENT: our parent has its own exit signal; the kernel wants none here.
    args.exit_signal = if flags & libc::CLONE_PARENT as u64 == 0 { libc::SIGCHLD as u64 } else { 0 };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has its own copy of everything, like after fork; both programs that call this
    // have one thread, so no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    check(pid)?;
    if pid == 0 {
        return Ok(Clone::Child);
    }
    // SAFETY: the kernel has just put a new descriptor there.
    Ok(Clone::Parent { pid: pid as pid_t, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

pub fn unshare(flags: i32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::unshare(flags) }.into())
}

/// Enters the namespace(s) that `fd` (a namespace, or a pidfd with several flags) refers to.
pub fn setns(fd: impl AsFd, flags: i32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::setns(fd.as_fd().as_raw_fd(), flags) }.into())
}

/// The CLONE_NEW* flag of the kind of namespace that `fd` is.
pub fn namespace_type(fd: impl AsFd) -> Result<i32> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the request takes no argument.
    let answer = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE as _) };
    check(answer.into())?;
    Ok(answer)
}

pub fn pidfd_open(pid: pid_t) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// A copy of descriptor `number` of the process. KERNEL(5.6)
pub fn pidfd_getfd(pidfd: impl AsFd, number: RawFd) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_fd().as_raw_fd(), number, 0) })
}

pub fn pidfd_send_signal(pidfd: impl AsFd, signal: i32) -> Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed: the kernel fills in what kill(2) would.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, info, 0) })
}

pub fn kill(pid: pid_t, signal: i32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, signal) }.into())
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(i32),
}

impl Exit {
    /// What a shell shows: the code, or 128 + the signal.
    pub fn shell_code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => (128 + signal) as u8,
        }
    }
}

/// Waits until the child ends, and reaps it.
pub fn wait(pid: pid_t) -> Result<Exit> {
    wait_with(pid, 0).map(|exit| exit.unwrap_or(Exit::Code(0)))
}

/// Reaps the child if it has ended.
pub fn try_wait(pid: pid_t) -> Result<Option<Exit>> {
    wait_with(pid, libc::WNOHANG)
}

fn wait_with(pid: pid_t, flags: i32) -> Result<Option<Exit>> {
    let mut status = 0;
    loop {
        // SAFETY: status is a valid place for the answer. __WALL: a child made with CLONE_PARENT has no exit signal.
        match check(unsafe { libc::waitpid(pid, &raw mut status, flags | libc::__WALL) }.into()) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    if libc::WIFEXITED(status) {
        return Ok(Some(Exit::Code(libc::WEXITSTATUS(status) as u8)));
    }
    Ok(libc::WIFSIGNALED(status).then(|| Exit::Signal(libc::WTERMSIG(status))))
}

/// Reaps any child that has ended: its pid.
pub fn reap_any() -> Option<(pid_t, Exit)> {
    let mut status = 0;
    // SAFETY: status is a valid place for the answer.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
    if pid <= 0 {
        return None;
    }
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status) as u8)
    };
    Some((pid, exit))
}

/// Strings for execve: an array of pointers, null at the end.
#[derive(Debug)]
pub struct Strings {
    strings: Vec<CString>,
}

impl Strings {
    pub fn new(strings: Vec<CString>) -> Self {
        Strings { strings }
    }

    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.strings.iter().map(CString::as_c_str)
    }

    pub fn push(&mut self, string: CString) {
        self.strings.push(string);
    }

    fn pointers(&self) -> Vec<*const libc::c_char> {
        self.strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    }
}

/// Becomes the program at `path`; returns only on failure.
pub fn execve(path: &CStr, args: &Strings, env: &Strings) -> Errno {
    let (args, env) = (args.pointers(), env.pointers());
    // SAFETY: both arrays end with a null pointer and point to C strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Errno::last()
}

/// Becomes the program that `fd` refers to; returns only on failure.
pub fn execveat(fd: impl AsFd, args: &Strings, env: &Strings) -> Errno {
    let (args, env) = (args.pointers(), env.pointers());
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: both arrays end with a null pointer and point to C strings that outlive the call.
    unsafe {
        libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), args.as_ptr(), env.as_ptr(), libc::AT_EMPTY_PATH);
    }
    Errno::last()
}

/// Ends this process at once: no destructors, no buffers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: nothing runs after it.
    unsafe { libc::_exit(code) }
}

/// Default disposition for every signal, and none blocked: what a program expects to be born with. Ignored signals would
/// survive execve, SIGPIPE among them, which Rust's start-up ignores.
pub fn reset_signals() -> Result<()> {
    // SAFETY: a zeroed sigaction is SIG_DFL without flags.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    for signal in 1..=64 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            // The C library keeps two or three signals for itself and refuses them; they are at their defaults.
            // SAFETY: default is a valid sigaction; we want no old one.
            unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
        }
    }
    set_signal_mask(&Signals::none())
}

#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl Signals {
    pub fn none() -> Self {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set.
        Signals(unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            set.assume_init()
        })
    }

    pub fn all() -> Self {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the set.
        Signals(unsafe {
            libc::sigfillset(set.as_mut_ptr());
            set.assume_init()
        })
    }
}

/// Blocks exactly `signals`.
pub fn set_signal_mask(signals: &Signals) -> Result<()> {
    // SAFETY: the set is initialised; we want no old one.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const signals.0, std::ptr::null_mut()) }.into())
}

/// A descriptor from which blocked signals are read.
pub fn signalfd(signals: &Signals) -> Result<OwnedFd> {
    // SAFETY: the set is initialised.
    owned(unsafe { libc::signalfd(-1, &raw const signals.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) }.into())
}

/// The next signal waiting at a signalfd.
pub fn read_signal(signalfd: impl AsFd) -> Option<i32> {
    let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
    match nix::unistd::read(signalfd, &mut buffer) {
        Ok(count) if count == buffer.len() => Some(i32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]])),
        _ => None,
    }
}

/// Waits until one of the descriptors is readable or hung up; which ones are. `timeout` in milliseconds, -1 for ever.
pub fn poll<const N: usize>(fds: [Option<BorrowedFd>; N], timeout: i32) -> Result<[bool; N]> {
    let mut polls =
        fds.map(|fd| libc::pollfd { fd: fd.map_or(-1, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 });
    // SAFETY: polls is an array of N pollfds.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, timeout) }.into()) {
        Err(Errno::EINTR) | Ok(()) => Ok(polls.map(|poll| poll.revents != 0)),
        Err(error) => Err(error),
    }
}

pub fn set_child_subreaper() -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

pub fn set_no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, on.into())
}

pub(super) fn prctl(option: i32, argument: libc::c_ulong) -> Result<()> {
    // SAFETY: these options take numbers; the unused arguments must be zero.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) }.into())
}

pub fn prlimit(pid: pid_t, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: limit is a valid rlimit64; we want no old one.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, std::ptr::null_mut::<u8>()) })
}

/// Gives the process a session keyring of its own.
pub fn join_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: name is a C string.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) })
}
