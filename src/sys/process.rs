//! Processes: making them, waiting for them, becoming another program.

use super::fd::{check, owned};
use super::{Errno, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

pub use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS,
    CLONE_PARENT, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGURG, SIGWINCH, pid_t,
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

/// For a name that has to be looked up again, after the mounts have become others.
pub fn chdir(path: &std::path::Path) -> Result<()> {
    nix::unistd::chdir(path)
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

/// Reaps children that have ended, but not `pid`, whose exit code somebody waits for.
pub fn reap_all_but(pid: pid_t) {
    loop {
        // SAFETY: siginfo is plain data; zero is a valid value of each part.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        // SAFETY: info is a valid place for the answer.
        if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) } != 0 {
            return;
        }
        // SAFETY: waitid filled in the variant for children, or left zeros.
        let ended = unsafe { info.si_pid() };
        // The one we keep hides those behind it until it is waited for, which is at once.
        if ended == 0 || ended == pid || wait(ended).is_err() {
            return;
        }
    }
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

    fn pointers(&self, more: Option<&CStr>) -> Vec<*const libc::c_char> {
        self.strings.iter().map(|s| s.as_ptr()).chain(more.map(CStr::as_ptr)).chain([std::ptr::null()]).collect()
    }
}

/// Becomes the program at `path`, with one more string in its environment where given; returns only on failure.
pub fn execve(path: &CStr, args: &Strings, env: &Strings, more_env: Option<&CStr>) -> Errno {
    let (args, env) = (args.pointers(None), env.pointers(more_env));
    // SAFETY: both arrays end with a null pointer and point to C strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Errno::last()
}

/// Becomes the program that `fd` refers to; returns only on failure.
pub fn execveat(fd: impl AsFd, args: &Strings, env: &Strings) -> Errno {
    let (args, env) = (args.pointers(None), env.pointers(None));
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
    for signal in 1..=64 {
        default_signal(signal);
    }
    set_signal_mask(&Signals::none())
}

/// Default disposition for one signal. SIGKILL and SIGSTOP have no other.
pub fn default_signal(signal: i32) {
    // The kernel's structure: handler, flags, restorer, mask; all zeros are SIG_DFL. C libraries keep some signals for
    // themselves and refuse them in their own function.
    let default = [0u64; 4];
    let old = std::ptr::null_mut::<u64>();
    // SAFETY: the kernel reads one sigaction, which is no longer than four words on any 64-bit architecture, and the set
    // has eight bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, 8) };
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

    pub fn of(signals: &[i32]) -> Self {
        let mut set = Signals::none();
        for signal in signals {
            // SAFETY: the set is initialised; a number that is no signal leaves it as it is.
            unsafe { libc::sigaddset(&raw mut set.0, *signal) };
        }
        set
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

/// Blocks every signal: those that were blocked before.
pub fn block_all_signals() -> Result<Signals> {
    let mut before = Signals::none();
    let all = Signals::all();
    // SAFETY: both sets are initialised.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all.0, &raw mut before.0) }.into())?;
    Ok(before)
}

/// Blocks `signals` besides those that are blocked, in this thread and in those that it will make.
pub fn block(signals: &Signals) -> Result<()> {
    // SAFETY: the set is initialised; we want no old one.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const signals.0, std::ptr::null_mut()) }.into())
}

/// Blocks exactly `signals`.
pub fn set_signal_mask(signals: &Signals) -> Result<()> {
    // SAFETY: the set is initialised; we want no old one.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const signals.0, std::ptr::null_mut()) }.into())
}

/// Whether a blocked signal is waiting.
pub fn is_pending(signal: i32) -> bool {
    let mut pending = Signals::none();
    // SAFETY: both calls get an initialised set.
    unsafe { libc::sigpending(&raw mut pending.0) == 0 && libc::sigismember(&raw const pending.0, signal) == 1 }
}

/// A descriptor from which blocked signals are read.
pub fn signalfd(signals: &Signals) -> Result<OwnedFd> {
    // SAFETY: the set is initialised.
    owned(unsafe { libc::signalfd(-1, &raw const signals.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) }.into())
}

/// Whether something can be read from `fd` now.
pub fn is_readable(fd: BorrowedFd) -> Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: poll is one pollfd.
    check(unsafe { libc::poll(&raw mut poll, 1, 0) }.into()).map(|()| poll.revents != 0)
}

/// What the command starts gets every signal, though we block them: std leaves a child our mask.
pub fn unblocked(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: system calls are all that is made between fork and exec.
    unsafe { command.pre_exec(|| reset_signals().map_err(std::io::Error::from)) }
}

/// The next signal waiting at a signalfd.
pub fn read_signal(signalfd: impl AsFd) -> Option<i32> {
    let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
    match nix::unistd::read(signalfd, &mut buffer) {
        Ok(count) if count == buffer.len() => Some(i32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]])),
        _ => None,
    }
}

/// Waits for a moment that nobody announces.
pub fn pause(milliseconds: i32) {
    // SAFETY: no descriptors are given.
    unsafe { libc::poll(std::ptr::null_mut(), 0, milliseconds) };
}

/// Waits until the process of a pidfd has ended: whether it did, in `timeout` milliseconds (-1: for ever).
pub fn wait_until_exit(pidfd: BorrowedFd, timeout: i32) -> Result<bool> {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: poll is one pollfd.
        match check(unsafe { libc::poll(&raw mut poll, 1, timeout) }.into()) {
            // The time starts anew: a caller who lets signals in has patience.
            Err(Errno::EINTR) => {}
            other => return other.map(|()| poll.revents != 0),
        }
    }
}

pub fn set_domainname(name: &CStr) -> Result<()> {
    // SAFETY: the pointer and the length are the string's.
    check(unsafe { libc::setdomainname(name.as_ptr(), name.to_bytes().len()) }.into())
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

/// Of /proc/PID/stat (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// A letter: R, S, D, Z, X, ...
    pub state: u8,
    /// In clock ticks after boot: with the pid, a process's identity.
    pub start_time: u64,
}

impl Stat {
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

pub fn stat(pid: pid_t) -> Result<Stat> {
    let name = CString::new(format!("/proc/{pid}/stat")).map_err(|_| Errno::EINVAL)?;
    let text = super::fd::read_up_to(super::fd::open(&name, nix::fcntl::OFlag::O_RDONLY)?, 4096)?;
    parse_stat(&text).ok_or(Errno::EBADMSG)
}

/// The name of the program is in parentheses and may hold any byte, spaces and parentheses too.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 2;
    let mut fields = text.get(after_name..)?.split(|byte| *byte == b' ');
    let state = *fields.next()?.first()?;
    let start_time = std::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
    Some(Stat { state, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_cannot_confuse_its_stat() {
        let text = b"7 (a) Z 1) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 10";
        assert_eq!(parse_stat(text), Some(Stat { state: b'S', start_time: 4242 }));
        assert!(!stat(std::process::id() as pid_t).unwrap().is_dead());
    }
}
