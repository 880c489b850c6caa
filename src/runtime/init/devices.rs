//! linux.devices, one at a time.

use super::fault::{At, Fault, Part};
use super::{Child, DIR_MODE, FILE_MODE, path};
use crate::runtime::plan::step::{Device, DeviceKind};
use crate::sys::mount;
use crate::sys::tree::{self, Kind};
use crate::sys::{Errno, OFlag};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// config-linux.md, Devices: what is there already has to be what is asked for; then it stays as the image has it.
fn is_it(device: &Device, directory: BorrowedFd, name: &CString) -> Result<(), Fault> {
    let found = tree::openat(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0).at(Part::Node)?;
    let found = crate::sys::fd::stat(&found).at(Part::Node)?;
    let same = match device.kind {
        DeviceKind::Char => found.is_char_device(device.major, device.minor),
        DeviceKind::Block => found.is_block_device(device.major, device.minor),
        DeviceKind::Fifo => found.is_fifo(),
    };
    if same { Ok(()) } else { Err(Errno::EEXIST).at(Part::Node) }
}

impl Child {
    pub(super) fn device(&self, device: &Device) -> Result<(), Fault> {
        let at = path(&device.path);
        let name = at.file_name().and_then(|name| CString::new(name.as_encoded_bytes()).ok());
        let name = name.ok_or(Fault::new(Part::MakeTarget, 0))?;
        let directory = at.parent().unwrap_or(std::path::Path::new("/"));
        let directory = self.root()?.create_dir_all(directory, DIR_MODE).at(Part::Target)?;
        if device.bind {
            return self.bind_device(device, directory.as_fd(), &name);
        }
        let kind = match device.kind {
            DeviceKind::Char => Kind::Char,
            DeviceKind::Block => Kind::Block,
            DeviceKind::Fifo => Kind::Fifo,
        };
        match tree::mknodat(directory.as_fd(), &name, kind, device.mode, (device.major, device.minor)) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return is_it(device, directory.as_fd(), &name),
            Err(Errno::EPERM) if device.kind != DeviceKind::Fifo => {
                return self.bind_device(device, directory.as_fd(), &name);
            }
            Err(error) => return Err(error).at(Part::Node),
        }
        if (device.uid, device.gid) != (0, 0) {
            tree::fchownat(directory.as_fd(), &name, device.uid, device.gid).at(Part::Owner)?;
        }
        Ok(())
    }

    /// The host's node of the same path in place of one of our own.
    fn bind_device(&self, device: &Device, directory: BorrowedFd, name: &CString) -> Result<(), Fault> {
        let source = mount::open_tree(None, &device.path, false).at(Part::Source)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let target = match tree::openat(directory, name, flags, 0) {
            Err(Errno::ENOENT) => {
                let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
                tree::openat(directory, name, flags, FILE_MODE.bits())
            }
            found => found,
        };
        let target = target.at(Part::MakeTarget)?;
        if crate::sys::fd::stat(&target).at(Part::MakeTarget)?.is_link() {
            return Err(Fault { part: Part::MakeTarget, detail: 0, errno: Errno::ELOOP as i32 });
        }
        mount::move_mount(source, target).at(Part::Attach)
    }
}
