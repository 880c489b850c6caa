//! Into the namespaces.

use super::Child;
use super::fault::{At, Fault, Part};
use crate::runtime::plan::step::JoinedNamespace;
use crate::sys::process::{self, CLONE_NEWNS, CLONE_NEWTIME, CLONE_NEWUSER};
use crate::sys::root::Root;
use crate::sys::{Errno, OFlag, fd, identity};
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Those of other owners first, while we have the rights of the host over them; then the user namespace; then those that
/// only its owner may enter.
pub(super) fn join(namespaces: &[JoinedNamespace]) -> Result<(), Fault> {
    let mut open: Vec<Option<OwnedFd>> = Vec::new();
    for (place, namespace) in namespaces.iter().enumerate() {
        let file = fd::open(&namespace.path, OFlag::O_RDONLY).at_detail(Part::Source, place)?;
        match process::namespace_type(&file) {
            Ok(kind) if kind == namespace.flag => {}
            _ => return Err(Fault::new(Part::NotThatKind, place as i32)),
        }
        open.push(Some(file));
    }
    for round in [Round::BeforeUser, Round::User, Round::AfterUser] {
        for (place, (namespace, slot)) in namespaces.iter().zip(open.iter_mut()).enumerate() {
            let is_user = namespace.flag == CLONE_NEWUSER;
            let Some(file) = slot.take_if(|_| (round == Round::User) == is_user) else { continue };
            match process::setns(&file, namespace.flag) {
                Err(Errno::EPERM) if round == Round::BeforeUser => *slot = Some(file),
                joined => joined.at_detail(Part::Join, place)?,
            }
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Round {
    BeforeUser,
    User,
    AfterUser,
}

pub(super) fn unshare_time(offsets: Option<&CStr>, alone: bool) -> Result<(), Fault> {
    process::unshare(CLONE_NEWTIME).at(Part::Whole)?;
    let Some(offsets) = offsets else { return Ok(()) };
    let open = || fd::open(c"/proc/self/timens_offsets", OFlag::O_WRONLY).at(Part::Time);
    let file = if alone {
        // The files of a process that cannot be dumped are the host's root's, whom nobody is here.
        process::set_dumpable(true).at(Part::Time)?;
        let file = open();
        process::set_dumpable(false).at(Part::Time)?;
        file?
    } else {
        open()?
    };
    fd::write_once(file, offsets.to_bytes()).at(Part::Time)
}

pub(super) fn become_root() -> Result<(), Fault> {
    // The groups of whoever started us mean nothing here; a map without setgroups leaves them as they are.
    match identity::setgroups(&[]) {
        Ok(()) | Err(Errno::EPERM) => {}
        other => other.at(Part::Groups)?,
    }
    identity::setresgid(0).at(Part::Groups)?;
    identity::setresuid(0).at(Part::Become)
}

/// KERNEL: without keyrings, or where a seccomp filter around us forbids them, there is nothing to protect.
pub(super) fn session_keyring(name: &CStr) -> Result<(), Fault> {
    match process::join_session_keyring(name) {
        Ok(()) | Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        other => other.at(Part::Whole),
    }
}

impl Child {
    /// The parent sent a descriptor of the container's first process among the sources.
    pub(super) fn join_container(&mut self, flags: i32) -> Result<(), Fault> {
        let pidfd = self.sources.pop().map(|(_, fd)| fd).ok_or(Fault::new(Part::Join, 0))?;
        let others = flags & !CLONE_NEWUSER;
        // As root of the host we may enter them all, and would lose that in the user namespace; as a user it is the other
        // way round, and the kernel takes care of the order when told all at once.
        match if others == 0 { Ok(()) } else { process::setns(&pidfd, others) } {
            Ok(()) if flags & CLONE_NEWUSER != 0 => process::setns(&pidfd, CLONE_NEWUSER).at(Part::Join)?,
            Ok(()) => {}
            Err(Errno::EPERM) if flags & CLONE_NEWUSER != 0 => process::setns(&pidfd, flags).at(Part::Join)?,
            other => other.at(Part::Join)?,
        }
        if flags & CLONE_NEWNS != 0 {
            self.root = Some(Root::open(Path::new("/")).at(Part::Target)?);
        }
        Ok(())
    }
}
