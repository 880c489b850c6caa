//! landlock(7): what a thread may do to files and sockets, given up for good. It is the thread's alone.

use super::fd::{check, owned};
use super::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// linux/landlock.h
pub const READ_FILE: u64 = 1 << 2;
pub const READ_DIR: u64 = 1 << 3;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// Rights by the version of the interface that brought them.
const FS_1: u64 = (1 << 13) - 1;
const FS_REFER: u64 = 1 << 13;
const FS_TRUNCATE: u64 = 1 << 14;
const FS_IOCTL_DEV: u64 = 1 << 15;
const NET_BIND_TCP: u64 = 1;
const NET_CONNECT_TCP: u64 = 1 << 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 1 << 1;

/// `struct landlock_ruleset_attr`
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// Everything that the kernel can take away, taken away.
#[derive(Debug)]
pub struct Rules {
    ruleset: OwnedFd,
    /// The rights on files that it knows.
    pub files: u64,
}

/// The version of the interface that the kernel has; ENOSYS and EOPNOTSUPP: none.
pub fn version() -> Result<i64> {
    let none = std::ptr::null::<Ruleset>();
    // SAFETY: with this flag the kernel reads nothing.
    Errno::result(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, CREATE_RULESET_VERSION) })
}

impl Rules {
    /// landlock_create_ruleset(2), for a kernel of this version, which must be 2 or later: before it nobody could link
    /// or rename from one directory into another.
    pub fn new(version: i64) -> Result<Rules> {
        let since = |first: i64, rights: u64| if version >= first { rights } else { 0 };
        let files = FS_1 | FS_REFER | since(3, FS_TRUNCATE) | since(5, FS_IOCTL_DEV);
        let attributes = Ruleset {
            handled_access_fs: files,
            handled_access_net: since(4, NET_BIND_TCP | NET_CONNECT_TCP),
            scoped: since(6, SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL),
        };
        let size = size_of::<Ruleset>();
        // SAFETY: the kernel reads `size` bytes of the structure.
        let ruleset =
            owned(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0) })?;
        Ok(Rules { ruleset, files })
    }

    /// landlock_add_rule(2): these rights stay, in the directory and all below it.
    pub fn allow_below(&self, directory: BorrowedFd, rights: u64) -> Result<()> {
        /// `struct landlock_path_beneath_attr`
        #[repr(C, packed)]
        struct PathBeneath {
            allowed_access: u64,
            parent_fd: i32,
        }
        let rule = PathBeneath { allowed_access: rights, parent_fd: directory.as_raw_fd() };
        let ruleset = self.ruleset.as_raw_fd();
        // SAFETY: the kernel reads one structure.
        check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const rule, 0) })
    }

    /// landlock_restrict_self(2). Without privileges it asks for no_new_privs.
    pub fn restrict_thread(&self) -> Result<()> {
        // SAFETY: no pointers.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.ruleset.as_raw_fd(), 0) })
    }
}
