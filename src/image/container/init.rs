//! `--init`: which program is the container's first process. The image has no libraries for it, so it must be static.

use super::Container;
use crate::bail;
use crate::error::{Context, Result};
use crate::reaper;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where it is in the container: in a file system that nothing stays of.
const PLACE: &str = "/dev/init";
/// Programs for this purpose, where neither of ours is static.
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
    let ours = std::env::current_exe().context("--init: find forno")?;
    let (program, verb) = match ours.with_file_name("bolo") {
        bolo if is_usable(&bolo) => (copy(container, &bolo)?, reaper::VERB),
        _ if is_usable(&ours) => (copy(container, &ours)?, reaper::VERB),
        _ => (other()?, "--"),
    };
    let mount = json!({"destination": PLACE, "type": "bind", "source": program, "options": ["bind", "ro", "nosuid"]});
    Ok((vec![PLACE.to_owned(), verb.to_owned()], mount))
}

/// Whoever breaks out as far as this file has not changed ours.
fn copy(container: &Container, program: &Path) -> Result<PathBuf> {
    let copy = container.directory().join(COPY);
    std::fs::copy(program, &copy).with(|| format!("--init: copy {}", program.display()))?;
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).context("--init: chmod")?;
    Ok(copy)
}

fn is_usable(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| is_static(&bytes))
}

fn other() -> Result<PathBuf> {
    match OTHERS.iter().map(Path::new).find(|path| is_usable(path)) {
        Some(path) => Ok(path.to_owned()),
        None => bail!(
            "--init: no static program for it: neither a bolo beside forno is one, nor is any installed, such as catatonit"
        ),
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
