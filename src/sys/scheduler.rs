//! How the kernel schedules a process and places its memory.

use super::Result;
use super::fd::check;
use super::process::pid_t;

/// `struct sched_attr` of sched_setattr(2).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheduler {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    /// Nanoseconds, for SCHED_DEADLINE, as the next two.
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

pub fn set_scheduler(scheduler: &Scheduler) -> Result<()> {
    let attr = Scheduler { size: size_of::<Scheduler>() as u32, ..*scheduler };
    // SAFETY: attr has the layout of the first version of sched_attr, and says its size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) })
}

/// ioprio_set(2) for the calling process: class << 13 | priority.
pub fn set_io_priority(value: i32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) })
}

pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_personality, persona) })
}

/// set_mempolicy(2): a bit per node.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    let pointer = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the kernel reads `bits - 1` bits, which the slice has.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) })
}

/// sched_setaffinity(2): a bit per CPU.
pub fn set_affinity(pid: pid_t, cpus: &[u64]) -> Result<()> {
    // SAFETY: the pointer and the length in bytes are the slice's.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, pid, size_of_val(cpus), cpus.as_ptr()) })
}
