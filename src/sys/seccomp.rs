//! seccomp(2), and the numbers of its filters (linux/filter.h, linux/seccomp.h, linux/audit.h).

use super::{Errno, Result};
use std::os::fd::{FromRawFd, OwnedFd};

/// Numbers of system calls that only touch descriptors, memory, and files below a descriptor (syscalls(2)).
pub mod numbers {
    pub use libc::{
        SYS_brk, SYS_close, SYS_copy_file_range, SYS_exit, SYS_exit_group, SYS_fallocate, SYS_fchmod, SYS_fchmodat,
        SYS_fchmodat2, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fgetxattr, SYS_flistxattr, SYS_fremovexattr,
        SYS_fsetxattr, SYS_fstat, SYS_ftruncate, SYS_futex, SYS_getdents64, SYS_getegid, SYS_geteuid, SYS_getpid,
        SYS_getrandom, SYS_gettid, SYS_lgetxattr, SYS_linkat, SYS_listxattr, SYS_llistxattr, SYS_lremovexattr,
        SYS_lseek, SYS_lsetxattr, SYS_madvise, SYS_mkdirat, SYS_mknodat, SYS_mmap, SYS_mprotect, SYS_mremap,
        SYS_munmap, SYS_newfstatat, SYS_openat, SYS_openat2, SYS_pread64, SYS_pwrite64, SYS_read, SYS_readlinkat,
        SYS_renameat2, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_yield, SYS_sigaltstack,
        SYS_statx, SYS_symlinkat, SYS_tgkill, SYS_umask, SYS_unlinkat, SYS_utimensat, SYS_write, SYS_writev,
    };
}

/// `struct sock_filter`: one instruction of classic BPF.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SockFilter {
    pub code: u16,
    /// How many instructions to skip when the condition holds, and when it does not.
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A = the 32-bit word at offset k of `struct seccomp_data`.
pub const BPF_LD_W_ABS: u16 = 0x20;
pub const BPF_ALU_AND_K: u16 = 0x54;
/// Skips k instructions.
pub const BPF_JMP_JA: u16 = 0x05;
pub const BPF_JMP_JEQ_K: u16 = 0x15;
pub const BPF_JMP_JGT_K: u16 = 0x25;
pub const BPF_JMP_JGE_K: u16 = 0x35;
pub const BPF_RET_K: u16 = 0x06;
/// The kernel takes no longer program.
pub const BPF_MAXINSNS: usize = 4096;

/// Offsets in `struct seccomp_data`.
pub const DATA_NR: u32 = 0;
pub const DATA_ARCH: u32 = 4;
/// Argument n is the 64-bit word at DATA_ARGS + 8n.
pub const DATA_ARGS: u32 = 16;

/// What a filter returns; the low 16 bits are data for ERRNO and TRACE.
pub const RET_KILL_PROCESS: u32 = 0x8000_0000;
pub const RET_KILL_THREAD: u32 = 0;
pub const RET_TRAP: u32 = 0x0003_0000;
pub const RET_ERRNO: u32 = 0x0005_0000;
pub const RET_USER_NOTIF: u32 = 0x7fc0_0000;
pub const RET_TRACE: u32 = 0x7ff0_0000;
pub const RET_LOG: u32 = 0x7ffc_0000;
pub const RET_ALLOW: u32 = 0x7fff_0000;
/// The part of the return value that is not data.
pub const RET_ACTION_FULL: u32 = 0xffff_0000;
/// The kernel cuts a greater errno of a filter down to this.
pub const MAX_ERRNO: u32 = 4095;

pub const FLAG_LOG: u32 = 1 << 1;
pub const FLAG_SPEC_ALLOW: u32 = 1 << 2;
pub const FLAG_NEW_LISTENER: u32 = 1 << 3;
/// KERNEL(5.19): only together with FLAG_NEW_LISTENER.
pub const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

pub const AUDIT_ARCH_I386: u32 = 0x4000_0003;
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
pub const AUDIT_ARCH_ARM: u32 = 0x4000_0028;
pub const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
/// A system call of the x32 ABI is one of x86_64 with this bit in its number.
pub const X32_SYSCALL_BIT: u32 = 0x4000_0000;

pub const ENOSYS: u32 = libc::ENOSYS as u32;
pub const EPERM: u32 = libc::EPERM as u32;

/// seccomp(2) SECCOMP_SET_MODE_FILTER: adds `program` to the filters of the calling thread, for good. Needs
/// no_new_privs or CAP_SYS_ADMIN in the caller's user namespace. Gives the listener (close-on-exec) if `flags` has
/// FLAG_NEW_LISTENER.
pub fn set_mode_filter(program: &[SockFilter], flags: u32) -> Result<Option<OwnedFd>> {
    /// `struct sock_fprog`
    #[repr(C)]
    struct Program {
        len: libc::c_ushort,
        filter: *const SockFilter,
    }
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let argument = Program { len, filter: program.as_ptr() };
    // SAFETY: the kernel reads `len` instructions at `filter`, both from one slice that outlives the call, and writes
    // nothing.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const argument) };
    let result = Errno::result(result)?;
    if flags & FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    let fd = i32::try_from(result).map_err(|_| Errno::EBADF)?;
    // SAFETY: with NEW_LISTENER the result is a descriptor that the kernel has just made, owned by nobody else.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// seccomp(2) SECCOMP_GET_ACTION_AVAIL: whether the kernel knows the action of this return value.
pub fn action_available(ret: u32) -> Result<bool> {
    // SAFETY: the kernel reads one u32, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const ret) };
    match Errno::result(result) {
        Ok(_) => Ok(true),
        Err(Errno::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the kernel knows all of these filter flags. It looks at the flags before the program: with none given, EFAULT
/// says that the flags are good, EINVAL that they are not.
pub fn flags_available(flags: u32) -> Result<bool> {
    let nothing = std::ptr::null::<u8>();
    // SAFETY: a null program is refused with EFAULT; nothing is read, and no filter is ever set.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, nothing) };
    match Errno::result(result) {
        Err(Errno::EFAULT) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests;
