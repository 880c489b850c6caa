//! linux.netDevices: which of the host's network devices move into the container, and under which names.

use super::namespaces::Namespaces;
use super::{Facts, NetDevice, Steps};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::Linux;
use crate::sys::process::CLONE_NEWNET;

/// IFNAMSIZ of netdevice(7), less the zero at the end.
const NAME_MAX: usize = 15;

pub(super) fn plan(steps: &mut Steps, linux: &Linux, namespaces: &Namespaces, facts: &Facts) -> Result<()> {
    let Some(devices) = linux.net_devices.as_ref().filter(|devices| !devices.is_empty()) else { return Ok(()) };
    if facts.rootless {
        bail!("linux.netDevices: only root may move network devices");
    }
    let launch = &mut steps.plan.launch;
    for (name, device) in devices {
        check_name(name, false).map_err(|why| why.context(format!("linux.netDevices.{name}")))?;
        let rename = if device.name.is_empty() { name } else { &device.name };
        check_name(rename, true).map_err(|why| why.context(format!("linux.netDevices.{name}.name")))?;
        if let Some(other) = launch.net_devices.iter().find(|other| other.rename == *rename && !rename.contains('%')) {
            bail!("linux.netDevices.{name}.name: {rename} is what {} is to be called, too", other.name);
        }
        launch.net_devices.push(NetDevice { name: name.clone(), rename: rename.clone() });
    }
    launch.network = namespaces.joined.iter().find(|namespace| namespace.flag == CLONE_NEWNET).cloned();
    Ok(())
}

/// What the kernel takes as the name of a device, or as the pattern of one.
fn check_name(name: &str, pattern: bool) -> Result<()> {
    let plain = if pattern { name.replacen("%d", "0", 1) } else { name.to_owned() };
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || "/:%".contains(c);
    if plain.is_empty() || plain.len() > NAME_MAX || [".", ".."].contains(&&*plain) || plain.contains(is_bad) {
        bail!("{name:?} is no name of a network device (at most {NAME_MAX} bytes, without spaces, / : and %)");
    }
    Ok(())
}
