//! The fence: the only unsafe code of the house. It knows no OCI word; it has one function per system call, named like
//! it, typed, without policy, returning the kernel's errno.

pub mod bpf;
pub mod event;
pub mod fd;
pub mod file;
pub mod heap;
pub mod identity;
pub mod inet;
pub mod kernfs;
pub mod landlock;
pub mod mount;
pub mod netlink;
pub mod overlay;
pub mod poll;
pub mod process;
pub mod root;
pub mod scheduler;
pub mod seccomp;
pub mod session;
pub mod socket;
pub mod tree;
pub mod tty;
pub mod xattr;

pub use nix::errno::Errno;
pub use nix::fcntl::OFlag;
pub use nix::sys::stat::Mode;

/// What a system call of this module gives.
pub type Result<T, E = Errno> = std::result::Result<T, E>;
