//! Which users of a user namespace are which outside (user_namespaces(7)).

use super::proc_file;
use crate::error::{Context, Result};
use crate::idmap;
use crate::sys::process::{self, pid_t};
use crate::sys::{Errno, OFlag, fd, identity};
use std::os::fd::{AsFd, OwnedFd};

/// Writes the maps of a process that is new in its user namespace.
pub(super) fn write(pid: pid_t, uids: &str, gids: &str) -> Result<()> {
    if identity::effective_uid() == 0 {
        write_file(pid, "uid_map", uids).context("linux.uidMappings: write uid_map")?;
        return write_file(pid, "gid_map", gids).context("linux.gidMappings: write gid_map");
    }
    // An unprivileged user may map himself alone; /etc/subuid gives him more through newuidmap(1).
    match write_file(pid, "uid_map", uids) {
        Ok(()) => {}
        Err(Errno::EPERM) => idmap::write("newuidmap", pid, uids).context("linux.uidMappings: write uid_map")?,
        other => other.context("linux.uidMappings: write uid_map")?,
    }
    if one_own_group(gids) {
        // The kernel wants it of the unprivileged: dropping a group could open what the group is shut out from.
        write_file(pid, "setgroups", "deny").context("linux.gidMappings: deny setgroups")?;
        return write_file(pid, "gid_map", gids).context("linux.gidMappings: write gid_map");
    }
    idmap::write("newgidmap", pid, gids).context("linux.gidMappings: write gid_map")
}

fn one_own_group(gids: &str) -> bool {
    let fields: Vec<&str> = gids.split_whitespace().collect();
    matches!(fields[..], [_, host, "1"] if host == identity::effective_gid().to_string())
}

fn write_file(pid: pid_t, file: &str, text: &str) -> crate::sys::Result<()> {
    fd::write_once(fd::open(&proc_file(pid, file), OFlag::O_WRONLY)?, text.as_bytes())
}

/// A user namespace with these maps and no process in it.
pub(super) fn namespace(uids: &str, gids: &str) -> Result<OwnedFd> {
    let before = process::block_all_signals().context("block signals")?;
    let (ours, theirs) = crate::sys::socket::seqpacket_pair().context("make a socket pair")?;
    match process::clone3(process::CLONE_NEWUSER as u64, None).context("clone into a user namespace")? {
        process::Clone::Child => {
            drop(ours);
            // Lives until the other end is closed.
            let _ = crate::sys::socket::receive(theirs.as_fd(), &mut [0; 1]);
            process::exit_now(0)
        }
        process::Clone::Parent { pid, .. } => {
            drop(theirs);
            let written = write_file(pid, "uid_map", uids).and_then(|()| write_file(pid, "gid_map", gids));
            let namespace = written.and_then(|()| fd::open(&proc_file(pid, "ns/user"), OFlag::O_RDONLY));
            drop(ours);
            process::wait(pid).context("wait for a helper process")?;
            process::set_signal_mask(&before).context("unblock signals")?;
            namespace.context("write the maps of a user namespace")
        }
    }
}
