//! The process that holds a user's namespaces: made by the first call of forno that finds none, joined by all.

use super::ids::Maps;
use super::place::Place;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::idmap;
use crate::sys::process::{self, CLONE_NEWNS, CLONE_NEWUSER, Clone, Strings, pid_t};
use crate::sys::{Errno, OFlag, fd, session, socket};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What nobody types.
pub const VERB: &str = "hold";
/// A holder may be killed between being found and being joined; nobody's luck is that bad for long.
const ATTEMPTS: usize = 10;

pub(super) fn join(place: &Place, warn: &dyn Fn(&str)) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let Some(holder) = holder(place)? else {
            make(place, warn)?;
            continue;
        };
        // KERNEL(5.8): namespaces by a process.
        match process::setns(&holder, CLONE_NEWUSER | CLONE_NEWNS) {
            // It is dying, and has left them already.
            Err(Errno::ESRCH) => drop(process::wait_until_exit(holder.as_fd(), -1).context("wait for its end")?),
            joined => return joined.map_err(Error::from),
        }
    }
    bail!("the process that holds it dies again and again");
}

/// The holder, if it is there and has what the user has.
fn holder(place: &Place) -> Result<Option<OwnedFd>> {
    let Some((pid, holder)) = place.holder() else {
        return Ok(None);
    };
    // One that was made before the user had ranges serves until it can be replaced: as long as nothing runs in it.
    let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap_or_default();
    if map.lines().count() != 1 || !Maps::of_user().ranges {
        return Ok(Some(holder));
    }
    let _lock = place.lock()?;
    if place.member().is_some() {
        return Ok(Some(holder));
    }
    match process::pidfd_send_signal(&holder, process::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(errno).context("end the old namespace"),
    }
    process::wait_until_exit(holder.as_fd(), -1).context("wait for the old namespace")?;
    Ok(None)
}

fn make(place: &Place, warn: &dyn Fn(&str)) -> Result<()> {
    let _lock = place.lock()?;
    if place.holder().is_some() {
        return Ok(());
    }
    // Containers that run go on to be reached, though who held their namespace was killed.
    let member = place.member();
    let maps = Maps::of_user();
    if member.is_none() && !maps.ranges {
        warn(
            "/etc/subuid and /etc/subgid give you no ids (or newuidmap, package uidmap, is missing): all files of \
             images become yours, and nothing runs as another user; root gives ids with: usermod --add-subuids \
             100000-165535 --add-subgids 100000-165535 NAME",
        );
    }
    let (ours, theirs) = socket::seqpacket_pair().context("make a socket pair")?;
    match process::clone3(0, None).context("fork")? {
        Clone::Child => {
            drop(ours);
            let errno = become_holder(theirs.as_fd(), member.as_ref());
            let _ = socket::send(theirs.as_fd(), &(-(errno as i32)).to_ne_bytes(), &[]);
            process::exit_now(1)
        }
        Clone::Parent { pid, .. } => {
            drop(theirs);
            process::wait(pid).context("wait for the holder")?;
            let holder = serve(ours.as_fd(), member.is_none().then_some(&maps))?;
            place.set_holder(holder)
        }
    }
}

/// What the child sends: its pid when it is in its namespaces (and cannot go on without maps), an errno where something
/// failed; nothing more when it has become the holder.
fn serve(child: BorrowedFd, maps: Option<&Maps>) -> Result<pid_t> {
    let pid = match receive(child)? {
        Some(pid) if pid > 0 => pid,
        Some(errno) => return Err(refused(Errno::from_raw(-errno))),
        None => bail!("the process that was to hold it has died"),
    };
    if let Some(maps) = maps {
        write_maps(pid, maps)?;
    }
    socket::send(child, &[1], &[]).context("tell the holder to go on")?;
    match receive(child)? {
        None => Ok(pid),
        Some(errno) => Err(Errno::from_raw(-errno)).context("become the holder"),
    }
}

fn receive(child: BorrowedFd) -> Result<Option<i32>> {
    let mut buffer = [0; 4];
    match socket::receive(child, &mut buffer).context("hear of the holder")? {
        (4, _) => Ok(Some(i32::from_ne_bytes(buffer))),
        _ => Ok(None),
    }
}

fn refused(errno: Errno) -> Error {
    Error::from(errno).context(match errno {
        Errno::EPERM | Errno::EACCES => {
            "this machine gives user namespaces to root only (sysctl kernel.unprivileged_userns_clone, AppArmor)"
        }
        Errno::ENOSPC => "this machine gives no more user namespaces (sysctl user.max_user_namespaces)",
        _ => "make a user namespace",
    })
}

fn write_maps(pid: pid_t, maps: &Maps) -> Result<()> {
    if maps.ranges {
        idmap::write("newuidmap", pid, &maps.uids)?;
        return idmap::write("newgidmap", pid, &maps.gids);
    }
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).with(|| format!("write {path}"))
    };
    write("uid_map", &maps.uids)?;
    // The kernel wants it of the unprivileged: dropping a group could open what the group is shut out from.
    write("setgroups", "deny")?;
    write("gid_map", &maps.gids)
}

/// Returns only on failure.
fn become_holder(parent: BorrowedFd, member: Option<&OwnedFd>) -> Errno {
    let become_it = || -> crate::sys::Result<Errno> {
        // In the second child, of whom nobody is the parent who could forget to reap it.
        session::detach()?;
        let new = match member {
            Some(member) => process::setns(member, CLONE_NEWUSER).and_then(|()| process::unshare(CLONE_NEWNS)),
            None => process::unshare(CLONE_NEWUSER | CLONE_NEWNS),
        };
        new?;
        let pid = pid_t::try_from(std::process::id()).unwrap_or(0);
        socket::send(parent, &pid.to_ne_bytes(), &[])?;
        if socket::receive(parent, &mut [0; 1])?.0 == 0 {
            process::exit_now(1);
        }
        process::chdir(Path::new("/"))?;
        let null = fd::open(c"/dev/null", OFlag::O_RDWR)?;
        for number in 0..3 {
            fd::dup_onto(&null, number)?;
        }
        fd::close_range_cloexec(3)?;
        let words = |words: &[&str]| {
            let strings = words.iter().map(|word| CString::new(*word).map_err(|_| Errno::EINVAL));
            strings.collect::<crate::sys::Result<Vec<_>>>().map(Strings::new)
        };
        // Small, and nothing of this process in it.
        Ok(process::execve(c"/proc/self/exe", &words(&["forno", VERB])?, &words(&[])?, None))
    };
    // Negative: no pid.
    match become_it() {
        Ok(errno) | Err(errno) => errno,
    }
}
