//! The terminal: made in the container's devpts, its master sent out, its other end our standard streams.

use super::fault::{At, Fault, Part};
use super::rendezvous::Message;
use super::{Child, DIR_MODE, FILE_MODE, NO_MODE};
use crate::sys::mount;
use crate::sys::{OFlag, fd, socket, tty};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

impl Child {
    pub(super) fn console(&mut self, index: usize, size: Option<(u16, u16)>, bind: bool) -> Result<(), Fault> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
        let master = self.root()?.open_at("dev/pts/ptmx", flags, NO_MODE).at(Part::Terminal)?;
        // Whatever else is called ptmx would be read and written by the engine.
        if mount::filesystem_type(&master).at(Part::Terminal)? != mount::DEVPTS_SUPER_MAGIC {
            return Err(Fault::new(Part::Terminal, 0));
        }
        let slave = tty::open_peer(&master).at(Part::Peer)?;
        if let Some((rows, columns)) = size {
            tty::set_size(&slave, rows, columns).at(Part::Peer)?;
        }
        if bind {
            self.bind_console(slave.as_fd())?;
        }
        match self.console.take() {
            Some(engine) => {
                let name = format!("/dev/pts/{}", tty::number(&master).at(Part::Peer)?);
                socket::send(engine.as_fd(), name.as_bytes(), &[master.as_raw_fd()]).at(Part::SendTerminal)?;
            }
            None => Message::reached(index).send(self.sync.as_fd(), &[master.as_fd()]).at(Part::SendTerminal)?,
        }
        for number in 0..=2 {
            fd::dup_onto(&slave, number).at(Part::Stdio)?;
        }
        tty::set_controlling(&slave).at(Part::Controlling)
    }

    /// A link of that name would lead the mount, or the file made for it, elsewhere.
    fn bind_console(&self, slave: BorrowedFd) -> Result<(), Fault> {
        let root = self.root()?;
        let dev = root.create_dir_all("dev", DIR_MODE).at(Part::BindConsole)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = match nix::fcntl::openat(&dev, c"console", flags, NO_MODE) {
            Err(nix::errno::Errno::ENOENT) => {
                let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                nix::fcntl::openat(&dev, c"console", flags, FILE_MODE)
            }
            found => found,
        };
        let target = found.at(Part::BindConsole)?;
        if fd::stat(&target).at(Part::BindConsole)?.is_link() {
            return Err(Fault { part: Part::BindConsole, detail: 0, errno: nix::errno::Errno::ELOOP as i32 });
        }
        let copy = mount::open_tree(Some(slave), c"", false).at(Part::BindConsole)?;
        mount::move_mount(copy, target).at(Part::BindConsole)
    }
}
