//! `criu swrk`: CRIU as our child, that takes requests over a socket and says, on the way, how far it is.

use super::message::{self, Kind, Options, Response};
use crate::bail;
use crate::error::{Context, Error, Result, errno_text};
use crate::sys::process::{self, Exit, Strings, pid_t};
use crate::sys::{Errno, OFlag, fd, socket};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// The end of the socket in CRIU; what it inherits beside that comes behind.
const SOCKET: i32 = 3;
/// A response has a text of its own length, and no more.
const RESPONSE_MAX: usize = 64 << 10;

/// What CRIU starts with.
#[derive(Debug, Default)]
pub struct Start {
    /// The standard descriptors are those that restored processes get; otherwise it has none of ours.
    pub stdio: bool,
    /// Its descriptors from 4 on.
    pub inherited: Vec<OwnedFd>,
    /// A session keyring that restored processes have instead of our caller's.
    pub keyring: Option<CString>,
}

/// The number that `Start::inherited[index]` has in CRIU.
pub fn inherited_number(index: usize) -> i32 {
    SOCKET + 1 + index as i32
}

#[derive(Debug)]
pub struct Criu {
    pub pid: pid_t,
    pidfd: OwnedFd,
    socket: OwnedFd,
    reaped: bool,
}

/// One thing that CRIU says while it works.
#[derive(Debug)]
pub struct Notice {
    pub script: String,
    pub pid: pid_t,
    pub descriptor: Option<OwnedFd>,
}

impl Criu {
    pub fn start(start: &Start) -> Result<Criu> {
        let program = find()?;
        let (ours, theirs) = socket::seqpacket_pair().context("make a socket pair")?;
        let (failure, told) = socket::seqpacket_pair().context("make a socket pair")?;
        let args = Strings::new(vec![c"criu".to_owned(), c"swrk".to_owned(), c"3".to_owned()]);
        let env = std::env::vars_os().map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
        let env = Strings::new(env.filter_map(|variable| CString::new(variable).ok()).collect());
        match process::clone3(0, None).context("clone")? {
            process::Clone::Child => {
                // Above the numbers that are about to be taken.
                if let Ok(told) = above(&told, start) {
                    let errno = match prepare(start, &theirs) {
                        Ok(()) => process::execve(&program, &args, &env, None),
                        Err(errno) => errno,
                    };
                    let _ = socket::send(told.as_fd(), &(errno as i32).to_ne_bytes(), &[]);
                }
                process::exit_now(127)
            }
            process::Clone::Parent { pid, pidfd } => {
                drop((theirs, told));
                let criu = Criu { pid, pidfd, socket: ours, reaped: false };
                let mut bytes = [0; 4];
                // Nothing, for exec closed it: it runs.
                if let Ok((4, _)) = socket::receive(failure.as_fd(), &mut bytes) {
                    let errno = Errno::from_raw(i32::from_ne_bytes(bytes));
                    bail!("start {}: {}", program.to_string_lossy(), errno_text(errno));
                }
                Ok(criu)
            }
        }
    }

    /// Makes a request and serves CRIU until it has answered. `notice` may refuse to let it go on; `explain` knows more of
    /// CRIU's own failures.
    pub fn call(
        &mut self,
        kind: Kind,
        options: &Options,
        explain: impl Fn(Error) -> Error,
        mut notice: impl FnMut(Notice) -> Result<()>,
    ) -> Result<Response> {
        self.send(&message::request(kind, Some(options)))?;
        loop {
            let (response, descriptor) = self.receive().map_err(&explain)?;
            if response.kind != Kind::Notify as u64 {
                self.check(&response).map_err(&explain)?;
                return Ok(response);
            }
            let said = Notice { script: response.script, pid: response.pid, descriptor };
            let heard = notice(said);
            self.send(&message::notified(heard.is_ok()))?;
            heard?;
        }
    }

    /// Waits for its end. After a pre-dump it would wait for the dump, which another will make.
    pub fn finish(mut self, kind: Kind) -> Result<()> {
        nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Write)
            .context("end the talk with criu")?;
        self.reaped = true;
        match process::wait(self.pid).context("wait for criu")? {
            Exit::Code(0) => Ok(()),
            _ if kind == Kind::PreDump => Ok(()),
            Exit::Code(code) => bail!("criu ended with exit status {code}"),
            Exit::Signal(signal) => bail!("criu was ended by signal {signal}"),
        }
    }

    fn check(&self, response: &Response) -> Result<()> {
        if response.success {
            return Ok(());
        }
        let error = Error::new("criu refuses");
        Err(if response.errno == 0 { error } else { error.context(errno_text(Errno::from_raw(response.errno))) })
    }

    fn send(&self, message: &[u8]) -> Result<()> {
        socket::send(self.socket.as_fd(), message, &[]).context("talk to criu")
    }

    fn receive(&self) -> Result<(Response, Option<OwnedFd>)> {
        let mut buffer = vec![0; RESPONSE_MAX];
        let (count, descriptor) = socket::receive(self.socket.as_fd(), &mut buffer).context("listen to criu")?;
        if count == 0 {
            bail!("criu has gone without an answer");
        }
        let response = message::response(buffer.get(..count).unwrap_or_default()).context("listen to criu")?;
        Ok((response, descriptor))
    }
}

impl Drop for Criu {
    fn drop(&mut self) {
        if !self.reaped {
            // What it has frozen or half restored it puts right when its peer goes; by force that would stay.
            let _ = nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Both);
            let _ = process::wait_until_exit(self.pidfd.as_fd(), -1);
            let _ = process::wait(self.pid);
        }
    }
}

/// What criu there is can do.
pub fn features() -> Result<Response> {
    ask(&message::feature_check())
}

pub fn version() -> Result<u64> {
    ask(&message::request(Kind::Version, None)).map(|response| response.version)
}

fn ask(request: &[u8]) -> Result<Response> {
    let criu = Criu::start(&Start::default())?;
    criu.send(request)?;
    let (response, _) = criu.receive()?;
    criu.check(&response)?;
    Ok(response)
}

/// In the PATH, as runc looks for it.
fn find() -> Result<CString> {
    let path = std::env::var_os("PATH").map(OsStringExt::into_vec).unwrap_or_default();
    for directory in path.split(|byte| *byte == b':').filter(|directory| directory.starts_with(b"/")) {
        let Ok(program) = CString::new([directory, b"/criu"].concat()) else { continue };
        if nix::unistd::access(program.as_c_str(), nix::unistd::AccessFlags::X_OK).is_ok() {
            return Ok(program);
        }
    }
    bail!("criu is not installed (there is none in PATH)")
}

fn prepare(start: &Start, theirs: &OwnedFd) -> crate::sys::Result<()> {
    process::reset_signals()?;
    if let Some(name) = &start.keyring {
        match process::join_session_keyring(name) {
            Ok(()) | Err(Errno::ENOSYS | Errno::EPERM) => {}
            other => other?,
        }
    }
    let mut moved = vec![above(theirs, start)?];
    for fd in &start.inherited {
        moved.push(above(fd, start)?);
    }
    if !start.stdio {
        let null = fd::open(c"/dev/null", OFlag::O_RDWR)?;
        for number in 0..SOCKET {
            fd::dup_onto(&null, number)?;
        }
    }
    fd::close_range_cloexec(SOCKET as u32)?;
    for (number, fd) in (SOCKET..).zip(&moved) {
        fd::dup_onto(fd, number)?;
    }
    Ok(())
}

fn above(fd: &OwnedFd, start: &Start) -> crate::sys::Result<OwnedFd> {
    let last = inherited_number(start.inherited.len());
    let number = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(last))?;
    fd::borrow(number)?.try_clone_to_owned().map_err(|_| Errno::EMFILE)
}
