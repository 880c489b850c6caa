//! The last steps: where the program runs, which it is, and exec.

use super::Child;
use super::fault::{At, Fault, Part};
use super::rendezvous::{Message, REACHED};
use crate::runtime::seccomp::Filter;
use crate::sys::process::{self, Strings};
use crate::sys::{Errno, OFlag, fd, seccomp, tree};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd};

/// More than any passwd of an image; one that is longer means harm (CVE-2024-9676 and its like).
const PASSWD_MAX: usize = 10 << 20;

impl Child {
    pub(super) fn chdir(&mut self, path: &CStr) -> Result<(), Fault> {
        match nix::unistd::chdir(path) {
            Err(Errno::EACCES | Errno::EPERM) => {
                self.cwd_refused = true;
                Ok(())
            }
            other => {
                other.at(Part::Whole)?;
                inside()
            }
        }
    }

    pub(super) fn chdir_again(&mut self, path: &CStr) -> Result<(), Fault> {
        if !self.cwd_refused {
            return Ok(());
        }
        nix::unistd::chdir(path).at(Part::Whole)?;
        inside()
    }

    /// The home directory of passwd(5), read without waiting for it and without belief in it.
    pub(super) fn home(&mut self, uid: u32) -> Result<(), Fault> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = fd::open(c"/etc/passwd", flags);
        let is_file = |file: &std::os::fd::OwnedFd| tree::stat(file).is_ok_and(|stat| stat.kind == tree::Kind::Regular);
        let text = match file {
            Ok(file) if is_file(&file) => fd::read_up_to(file, PASSWD_MAX).unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut home = b"HOME=".to_vec();
        home.extend_from_slice(home_of(&text, uid).unwrap_or(b"/"));
        self.home = CString::new(home).ok();
        Ok(())
    }

    /// Whether there is a program, while there is still somebody to tell.
    pub(super) fn find_program(&mut self, name: &CStr, directories: &[CString]) -> Result<(), Fault> {
        if name.to_bytes().contains(&b'/') {
            check_program(name)?;
            self.program = Some(name.to_owned());
            return Ok(());
        }
        let mut found = Fault { part: Part::NotFound, detail: 0, errno: Errno::ENOENT as i32 };
        for directory in directories {
            let mut path = directory.as_bytes().to_vec();
            // An empty entry of PATH is the current directory (environ(7)).
            if path.is_empty() {
                path.push(b'.');
            }
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
            let Ok(path) = CString::new(path) else { continue };
            match check_program(&path) {
                Ok(()) => {
                    self.program = Some(path);
                    return Ok(());
                }
                Err(fault) if fault.part == Part::NotExecutable => found = fault,
                Err(_) => {}
            }
        }
        Err(found)
    }

    pub(super) fn seccomp(&mut self, index: usize, filter: &Filter) -> Result<(), Fault> {
        let Some(listener) = seccomp::set_mode_filter(&filter.program, filter.flags).at(Part::Whole)? else {
            return Ok(());
        };
        // The parent fetches it by its number: sending it takes a call that the agent, who does not listen yet, may have
        // to decide about.
        let number = listener.as_raw_fd();
        let message = Message { step: index as i32, part: REACHED, detail: number, errno: 0 };
        message.write(self.sync.as_fd()).at(Part::Listener)?;
        Message::read(self.sync.as_fd()).at(Part::Listener)?.map(drop).ok_or(Fault::new(Part::Alone, 0))
    }

    pub(super) fn exec(&self, args: &Strings, env: &Strings) -> Result<(), Fault> {
        let Some(program) = &self.program else { return Err(Fault::new(Part::Missing, 0)) };
        Err(process::execve(program, args, env, self.home.as_deref())).at(Part::Whole)
    }
}

/// CVE-2024-21626: a descriptor that leaked leads out of the container as /proc/self/fd/N; there the kernel cannot name
/// the current directory from our root.
fn inside() -> Result<(), Fault> {
    match nix::unistd::getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        _ => Err(Fault::new(Part::Outside, 0)),
    }
}

fn check_program(path: &CStr) -> Result<(), Fault> {
    let stat = fd::open(path, OFlag::O_PATH).and_then(fd::stat).at(Part::Missing)?;
    if stat.is_dir() || stat.mode & 0o111 == 0 {
        return Err(Fault { part: Part::NotExecutable, detail: 0, errno: Errno::EACCES as i32 });
    }
    Ok(())
}

fn home_of(passwd: &[u8], uid: u32) -> Option<&[u8]> {
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [_, _, id, _, _, home, ..] = fields[..] else { return None };
        let id: u32 = std::str::from_utf8(id).ok()?.parse().ok()?;
        (id == uid && home.first() == Some(&b'/')).then_some(home)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_come_from_well_formed_lines_only() {
        let passwd =
            b"root:x:0:0:r:/root:/bin/sh\n# 1\nx:x:1:1\nbaker:x:1000:1000::/home/baker:/bin/sh\nbad:x:2:2:::\n";
        assert_eq!(home_of(passwd, 0), Some(&b"/root"[..]));
        assert_eq!(home_of(passwd, 1000), Some(&b"/home/baker"[..]));
        assert_eq!(home_of(passwd, 1), None);
        assert_eq!(home_of(passwd, 2), None);
    }
}
