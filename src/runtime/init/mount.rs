//! mounts[], one at a time.

use super::Child;
use super::fault::{At, Fault, Part};
use super::{DIR_MODE, FILE_MODE, path};
use crate::runtime::plan::mounts::{Mount, ProcRule, TargetRule, What};
use crate::sys::mount::{self, Attributes};
use crate::sys::root::Root;
use crate::sys::{Errno, fd};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Component;

/// What an exact set of attributes says something about.
const EXACT: u64 = mount::MOUNT_ATTR_RDONLY
    | mount::MOUNT_ATTR_NOSUID
    | mount::MOUNT_ATTR_NODEV
    | mount::MOUNT_ATTR_NOEXEC
    | mount::MOUNT_ATTR_NOSYMFOLLOW
    | mount::MOUNT_ATTR_NODIRATIME;

impl Child {
    pub(super) fn mount(&mut self, index: usize, mount: &Mount) -> Result<(), Fault> {
        let attached = match &mount.what {
            What::Filesystem { fstype, options, inherit_mode, copy_up, or_bind } => {
                let target = self.target(mount)?;
                guard(mount.proc_rule, fstype.as_c_str() == c"proc", &target)?;
                let mode = if *inherit_mode { Some(fd::stat(&target).at(Part::Target)?.mode & 0o7777) } else { None };
                let made = match new_filesystem(fstype, options, mode, mount.attributes.set) {
                    Err(fault) => self.bind_instead(fault, or_bind.as_deref(), mount.attributes)?,
                    Ok(made) => made,
                };
                if *copy_up {
                    super::copy_up::copy(target.as_fd(), made.as_fd()).at(Part::CopyUp)?;
                }
                mount::move_mount(&made, target).at(Part::Attach)?;
                made
            }
            What::LongOptions { fstype, source, data } => {
                let target = self.target(mount)?;
                guard(mount.proc_rule, fstype.as_c_str() == c"proc", &target)?;
                nix::unistd::fchdir(&target).at(Part::Target)?;
                mount::mount_here(source, fstype, data).at(Part::MountMade)?;
                self.go_to_root()?;
                let made = self.root()?.resolve(path(&mount.target)).at(Part::Target)?;
                let attributes = Attributes { set: mount.attributes.set, ..Attributes::default() };
                mount::mount_setattr(&made, false, attributes).at(Part::Attributes)?;
                made
            }
            What::Bind { source, recursive, exact, or_empty, .. } => {
                let source = match self.sources.iter().position(|(step, _)| *step == index) {
                    Some(place) => self.sources.swap_remove(place).1,
                    None => match mount::open_tree(None, source, *recursive) {
                        Err(Errno::ENOENT) if *or_empty => super::paths::empty_directory()?,
                        opened => opened.at(Part::Source)?,
                    },
                };
                let target = self.target_like(&source, mount)?;
                let is_proc = mount.proc_rule == ProcRule::OnlyProc && is_whole_procfs(&source)?;
                guard(mount.proc_rule, is_proc, &target)?;
                bind_attributes(&source, mount.attributes, *exact)?;
                mount::move_mount(&source, target).at(Part::Attach)?;
                source
            }
            What::Remount { options } => {
                let target = self.root()?.resolve(path(&mount.target)).at(Part::Target)?;
                reconfigure(&target, options)?;
                bind_attributes(&target, mount.attributes, true)?;
                target
            }
        };
        if [c"/proc", c"/sys"].contains(&mount.target.as_c_str()) {
            let kept = attached.try_clone().map_err(|_| Errno::EMFILE).at(Part::Target)?;
            self.kernel.retain(|(target, _)| *target != mount.target);
            self.kernel.push((mount.target.clone(), kept));
        }
        if !mount.recursive.is_empty() {
            mount::mount_setattr(&attached, true, mount.recursive).at(Part::Attributes)?;
        }
        for (propagation, recursive) in &mount.propagation {
            let attributes = Attributes { propagation: *propagation, ..Attributes::default() };
            mount::mount_setattr(&attached, *recursive, attributes).at(Part::Propagate)?;
        }
        Ok(())
    }

    fn target(&self, mount: &Mount) -> Result<OwnedFd, Fault> {
        let root = self.root()?;
        let target = path(&mount.target);
        if mount.target_rule != TargetRule::RealDirectory {
            return root.create_dir_all(target, DIR_MODE).at(Part::MakeTarget);
        }
        match root.resolve_real(target) {
            Err(Errno::ENOENT) => {
                root.create_dir_all(target, DIR_MODE).at(Part::MakeTarget)?;
                root.resolve_real(target).at(Part::Target)
            }
            found => found.at(Part::Target),
        }
    }

    fn target_like(&self, source: &OwnedFd, mount: &Mount) -> Result<OwnedFd, Fault> {
        let root = self.root()?;
        if fd::stat(source).at(Part::Source)?.is_dir() {
            root.create_dir_all(path(&mount.target), DIR_MODE).at(Part::MakeTarget)
        } else {
            root.create_file(path(&mount.target), FILE_MODE, DIR_MODE).at(Part::MakeTarget)
        }
    }

    /// The kernel refuses a new mount of some filesystems in a user namespace, and of cgroups that are in use otherwise.
    fn bind_instead(&self, fault: Fault, source: Option<&CStr>, wanted: Attributes) -> Result<OwnedFd, Fault> {
        let refused = [Errno::EPERM as i32, Errno::EBUSY as i32, Errno::EINVAL as i32].contains(&fault.errno);
        let (true, Some(source)) = (refused, source) else { return Err(fault) };
        let bound = mount::open_tree(None, source, true).at(Part::Source)?;
        bind_attributes(&bound, wanted, false)?;
        Ok(bound)
    }

    pub(super) fn readonly_mount(&self, target: &CStr, attributes: Attributes) -> Result<(), Fault> {
        let target = self.root()?.resolve(path(target)).at(Part::Target)?;
        mount::mount_setattr(target, false, attributes).at(Part::Attributes)
    }

    pub(super) fn link(&self, target: &CStr, at: &CStr, replace: bool) -> Result<(), Fault> {
        let root = self.root()?;
        let directory = path(at).parent().unwrap_or(std::path::Path::new("/"));
        let name = path(at).file_name().and_then(|name| CString::new(name.as_encoded_bytes()).ok());
        let name = name.ok_or(Fault::new(Part::MakeTarget, 0))?;
        // /dev/core points to what not every kernel has.
        if target == c"/proc/kcore" && root.resolve("proc/kcore").is_err() {
            return Ok(());
        }
        let directory = root.create_dir_all(directory, DIR_MODE).at(Part::Target)?;
        match nix::unistd::symlinkat(target, &directory, name.as_c_str()) {
            Err(Errno::EEXIST) if replace => {
                nix::unistd::unlinkat(&directory, name.as_c_str(), nix::unistd::UnlinkatFlags::NoRemoveDir)
                    .at(Part::Remove)?;
                nix::unistd::symlinkat(target, &directory, name.as_c_str()).at(Part::Whole)
            }
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error).at(Part::Whole),
        }
    }
}

fn new_filesystem(
    fstype: &CStr,
    options: &[(CString, Option<CString>)],
    mode: Option<u32>,
    attributes: u64,
) -> Result<OwnedFd, Fault> {
    let fs = mount::fsopen(fstype).at(Part::Filesystem)?;
    for (index, (key, value)) in options.iter().enumerate() {
        mount::fsconfig_set(&fs, key, value.as_deref()).at_detail(Part::FilesystemOption, index)?;
    }
    if let Some(mode) = mode {
        mount::fsconfig_set(&fs, c"mode", Some(&octal(mode))).at(Part::FilesystemOption)?;
    }
    mount::fsconfig_create(&fs).at(Part::Superblock)?;
    mount::fsmount(&fs, attributes).at(Part::MountMade)
}

fn reconfigure(target: &OwnedFd, options: &[(CString, Option<CString>)]) -> Result<(), Fault> {
    if options.is_empty() {
        return Ok(());
    }
    let fs = mount::fspick(target).at(Part::Filesystem)?;
    for (index, (key, value)) in options.iter().enumerate() {
        mount::fsconfig_set(&fs, key, value.as_deref()).at_detail(Part::FilesystemOption, index)?;
    }
    mount::fsconfig_reconfigure(&fs).at(Part::Superblock)
}

fn octal(mode: u32) -> CString {
    CString::new(format!("{mode:o}")).unwrap_or_default()
}

/// The host's /proc itself, that is, which a container in the host's pid namespace is given, and no directory of it.
fn is_whole_procfs(source: &OwnedFd) -> Result<bool, Fault> {
    const PROC_ROOT_INO: u64 = 1;
    let is_procfs = mount::filesystem_type(source).at(Part::Source)? == mount::PROC_SUPER_MAGIC;
    Ok(is_procfs && fd::stat(source).at(Part::Source)?.inode == PROC_ROOT_INO)
}

/// CVE-2019-16884: a mount in a procfs could take the place of a file by which a security label is set.
fn guard(rule: ProcRule, is_proc: bool, target: &OwnedFd) -> Result<(), Fault> {
    match rule {
        ProcRule::Allow => Ok(()),
        ProcRule::OnlyProc if is_proc => Ok(()),
        ProcRule::OnlyProc => Err(Fault::new(Part::OnlyProc, 0)),
        ProcRule::Forbid => {
            if mount::filesystem_type(target).at(Part::Target)? == mount::PROC_SUPER_MAGIC {
                return Err(Fault::new(Part::OverProc, 0));
            }
            Ok(())
        }
    }
}

/// `exact`: as a remount has it, attributes that are not asked for are cleared. What the mount's owner locked cannot be
/// cleared from a user namespace, and stays, unless config.json says in words that it has to go.
fn bind_attributes(tree: &OwnedFd, wanted: Attributes, exact: bool) -> Result<(), Fault> {
    if !exact && wanted.is_empty() {
        return Ok(());
    }
    let clear = if exact { wanted.clear | (EXACT & !wanted.set) } else { wanted.clear };
    let attributes = Attributes { clear, ..wanted };
    match mount::mount_setattr(tree, false, attributes) {
        Err(Errno::EPERM) if attributes != wanted => mount::mount_setattr(tree, false, wanted).at(Part::Attributes),
        other => other.at(Part::Attributes),
    }
}

impl Child {
    /// What is to be masked or made read-only, if it is there. /proc and /sys are the mounts that we made: another
    /// container with a hand on our root filesystem may have put a directory of its own in the name's place since.
    pub(super) fn to_protect(&self, at: &CStr) -> Result<Option<OwnedFd>, Fault> {
        let is_below = |(target, _): &&(CString, OwnedFd)| {
            at.to_bytes().strip_prefix(target.to_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        let climbs = path(at).components().any(|part| part == Component::ParentDir);
        let found = match self.kernel.iter().find(is_below) {
            Some((target, mounted)) if !climbs => {
                let mounted = mounted.try_clone().map_err(|_| Errno::EMFILE).at(Part::Target)?;
                let below = path(at).strip_prefix(path(target)).unwrap_or(path(at));
                Root::from(mounted).resolve(below)
            }
            _ => self.root()?.resolve(path(at)),
        };
        match found {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            found => found.map(Some).at(Part::Target),
        }
    }

    pub(super) fn readonly_path(&self, at: &CStr) -> Result<(), Fault> {
        let Some(found) = self.to_protect(at)? else { return Ok(()) };
        let copy = mount::open_tree(Some(found.as_fd()), c"", true).at(Part::Source)?;
        let attributes = Attributes { set: mount::MOUNT_ATTR_RDONLY, ..Attributes::default() };
        mount::mount_setattr(&copy, false, attributes).at(Part::Attributes)?;
        attach(copy.as_fd(), found.as_fd())
    }
}

pub(super) fn attach(tree: BorrowedFd, target: BorrowedFd) -> Result<(), Fault> {
    mount::move_mount(tree, target).at(Part::Attach)
}
