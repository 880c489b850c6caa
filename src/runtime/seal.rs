//! What enters a container must not lead back to this program's file: /proc/PID/exe would let root in the container
//! write to it (CVE-2019-5736).

use crate::error::{Context, Error, Result};
use crate::sys::mount::{self, Attributes};
use crate::sys::process::{self, Strings};
use crate::sys::{OFlag, fd};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

const SELF: &CStr = c"/proc/self/exe";

/// Starts this program anew, from a read-only mount of its own that nobody can reach, or where mounts are not ours to
/// make, from a sealed copy in memory. Returns when we are that already.
pub fn protect() -> Result<()> {
    if mount::is_read_only(SELF).context("look at the program's own file")? {
        return Ok(());
    }
    let file = match read_only_mount() {
        Ok(file) => file,
        Err(_) => match sealed_copy().context("copy the program's own file")? {
            Some(copy) => copy,
            None => return Ok(()),
        },
    };
    let strings = |list: Vec<Vec<u8>>| {
        let list: std::result::Result<Vec<CString>, _> = list.into_iter().map(CString::new).collect();
        list.map(Strings::new).map_err(|_| Error::new("a zero byte in an argument"))
    };
    let args = strings(std::env::args_os().map(OsStringExt::into_vec).collect())?;
    let env =
        strings(std::env::vars_os().map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'=')).collect())?;
    Err(process::execveat(file, &args, &env)).context("start from a protected copy of the program")
}

fn read_only_mount() -> crate::sys::Result<OwnedFd> {
    let tree = mount::open_tree(None, SELF, false)?;
    mount::mount_setattr(&tree, false, Attributes { set: mount::MOUNT_ATTR_RDONLY, ..Attributes::default() })?;
    Ok(tree)
}

/// None: we run from one.
fn sealed_copy() -> crate::sys::Result<Option<OwnedFd>> {
    let program = fd::open(SELF, OFlag::O_RDONLY)?;
    if fd::is_sealed(&program) {
        return Ok(None);
    }
    let copy = fd::memory_file(c"bolo", true)?;
    fd::copy_all(program, &copy)?;
    fd::seal(&copy)?;
    Ok(Some(copy))
}
