//! linux.readonlyPaths and maskedPaths.

use super::namespaces::Namespaces;
use super::step::{Op, Origin};
use super::{Steps, cstring};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::Linux;
use crate::sys::process::CLONE_NEWNS;

pub(super) fn plan(steps: &mut Steps, linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    if !namespaces.has(CLONE_NEWNS) {
        return Ok(());
    }
    for (index, path) in linux.readonly_paths.iter().flatten().enumerate() {
        let origin = Origin::Item("linux.readonlyPaths", index);
        absolute(path, origin)?;
        steps.add(origin, Op::ReadonlyPath(cstring(path, origin)?));
    }
    for (index, path) in linux.masked_paths.iter().flatten().enumerate() {
        let origin = Origin::Item("linux.maskedPaths", index);
        absolute(path, origin)?;
        steps.add(origin, Op::MaskPath(cstring(path, origin)?));
    }
    Ok(())
}

fn absolute(path: &str, origin: Origin) -> Result<()> {
    if !path.starts_with('/') {
        bail!("{origin}: {path:?} is not an absolute path");
    }
    Ok(())
}
