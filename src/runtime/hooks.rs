//! Running a hook (runtime-spec, config.md, "POSIX-platform Hooks"): in the parent and in the child alike.

use super::log::Log;
use super::record::{State, Status};
use super::spec::Hook;
use crate::error::{Context, Error};
use crate::sys::process::{self, Exit, Strings};
use crate::sys::{Errno, Result, fd};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// The same whoever runs the hook: init's own is 0.
const UMASK: u32 = 0o022;

/// Of what a hook says when it fails, so much is repeated.
const OUTPUT_MAX: usize = 4096;

/// How a hook ended.
#[derive(Debug)]
pub enum End {
    Exit(Exit),
    /// Killed after its timeout.
    Timeout,
    /// It could not be started.
    NotStarted(Errno),
}

impl End {
    pub fn is_good(&self) -> bool {
        matches!(self, End::Exit(Exit::Code(0)))
    }
}

/// The end of a hook, and the file in memory that has what it wrote to its standard output and error.
pub fn run(hook: &Hook, state: &[u8], inherited_env: Option<&Strings>) -> Result<(End, OwnedFd)> {
    let input = fd::memory_file(c"state", false)?;
    fd::write_all(&input, state)?;
    fd::rewind(&input)?;
    let output = fd::memory_file(c"output", false)?;
    let strings = |list: &[String]| list.iter().map(|s| CString::new(s.as_str()).map_err(|_| Errno::EINVAL)).collect();
    let path = CString::new(hook.path.as_str()).map_err(|_| Errno::EINVAL)?;
    let args: Result<Vec<CString>> = match hook.args.as_deref() {
        None | Some([]) => Ok(vec![path.clone()]),
        Some(args) => strings(args),
    };
    let args = Strings::new(args?);
    let env: Result<Vec<CString>> = strings(hook.env.as_deref().unwrap_or_default());
    let env = Strings::new(env?);
    let env = if hook.env.is_some() { &env } else { inherited_env.unwrap_or(&env) };
    let (failure, theirs) = crate::sys::socket::seqpacket_pair()?;
    match process::clone3(0, None)? {
        process::Clone::Child => {
            let errno = become_hook(&path, &args, env, &input, &output);
            let _ = crate::sys::socket::send(theirs.as_fd(), &(errno as i32).to_ne_bytes(), &[]);
            process::exit_now(127)
        }
        process::Clone::Parent { pid, pidfd } => {
            drop(theirs);
            let mut bytes = [0; 4];
            // Nothing, for exec closed it: the hook runs.
            if let Ok((4, _)) = crate::sys::socket::receive(failure.as_fd(), &mut bytes) {
                process::wait(pid)?;
                return Ok((End::NotStarted(Errno::from_raw(i32::from_ne_bytes(bytes))), output));
            }
            let limit = hook.timeout.map_or(-1, |seconds| seconds.saturating_mul(1000).try_into().unwrap_or(i32::MAX));
            let done = process::wait_until_exit(pidfd.as_fd(), limit)?;
            if !done {
                process::pidfd_send_signal(&pidfd, process::SIGKILL)?;
            }
            let exit = process::wait(pid)?;
            Ok((if done { End::Exit(exit) } else { End::Timeout }, output))
        }
    }
}

fn become_hook(path: &CString, args: &Strings, env: &Strings, input: &OwnedFd, output: &OwnedFd) -> Errno {
    let ready = fd::dup_onto(input, 0)
        .and_then(|()| fd::dup_onto(output, 1))
        .and_then(|()| fd::dup_onto(output, 2))
        .and_then(|()| fd::close_range_cloexec(3))
        .and_then(|()| process::reset_signals());
    crate::sys::tree::umask(UMASK);
    match ready {
        Ok(()) => process::execve(path, args, env, None),
        Err(errno) => errno,
    }
}

/// Runs the hooks of one kind in the runtime's namespaces, up to the first that fails.
pub fn run_all(kind: &str, hooks: &Option<Vec<Hook>>, state: &State, status: Status, log: &Log) -> Result<(), Error> {
    let Some(hooks) = hooks.as_deref().filter(|hooks| !hooks.is_empty()) else { return Ok(()) };
    let text = serde_json::to_vec(&state.for_others(status))?;
    hooks.iter().enumerate().try_for_each(|(index, hook)| run_one(kind, index, hook, &text, log))
}

/// poststop (runtime.md, Lifecycle, step 13): a hook that fails is worth a warning, and the next one runs.
pub fn run_poststop(hooks: &Option<Vec<Hook>>, state: &State, log: &Log) -> Result<(), Error> {
    let Some(hooks) = hooks.as_deref().filter(|hooks| !hooks.is_empty()) else { return Ok(()) };
    let text = serde_json::to_vec(&state.for_others(Status::Stopped))?;
    for (index, hook) in hooks.iter().enumerate() {
        if let Err(error) = run_one("poststop", index, hook, &text, log) {
            log.warn(&error.to_string());
        }
    }
    Ok(())
}

fn run_one(kind: &str, index: usize, hook: &Hook, state: &[u8], log: &Log) -> Result<(), Error> {
    let place = || format!("hooks.{kind}[{index}]: {}", hook.path);
    let (end, output) = run(hook, state, None).with(place)?;
    log.debug(&format!("{}: {end:?}", place()));
    let why = match end {
        End::Exit(Exit::Code(0)) => return Ok(()),
        End::Exit(Exit::Code(code)) => format!("exit status {code}"),
        End::Exit(Exit::Signal(signal)) => format!("ended by signal {signal}"),
        End::Timeout => format!("not done in {} s", hook.timeout.unwrap_or_default()),
        End::NotStarted(errno) => crate::error::errno_text(errno),
    };
    let said = fd::rewind(&output).and_then(|()| fd::read_up_to(&output, OUTPUT_MAX)).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
    let said = if said.is_empty() { String::new() } else { format!(" (it said: {said})") };
    Err(Error::new(format!("{}: {why}{said}", place())))
}
