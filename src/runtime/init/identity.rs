//! Who the program is.

use super::fault::{At, Fault, Part};
use crate::sys::{Errno, fd, identity, tree};

/// A bit for each; the kernel has fewer.
const CAPABILITIES_MAX: u8 = 63;

pub(super) fn groups(groups: &[u32]) -> Result<(), Fault> {
    match identity::setgroups(groups) {
        // A user namespace whose owner may not set groups: there are none to drop but what everybody has there.
        Err(Errno::EPERM) if groups.is_empty() => Ok(()),
        other => other.at(Part::Whole),
    }
}

pub(super) fn bounding(keep: u64) -> Result<(), Fault> {
    for capability in 0..=CAPABILITIES_MAX {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match identity::drop_bounding(capability) {
            // The kernel's last capability was the one before.
            Err(Errno::EINVAL) => return Ok(()),
            other => other.at(Part::Whole)?,
        }
    }
    Ok(())
}

pub(super) fn user(uid: u32) -> Result<(), Fault> {
    if uid != 0 {
        identity::set_keep_capabilities(true).at(Part::Whole)?;
    }
    identity::setresuid(uid).at(Part::Whole)
}

pub(super) fn ambient(bits: u64) -> Result<(), Fault> {
    // What our caller had is not the container's.
    identity::clear_ambient().at(Part::Whole)?;
    for capability in (0..=CAPABILITIES_MAX).filter(|capability| bits & (1 << capability) != 0) {
        identity::raise_ambient(capability).at_detail(Part::Whole, capability.into())?;
    }
    Ok(())
}

/// A pipe or terminal that another user's process made is opened again by name, as /dev/stdout, only by its owner.
pub(super) fn own_stdio(uid: u32) -> Result<(), Fault> {
    for number in 0..=2 {
        let Ok(standard) = fd::borrow(number) else { continue };
        let stat = fd::stat(standard).at(Part::Whole)?;
        if stat.uid == uid || stat.is_char_device(1, 3) {
            continue;
        }
        match tree::fchown(standard, uid, u32::MAX) {
            Ok(()) | Err(Errno::EINVAL | Errno::EPERM | Errno::EROFS) => {}
            other => other.at(Part::Owner)?,
        }
    }
    Ok(())
}
