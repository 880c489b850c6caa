//! Masks, and the files of procfs that are written on the way.

use super::Child;
use super::fault::{At, Fault, Part};
use crate::runtime::plan::step::Label;
use crate::sys::{Errno, OFlag, fd, mount};
use std::ffi::CStr;
use std::os::fd::AsFd;

impl Child {
    pub(super) fn mask_path(&mut self, at: &CStr) -> Result<(), Fault> {
        let Some(found) = self.to_protect(at)? else { return Ok(()) };
        if !fd::stat(&found).at(Part::Target)?.is_dir() {
            // The host's: what is called null in the container may be anything (CVE-2025-31133).
            let null = mount::open_tree(None, c"/dev/null", false).at(Part::Source)?;
            if !fd::stat(&null).at(Part::Source)?.is_char_device(1, 3) {
                return Err(Fault::new(Part::Source, 0));
            }
            return mount::move_mount(null, found).at(Part::Attach);
        }
        let mask = match &self.mask {
            // One empty filesystem for all: each costs the kernel a superblock.
            Some(mask) => mount::open_tree(Some(mask.as_fd()), c"", false).at(Part::Source)?,
            None => empty_directory()?,
        };
        mount::move_mount(&mask, found).at(Part::Attach)?;
        if self.mask.is_none() {
            self.mask = Some(mask);
        }
        Ok(())
    }

    pub(super) fn sysctl(&mut self, file: &CStr, value: &CStr) -> Result<(), Fault> {
        let sys = fd::openat(self.proc()?, c"sys", OFlag::O_PATH | OFlag::O_DIRECTORY).at(Part::Procfs)?;
        let file = fd::openat(sys, file, OFlag::O_WRONLY | OFlag::O_NOFOLLOW).at(Part::Whole)?;
        fd::write_once(file, value.to_bytes()).at(Part::Write)
    }

    pub(super) fn label(&mut self, label: &Label) -> Result<(), Fault> {
        let proc = self.proc()?;
        let ours = fd::openat(proc, c"thread-self", OFlag::O_PATH | OFlag::O_DIRECTORY).at(Part::Procfs)?;
        let mut last = Errno::ENOENT;
        for file in label.files {
            match fd::openat(&ours, file, OFlag::O_WRONLY | OFlag::O_NOFOLLOW) {
                Ok(file) => return fd::write_once(file, label.value.to_bytes()).at(Part::Write),
                Err(error) => last = error,
            }
        }
        Err(last).at(Part::Whole)
    }
}

/// A file system with nothing in it, and no room for anything.
pub(super) fn empty_directory() -> Result<std::os::fd::OwnedFd, Fault> {
    let fs = mount::fsopen(c"tmpfs").at(Part::Filesystem)?;
    for (key, value) in [(c"source", c"tmpfs"), (c"nr_blocks", c"1"), (c"nr_inodes", c"1"), (c"mode", c"755")] {
        mount::fsconfig_set(&fs, key, Some(value)).at(Part::FilesystemOption)?;
    }
    mount::fsconfig_set(&fs, c"ro", None).at(Part::FilesystemOption)?;
    mount::fsconfig_create(&fs).at(Part::Superblock)?;
    mount::fsmount(&fs, mount::MOUNT_ATTR_RDONLY).at(Part::MountMade)
}
