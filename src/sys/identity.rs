//! Who a process is: users, groups, capabilities.
//!
//! The raw system calls, not the C library's wrappers: those signal every other thread of the process, and the child of a
//! clone has none.

use super::Result;
use super::fd::check;
use super::process::prctl;

pub fn setresuid(uid: u32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

pub fn setresgid(gid: u32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })
}

pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: the pointer and the length are the slice's.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

/// Keeps the permitted capabilities over the change of user that follows.
pub fn set_keep_capabilities(on: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, on.into())
}

pub fn drop_bounding(capability: u8) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into())
}

/// Whether the bounding set has the capability; EINVAL where the kernel does not know it.
pub fn has_bounding(capability: u8) -> Result<bool> {
    // SAFETY: the option takes a number.
    let answer = unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(capability), 0, 0, 0) };
    check(answer.into())?;
    Ok(answer == 1)
}

pub fn clear_ambient() -> Result<()> {
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0)
}

pub fn raise_ambient(capability: u8) -> Result<()> {
    ambient(libc::PR_CAP_AMBIENT_RAISE, capability)
}

fn ambient(action: i32, capability: u8) -> Result<()> {
    // SAFETY: the option takes numbers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, action, libc::c_ulong::from(capability), 0, 0) }.into())
}

/// The three sets of capset(2), a bit per capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// _LINUX_CAPABILITY_VERSION_3
const VERSION: u32 = 0x2008_0522;

pub fn capset(sets: Capabilities) -> Result<()> {
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let (header, data) = (Header { version: VERSION, pid: 0 }, [half(0), half(32)]);
    // SAFETY: the header and the two halves have the layout of version 3.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
}

pub fn capget() -> Result<Capabilities> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: the header and the two halves have the layout of version 3.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Capabilities {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

pub fn effective_gid() -> u32 {
    nix::unistd::getegid().as_raw()
}
