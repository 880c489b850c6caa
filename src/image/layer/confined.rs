//! Laying out a layer is the work of a thread that can do nothing else: whatever an archive talks it into, it reaches no
//! file outside of the layer's directory, no network, and no other program.

use crate::error::{Context, Error, Result};
use crate::sys::Errno;
use crate::sys::landlock::{self, Rules};
use crate::sys::process;
use crate::sys::seccomp::numbers::*;
use crate::sys::seccomp::{self, SockFilter};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// What laying out asks of the kernel, and Rust and the C library for it. No call among them makes a socket, a process,
/// a mount, or reaches into another process.
const CALLS: &[i64] = &[
    SYS_brk,
    SYS_close,
    SYS_copy_file_range,
    SYS_exit,
    SYS_exit_group,
    SYS_fallocate,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchmodat2,
    SYS_fchown,
    SYS_fchownat,
    SYS_fcntl,
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_fremovexattr,
    SYS_fsetxattr,
    SYS_fstat,
    SYS_ftruncate,
    SYS_futex,
    SYS_getdents64,
    SYS_getegid,
    SYS_geteuid,
    SYS_getpid,
    SYS_getrandom,
    SYS_gettid,
    SYS_lgetxattr,
    SYS_linkat,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_lremovexattr,
    SYS_lseek,
    SYS_lsetxattr,
    SYS_madvise,
    SYS_mkdirat,
    SYS_mknodat,
    SYS_mmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_munmap,
    SYS_newfstatat,
    SYS_openat,
    SYS_openat2,
    SYS_pread64,
    SYS_pwrite64,
    SYS_read,
    SYS_readlinkat,
    SYS_renameat2,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sched_yield,
    SYS_sigaltstack,
    SYS_statx,
    SYS_symlinkat,
    SYS_tgkill,
    SYS_umask,
    SYS_unlinkat,
    SYS_utimensat,
    SYS_write,
    SYS_writev,
];

/// Runs `work` in a thread that may change what is below `root`, and read the directories of `below`.
pub fn run<T: Send>(root: BorrowedFd, below: &[OwnedFd], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let confine = || -> Result<()> {
                // Landlock and seccomp ask it of who has no privileges; it is this thread's own.
                process::set_no_new_privs()?;
                give_up_files(root, below)?;
                give_up_calls()
            };
            confine().context("confine the thread that lays out the layer")?;
            work()
        });
        working.join().unwrap_or_else(|_| Err(Error::new("layer: the thread that lays it out died")))
    })
}

/// As far as the kernel has the means (KERNEL(5.19), and Landlock among its security modules).
fn give_up_files(root: BorrowedFd, below: &[OwnedFd]) -> Result<()> {
    let version = match landlock::version() {
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP) | Ok(..2) => return Ok(()),
        version => version?,
    };
    let rules = Rules::new(version)?;
    rules.allow_below(root, rules.files)?;
    for directory in below {
        rules.allow_below(directory.as_fd(), landlock::READ_FILE | landlock::READ_DIR)?;
    }
    Ok(rules.restrict_thread()?)
}

/// Other calls are answered as by a kernel that does not have them, for which the C library has another way at times.
fn give_up_calls() -> Result<()> {
    static PROGRAM: OnceLock<Option<Vec<SockFilter>>> = OnceLock::new();
    let Some(program) = PROGRAM.get_or_init(compile) else { return Ok(()) };
    match seccomp::set_mode_filter(program, 0) {
        // A kernel without filters.
        Ok(_) | Err(Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// None for a processor that the compiler does not know.
fn compile() -> Option<Vec<SockFilter>> {
    let rules = CALLS.iter().map(|number| (*number, Vec::new())).collect();
    let missing = SeccompAction::Errno(Errno::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let program: BpfProgram = SeccompFilter::new(rules, missing, SeccompAction::Allow, arch).ok()?.try_into().ok()?;
    Some(program.iter().map(|one| SockFilter { code: one.code, jt: one.jt, jf: one.jf, k: one.k }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::layer::kit::{Scratch, skip};
    use std::fs::{self, File};

    #[test]
    fn nothing_outside_of_the_directory_can_be_changed_or_read() {
        if !landlock::version().is_ok_and(|version| version >= 2) {
            return skip("this kernel has no Landlock of version 2");
        }
        let scratch = Scratch::new();
        let (inside, outside) = (scratch.0.join("inside"), scratch.0.join("sentinel"));
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::create_dir_all(scratch.0.join("below")).unwrap();
        let root: OwnedFd = File::open(&inside).unwrap().into();
        let below = [File::open(scratch.0.join("below")).unwrap().into()];
        let before = scratch.sentinel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refused = run(root.as_fd(), &below, || {
            fs::write(inside.join("a/file"), "made")?;
            fs::hard_link(inside.join("a/file"), inside.join("link"))?;
            fs::read_dir(scratch.0.join("below"))?;
            Ok([
                fs::write(outside.join("file"), "changed").is_err(),
                fs::write(scratch.0.join("below/file"), "made").is_err(),
                fs::read(outside.join("file")).is_err(),
                fs::hard_link(outside.join("file"), inside.join("stolen")).is_err(),
                fs::rename(inside.join("a"), outside.join("a")).is_err(),
                fs::remove_file(outside.join("file")).is_err(),
                std::process::Command::new("/bin/true").spawn().is_err(),
                std::net::TcpStream::connect(address).is_err(),
                std::net::UdpSocket::bind("127.0.0.1:0").is_err(),
            ])
        });
        assert_eq!(refused.unwrap(), [true; 9]);
        assert_eq!(scratch.sentinel(), before);
        // Other threads are as free as before.
        fs::write(outside.join("file"), "untouched").unwrap();
    }
}
