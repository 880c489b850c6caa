//! bpf(2): programs that decide about devices, for cgroups of version 2 (linux/bpf.h).

use super::fd::{check, owned};
use super::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `struct bpf_insn`
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    /// The target in the low four bits, the source in the high ones.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

/// target = the 32-bit word at [source + offset]
pub const LDX_MEM_W: u8 = 0x61;
pub const ALU64_MOV_X: u8 = 0xbf;
pub const ALU64_MOV_K: u8 = 0xb7;
pub const ALU64_AND_K: u8 = 0x57;
pub const ALU64_RSH_K: u8 = 0x77;
pub const JMP_JA: u8 = 0x05;
pub const JMP_JSET_K: u8 = 0x45;
/// Compares 32 bits. KERNEL(5.1)
pub const JMP32_JNE_K: u8 = 0x56;
pub const EXIT: u8 = 0x95;

/// `struct bpf_cgroup_dev_ctx`: the type in the low half of the first word, the access in the high one.
pub const DEVICE_ACCESS_TYPE: i16 = 0;
pub const DEVICE_MAJOR: i16 = 4;
pub const DEVICE_MINOR: i16 = 8;
pub const DEVCG_DEV_BLOCK: i32 = 1;
pub const DEVCG_DEV_CHAR: i32 = 2;
pub const DEVCG_ACC_MKNOD: u8 = 1;
pub const DEVCG_ACC_READ: u8 = 2;
pub const DEVCG_ACC_WRITE: u8 = 4;

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const PROG_QUERY: libc::c_long = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const F_ALLOW_MULTI: u32 = 1 << 1;
const F_REPLACE: u32 = 1 << 2;
/// The kernel attaches no more to one cgroup (BPF_CGROUP_MAX_PROGS).
const ATTACHED_MAX: usize = 64;
/// `struct bpf_prog_info` up to the name and including it, and where the name is.
const INFO_LEN: usize = 80;
const INFO_NAME: usize = 64;

/// `union bpf_attr` for PROG_LOAD, up to the name.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// For PROG_ATTACH and PROG_DETACH.
#[repr(C)]
struct Attach {
    target_fd: i32,
    attach_bpf_fd: i32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: i32,
}

#[repr(C)]
struct Query {
    target_fd: i32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
struct Info {
    bpf_fd: i32,
    info_len: u32,
    info: u64,
}

/// Loads a program that answers 1 to allow and 0 to deny. `name`: at most 15 letters, digits and underscores.
/// KERNEL(5.11): before it, the memory counts against RLIMIT_MEMLOCK.
pub fn load_device_program(program: &[Instruction], name: &CStr) -> Result<OwnedFd> {
    let mut prog_name = [0; 16];
    let bytes = name.to_bytes();
    prog_name.get_mut(..bytes.len()).filter(|room| room.len() < 16).ok_or(Errno::EINVAL)?.copy_from_slice(bytes);
    let mut load = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        insns: program.as_ptr() as u64,
        // What calls no helper function may have any licence.
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name,
    };
    // SAFETY: insns points to insn_cnt instructions and license to a C string, both outlive the call; without a log the
    // kernel writes nothing.
    owned(unsafe { bpf(PROG_LOAD, &raw mut load) })
}

/// Adds a program to those of the cgroup; in the place of `replaced`, which is one of them, at one stroke.
pub fn attach_device_program(cgroup: BorrowedFd, program: BorrowedFd, replaced: Option<BorrowedFd>) -> Result<()> {
    let mut attach = Attach {
        target_fd: cgroup.as_raw_fd(),
        attach_bpf_fd: program.as_raw_fd(),
        attach_type: CGROUP_DEVICE,
        attach_flags: F_ALLOW_MULTI | if replaced.is_some() { F_REPLACE } else { 0 },
        replace_bpf_fd: replaced.map_or(0, |fd| fd.as_raw_fd()),
    };
    // SAFETY: plain numbers.
    check(unsafe { bpf(PROG_ATTACH, &raw mut attach) })
}

pub fn detach_device_program(cgroup: BorrowedFd, program: BorrowedFd) -> Result<()> {
    let mut attach = Attach {
        target_fd: cgroup.as_raw_fd(),
        attach_bpf_fd: program.as_raw_fd(),
        attach_type: CGROUP_DEVICE,
        attach_flags: 0,
        replace_bpf_fd: 0,
    };
    // SAFETY: plain numbers.
    check(unsafe { bpf(PROG_DETACH, &raw mut attach) })
}

/// The programs about devices that this very cgroup has.
pub fn device_programs(cgroup: BorrowedFd) -> Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; ATTACHED_MAX];
    let mut query = Query {
        target_fd: cgroup.as_raw_fd(),
        attach_type: CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ATTACHED_MAX as u32,
        padding: 0,
    };
    // SAFETY: prog_ids points to prog_cnt numbers, which the kernel writes; both outlive the call.
    check(unsafe { bpf(PROG_QUERY, &raw mut query) })?;
    let mut programs = Vec::new();
    for id in ids.iter().take(query.prog_cnt as usize) {
        let mut id = [*id, 0, 0];
        // SAFETY: plain numbers: the id, the next id (unused), the flags.
        match owned(unsafe { bpf(PROG_GET_FD_BY_ID, &raw mut id) }) {
            Ok(program) => programs.push(program),
            Err(Errno::ENOENT) => {} // Detached meanwhile.
            Err(error) => return Err(error),
        }
    }
    Ok(programs)
}

/// Whether the program was loaded with this name.
pub fn is_named(program: impl AsFd, name: &CStr) -> Result<bool> {
    let mut answer = [0_u8; INFO_LEN];
    let mut info =
        Info { bpf_fd: program.as_fd().as_raw_fd(), info_len: INFO_LEN as u32, info: answer.as_mut_ptr() as u64 };
    // SAFETY: info points to info_len bytes, which the kernel writes; all are zero before, so it writes to no buffer of
    // the inner pointers. Both outlive the call.
    check(unsafe { bpf(OBJ_GET_INFO_BY_FD, &raw mut info) })?;
    Ok(CStr::from_bytes_until_nul(&answer[INFO_NAME..]).is_ok_and(|found| found == name))
}

/// # Safety
/// `attributes` must be what the command wants, and its pointers valid.
unsafe fn bpf<T>(command: libc::c_long, attributes: *mut T) -> libc::c_long {
    // SAFETY: the kernel takes attributes shorter than its own union; the rest is as the caller says.
    unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: i32) -> Vec<Instruction> {
        let instruction = |code, immediate| Instruction { code, registers: 0, offset: 0, immediate };
        vec![instruction(ALU64_MOV_K, value), instruction(EXIT, 0)]
    }

    #[test]
    fn a_program_keeps_its_name() {
        match load_device_program(&answer(1), c"tart") {
            Ok(program) => {
                assert_eq!(is_named(&program, c"tart"), Ok(true));
                assert_eq!(is_named(&program, c"cake"), Ok(false));
            }
            Err(Errno::EPERM) => eprintln!("SKIPPED: needs CAP_BPF and CAP_NET_ADMIN"),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(load_device_program(&answer(1), c"a-name").map(drop).unwrap_err(), Errno::EINVAL);
        assert_eq!(load_device_program(&answer(1), c"sixteen_letters_").map(drop).unwrap_err(), Errno::EINVAL);
    }

    #[test]
    fn the_kernel_checks_a_program() {
        if nix::unistd::geteuid().is_root() {
            assert_eq!(load_device_program(&answer(1)[..1], c"").map(drop).unwrap_err(), Errno::EINVAL);
        }
    }
}
