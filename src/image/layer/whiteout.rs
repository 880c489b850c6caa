//! How a layer says that something of the layers below is gone: by names in the archive (image-spec layer.md), by a
//! device node and an extended attribute in a directory of an overlay (Documentation/filesystems/overlayfs.rst).

use crate::error::{Context, Result};
use crate::sys::tree::{Kind, Stat};
use crate::sys::{self, xattr};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

pub const PREFIX: &[u8] = b".wh.";
/// Everything that was in this directory is gone.
pub const OPAQUE: &[u8] = b".wh..wh..opq";
/// aufs kept its own files under such names; nobody wants them in a tree.
pub const RESERVED: &[u8] = b".wh..wh.";

/// An overlay's whiteout: a character device 0:0.
pub fn is_whiteout(stat: &Stat) -> bool {
    stat.kind == Kind::Char && stat.node == (0, 0)
}

/// Where an overlay keeps its marks: in `trusted.` of the initial user namespace, in `user.` (mount option `userxattr`)
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    Trusted,
    User,
}

impl Marks {
    /// What an overlay mounted by this process will look at.
    pub fn of_this_process() -> Result<Marks> {
        let map = std::fs::read_to_string("/proc/self/uid_map").context("read /proc/self/uid_map")?;
        let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
        let root = crate::sys::tree::effective_ids().0 == 0;
        Ok(if whole && root { Marks::Trusted } else { Marks::User })
    }

    fn opaque_key(self) -> &'static CStr {
        match self {
            Marks::Trusted => c"trusted.overlay.opaque",
            Marks::User => c"user.overlay.opaque",
        }
    }

    /// What the overlay itself writes begins with this.
    pub fn prefix(self) -> &'static [u8] {
        match self {
            Marks::Trusted => b"trusted.overlay.",
            Marks::User => b"user.overlay.",
        }
    }

    pub fn set_opaque(self, directory: BorrowedFd, name: &CStr) -> sys::Result<()> {
        xattr::lsetxattrat(directory, name, self.opaque_key(), b"y")
    }

    pub fn is_opaque(self, directory: BorrowedFd, name: &CStr) -> sys::Result<bool> {
        xattr::lgetxattrat(directory, name, self.opaque_key()).map(|value| value.as_deref() == Some(b"y"))
    }

    /// The name under which an attribute of a layer is kept in a directory of an overlay: what would steer the overlay
    /// is escaped, and shows up in the container under its own name. KERNEL(6.7); older ones do not show it.
    pub fn escape(self, key: &[u8]) -> Vec<u8> {
        match key.strip_prefix(self.prefix()) {
            Some(rest) => [self.prefix(), b"overlay.", rest].concat(),
            None => key.to_vec(),
        }
    }

    /// The name in the layer of an attribute in a directory of an overlay; `None` for the overlay's own.
    pub fn unescape(self, key: &[u8]) -> Option<Vec<u8>> {
        match key.strip_prefix(self.prefix()) {
            Some(rest) => rest.strip_prefix(b"overlay.").map(|rest| [self.prefix(), rest].concat()),
            None => Some(key.to_vec()),
        }
    }
}
