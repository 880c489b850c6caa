//! `linux.resources.blockIO`.

use super::super::setting::{Setting, Version};
use crate::bail;
use crate::error::Result;
use crate::runtime::spec::resources::{BlockIo, ThrottleDevice, WeightDevice};

const ORIGIN: &str = "linux.resources.blockIO";
const IO_MAX: &str = "rbps=max wbps=max riops=max wiops=max";

pub(super) fn plan(io: &BlockIo, version: Version) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    plan_weights(io, version, &mut settings)?;
    for (devices, member, v1, v2) in [
        (&io.throttle_read_bps_device, "throttleReadBpsDevice", "read_bps", "rbps"),
        (&io.throttle_write_bps_device, "throttleWriteBpsDevice", "write_bps", "wbps"),
        (&io.throttle_read_iops_device, "throttleReadIOPSDevice", "read_iops", "riops"),
        (&io.throttle_write_iops_device, "throttleWriteIOPSDevice", "write_iops", "wiops"),
    ] {
        for (index, device) in devices.iter().flatten().enumerate() {
            let origin = format!("{ORIGIN}.{member}[{index}]");
            settings.push(throttle(device, origin, version, v1, v2));
        }
    }
    Ok(settings)
}

fn throttle(device: &ThrottleDevice, origin: String, version: Version, v1: &str, v2: &str) -> Setting {
    let number = numbers(device.major, device.minor);
    let rate = device.rate.unwrap_or_default();
    match version {
        Version::V1 => {
            Setting::new("blkio", format!("blkio.throttle.{v1}_device"), format!("{number} {rate}"), origin).unset("0")
        }
        // 0 is no limit in config.json and in version 1; version 2 refuses it.
        Version::V2 if rate == 0 => Setting::new("blkio", "io.max", format!("{number} {v2}=max"), origin).unset(IO_MAX),
        Version::V2 => Setting::new("blkio", "io.max", format!("{number} {v2}={rate}"), origin).unset(IO_MAX),
    }
}

fn plan_weights(io: &BlockIo, version: Version, settings: &mut Vec<Setting>) -> Result<()> {
    if let Some(weight) = checked(io.weight, &format!("{ORIGIN}.weight"))? {
        settings.push(weight_setting(version, &format!("{ORIGIN}.weight"), None, weight));
    }
    if let Some(weight) = checked(io.leaf_weight, &format!("{ORIGIN}.leafWeight"))? {
        settings.push(leaf_weight(version, format!("{ORIGIN}.leafWeight"), "blkio.leaf_weight", weight.to_string())?);
    }
    for (index, device) in io.weight_device.iter().flatten().enumerate() {
        plan_weight_device(device, &format!("{ORIGIN}.weightDevice[{index}]"), version, settings)?;
    }
    Ok(())
}

fn plan_weight_device(
    device: &WeightDevice,
    origin: &str,
    version: Version,
    settings: &mut Vec<Setting>,
) -> Result<()> {
    let number = numbers(device.major, device.minor);
    if let Some(weight) = checked(device.weight, &format!("{origin}.weight"))? {
        settings.push(weight_setting(version, &format!("{origin}.weight"), Some(&number), weight));
    }
    if let Some(weight) = checked(device.leaf_weight, &format!("{origin}.leafWeight"))? {
        let value = format!("{number} {weight}");
        let setting = leaf_weight(version, format!("{origin}.leafWeight"), "blkio.leaf_weight_device", value)?;
        settings.push(setting.unset("0"));
    }
    Ok(())
}

/// The weight of everything, or of one device. Whose file there is depends on the I/O scheduler: BFQ has its own, on both
/// versions; version 1 had CFQ's up to KERNEL(5.0), and version 2 has the cost model's, in its own range.
fn weight_setting(version: Version, origin: &str, device: Option<&str>, weight: u16) -> Setting {
    let set = |file: &str, value: u64| match device {
        Some(device) => Setting::new("blkio", file, format!("{device} {value}"), origin).unset("default"),
        None => Setting::new("blkio", file, value, origin),
    };
    let weight = u64::from(weight);
    match (version, device) {
        (Version::V1, None) => set("blkio.weight", weight).or_instead(set("blkio.bfq.weight", weight)),
        (Version::V1, Some(_)) => {
            let instead = set("blkio.bfq.weight_device", weight).unset("0");
            set("blkio.weight_device", weight).unset("0").or_instead(instead)
        }
        (Version::V2, _) => set("io.bfq.weight", weight).or_instead(set("io.weight", io_weight(weight))),
    }
}

/// From 10 to 1000 to 1 to 10000.
pub(super) fn io_weight(weight: u64) -> u64 {
    1 + (weight.max(10) - 10) * 9999 / 990
}

fn leaf_weight(version: Version, origin: String, file: &str, value: String) -> Result<Setting> {
    if version == Version::V2 {
        bail!("{origin}: cgroup version 2 has no weights of leaves");
    }
    Ok(Setting::new("blkio", file, value, origin))
}

fn checked(weight: Option<u16>, origin: &str) -> Result<Option<u16>> {
    match weight {
        None | Some(0) => Ok(None),
        Some(10..=1000) => Ok(weight),
        Some(weight) => bail!("{origin}: {weight} is not in the range 10 to 1000"),
    }
}

fn numbers(major: Option<i64>, minor: Option<i64>) -> String {
    format!("{}:{}", major.unwrap_or_default(), minor.unwrap_or_default())
}
