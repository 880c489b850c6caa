//! `--init`: the container's first process is a small one that starts the program, passes signals on to it, and reaps
//! what is left to it.

use super::{Container, signals};
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::event::{self, Wanted};
use crate::sys::process::{self, Signals};
use crate::sys::{session, tty};
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The verb that our own program is it with.
pub const VERB: &str = "init";
/// Where it is in the container: in a file system that nothing stays of.
const PLACE: &str = "/dev/init";
/// Programs for this purpose, for a forno that needs libraries, which the image does not have.
const OTHERS: [&str; 5] = [
    "/usr/bin/tini-static",
    "/usr/bin/docker-init",
    "/usr/libexec/podman/catatonit",
    "/usr/bin/catatonit",
    "/usr/bin/tini",
];
const COPY: &str = "init";

/// What stands before the program's own arguments, and the mount that they need.
pub fn prepare(container: &Container) -> Result<(Vec<String>, Value)> {
    let ours = std::fs::read("/proc/self/exe").context("--init: read forno")?;
    let (program, verb) = if is_static(&ours) {
        let copy = container.directory().join(COPY);
        // A copy: whoever breaks out as far as this file has not changed ours.
        std::fs::write(&copy, &ours).context("--init: copy forno")?;
        std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .context("--init: chmod")?;
        (copy, VERB)
    } else {
        (other()?, "--")
    };
    let mount = json!({"destination": PLACE, "type": "bind", "source": program, "options": ["bind", "ro", "nosuid"]});
    Ok((vec![PLACE.to_owned(), verb.to_owned()], mount))
}

fn other() -> Result<PathBuf> {
    let is_usable = |path: &&&str| std::fs::read(path).is_ok_and(|bytes| is_static(&bytes));
    match OTHERS.iter().find(is_usable) {
        Some(path) => Ok(Path::new(path).to_owned()),
        None => bail!("--init: this forno is not a static program; install one for this purpose, such as catatonit"),
    }
}

/// Whether an ELF program asks for no interpreter (elf(5), PT_INTERP).
fn is_static(bytes: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        let mut whole = [0; 8];
        whole.get_mut(..length)?.copy_from_slice(field);
        Some(u64::from_le_bytes(whole))
    };
    let headers = || -> Option<bool> {
        // 64 bits, little-endian: all that we are built for.
        if bytes.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for at in 0..count {
            let header = usize::try_from(table.checked_add(at.checked_mul(size)?)?).ok()?;
            if number(header, 4)? == u64::from(PT_INTERP) {
                return Some(false);
            }
        }
        Some(true)
    };
    headers().unwrap_or(false)
}

/// Is the first process: runs the program until it has ended; its exit code.
pub fn main(args: &[String]) -> Result<u8> {
    let Some((program, rest)) = args.split_first() else {
        bail!("init: no program");
    };
    process::set_signal_mask(&Signals::all()).context("block signals")?;
    let signal_fd = process::signalfd(&Signals::all()).context("make a signalfd")?;
    let child = Command::new(program).args(rest).process_group(0).spawn().map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        crate::error::Error::from(error).context(format!("exec {program}")).exit(code)
    })?;
    let pid = process::pid_t::try_from(child.id()).unwrap_or(0);
    // Without a terminal there is nothing to give.
    let _ = tty::set_foreground(std::io::stdin(), pid);
    loop {
        event::poll(&[Wanted { fd: signal_fd.as_fd(), read: true, write: false }], None).context("wait for signals")?;
        while let Some(signal) = process::read_signal(&signal_fd) {
            match signal {
                signals::CHLD => {}
                // One that has just ended needs none.
                signal => drop(process::kill(pid, signal)),
            }
        }
        while let Some((reaped, exit)) = session::reap_any() {
            if reaped == pid {
                return Ok(exit.shell_code());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_an_interpreter_is_not_static() {
        assert!(!is_static(b"#!/bin/sh\n") && !is_static(b"\x7fELF\x02\x01"));
        assert!(!is_static(&std::fs::read("/bin/sh").unwrap()));
        let mut program = std::fs::read("/bin/sh").unwrap();
        // Without its program headers it asks for nothing.
        program[56] = 0;
        assert!(is_static(&program));
    }
}
