//! linux.sysctl: only what belongs to a namespace that the container has for itself; the rest is the host's.

use super::namespaces::Namespaces;
use super::step::{Op, Origin};
use super::{Steps, cstring};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::Linux;
use crate::sys::process as sys;

/// A name, or the start of one that ends in a dot, and the namespace that keeps its value (namespaces(7)).
const ALLOWED: [(&str, i32, &str); 13] = [
    ("kernel.msgmax", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.msgmnb", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.msgmni", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.sem", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.shmall", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.shmmax", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.shmmni", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.shm_rmid_forced", sys::CLONE_NEWIPC, "ipc"),
    ("kernel.shm_next_id", sys::CLONE_NEWIPC, "ipc"),
    ("fs.mqueue.", sys::CLONE_NEWIPC, "ipc"),
    ("net.", sys::CLONE_NEWNET, "network"),
    ("kernel.domainname", sys::CLONE_NEWUTS, "uts"),
    ("user.", sys::CLONE_NEWUSER, "user"),
];

const ORIGIN: Origin = Origin::Field("linux.sysctl");

pub(super) fn plan(steps: &mut Steps, linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    for (name, value) in linux.sysctl.iter().flatten() {
        let dotted = dotted(name);
        if dotted == "kernel.hostname" {
            bail!("{ORIGIN}.{name}: the field hostname is for that");
        }
        let fits = |known: &str| if known.ends_with('.') { dotted.starts_with(known) } else { dotted == known };
        let Some((_, flag, kind)) = ALLOWED.iter().find(|(known, ..)| fits(known)) else {
            bail!("{ORIGIN}.{name}: no namespace keeps it apart from the host's");
        };
        if !namespaces.has(*flag) {
            bail!("{ORIGIN}.{name}: needs a {kind} namespace in linux.namespaces, or it would change the host");
        }
        let file = slashed(&dotted);
        if file.split('/').any(|part| part.is_empty() || part == ".." || part == ".") {
            bail!("{ORIGIN}.{name}: not a name of /proc/sys");
        }
        steps.add(ORIGIN, Op::Sysctl { file: cstring(&file, ORIGIN)?, value: cstring(value, ORIGIN)? });
    }
    Ok(())
}

/// The form with dots between the parts. sysctl.d(5): the first separator of the two tells which form it is; in the form
/// with slashes a dot belongs to a name, as in net/ipv4/conf/eth0.100/forwarding.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']).and_then(|at| name.as_bytes().get(at)) {
        Some(b'/') => swap(name),
        _ => name.to_owned(),
    }
}

fn slashed(dotted: &str) -> String {
    swap(dotted)
}

fn swap(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_tells_the_form() {
        assert_eq!(slashed(&dotted("net.ipv4.conf.eno2/100.forwarding")), "net/ipv4/conf/eno2.100/forwarding");
        assert_eq!(slashed(&dotted("net/ipv4/conf/eno2.100/forwarding")), "net/ipv4/conf/eno2.100/forwarding");
    }
}
