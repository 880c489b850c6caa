//! root and linux.rootfsPropagation: into the root filesystem, and out of the host's.

use super::namespaces::Namespaces;
use super::step::{Op, Origin, Rootfs};
use super::{Facts, Steps, cstring};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::{Linux, Spec};
use crate::sys::mount as sys;
use crate::sys::process::CLONE_NEWNS;

/// The specification's word (config-linux.md, "Rootfs Mount Propagation"), the kernel's flag, recursive.
const PROPAGATION: [(&str, u64, bool); 8] = [
    ("shared", sys::SHARED, false),
    ("rshared", sys::SHARED, true),
    ("slave", sys::SLAVE, false),
    ("rslave", sys::SLAVE, true),
    ("private", sys::PRIVATE, false),
    ("rprivate", sys::PRIVATE, true),
    ("unbindable", sys::UNBINDABLE, false),
    ("runbindable", sys::UNBINDABLE, true),
];

const ORIGIN: Origin = Origin::Field("linux.rootfsPropagation");
const ROOT: Origin = Origin::Field("root.path");

fn propagation(linux: &Linux) -> Result<Option<(u64, bool)>> {
    let word = linux.rootfs_propagation.as_str();
    if word.is_empty() {
        return Ok(None);
    }
    match PROPAGATION.iter().find(|known| known.0 == word) {
        Some((_, flags, recursive)) => Ok(Some((*flags, *recursive))),
        None => bail!(
            "{ORIGIN}: unknown word {word:?}; use shared, slave, private or unbindable, with r in front for all below"
        ),
    }
}

pub(super) fn enter(
    steps: &mut Steps,
    spec: &Spec,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Result<()> {
    let propagation = propagation(linux)?;
    if namespaces.has(CLONE_NEWNS) {
        match propagation {
            // Volumes are to be shared with the host: its mounts stay as they are, but for the one that ours goes on.
            Some((sys::SHARED, _)) => steps.add(ORIGIN, Op::PrivateParent),
            Some((sys::PRIVATE, _)) => steps.add(ORIGIN, Op::RootPropagation(sys::PRIVATE)),
            // At most the host tells us of its mounts, never we of ours.
            _ => steps.add(ORIGIN, Op::RootPropagation(sys::SLAVE)),
        }
    }
    if namespaces.is_new(CLONE_NEWNS) {
        steps.add(ROOT, Op::EnterRootfs(Rootfs::Here));
        return Ok(());
    }
    let path = spec.root.as_ref().map_or("", |root| root.path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", facts.bundle) };
    let path = cstring(&path, ROOT)?;
    let joined = namespaces.has(CLONE_NEWNS);
    steps.add(ROOT, Op::EnterRootfs(if joined { Rootfs::Joined(path) } else { Rootfs::Path(path) }));
    Ok(())
}

pub(super) fn reopen_null(steps: &mut Steps, namespaces: &Namespaces) {
    if namespaces.has(CLONE_NEWNS) {
        steps.always(Op::ReopenNull);
    }
}

pub(super) fn finish(
    steps: &mut Steps,
    spec: &Spec,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Result<()> {
    let late = std::mem::take(&mut steps.late);
    steps.plan.steps.extend(late);
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        steps.add(Origin::Field("root.readonly"), Op::ReadonlyRoot);
    }
    let propagation = propagation(linux)?;
    if facts.no_pivot && matches!(propagation, Some((sys::PRIVATE, _))) {
        // The host's mounts stay below the new root then, and what the host unmounts would be held here for ever.
        bail!("linux.rootfsPropagation: private is not safe without pivot_root; leave out --no-pivot, or say rslave");
    }
    let shared = matches!(propagation, Some((sys::SHARED, _)));
    steps.add(
        ROOT,
        match (namespaces.has(CLONE_NEWNS), facts.no_pivot) {
            (true, false) => Op::PivotRoot { shared },
            (true, true) => Op::MoveRoot,
            // Without a mount namespace a pivot_root would take the root from the whole host.
            (false, _) => Op::Chroot,
        },
    );
    // pivot_root refuses a shared mount.
    if let Some((flags, recursive)) = propagation {
        steps.add(ORIGIN, Op::Propagation { flags, recursive });
    }
    Ok(())
}
