//! `linux.resources` of config.json (runtime-spec 1.3, config-linux.md, "Control groups"). `bolo update --resources`
//! reads the same.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Structures whose members may all be absent.
macro_rules! resources {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $(
            #[serde(skip_serializing_if = "Option::is_none")]
            $(#[$field_meta])*
            pub $field: Option<$kind>,
        )* }

        impl LayOver for $name {
            fn lay_over(&mut self, new: Self) {
                $(match (&mut self.$field, new.$field) {
                    (_, None) => {}
                    (Some(old), Some(new)) => old.lay_over(new),
                    (old, new) => *old = new,
                })*
            }
        }
    )*};
}

/// `update`: what is new is laid over what there is. A list of rules about devices or of limits for devices goes behind
/// the old one: the last word counts.
pub trait LayOver {
    fn lay_over(&mut self, new: Self);
}

macro_rules! replaced {
    ($($kind:ty)*) => {$(
        impl LayOver for $kind {
            fn lay_over(&mut self, new: Self) {
                *self = new;
            }
        }
    )*};
}

replaced!(bool i64 u16 u32 u64 String);

impl<T: PartialEq> LayOver for Vec<T> {
    fn lay_over(&mut self, new: Self) {
        // What is said again counts where it is said last.
        self.retain(|old| !new.contains(old));
        self.extend(new);
    }
}

impl<T> LayOver for BTreeMap<String, T> {
    fn lay_over(&mut self, new: Self) {
        self.extend(new);
    }
}

resources! {
    pub struct Resources {
        pub unified: BTreeMap<String, String>,
        pub devices: Vec<DeviceRule>,
        pub memory: Memory,
        pub cpu: Cpu,
        pub pids: Pids,
        #[serde(rename = "blockIO")]
        pub block_io: BlockIo,
        pub hugepage_limits: Vec<HugepageLimit>,
        pub network: Network,
        pub rdma: BTreeMap<String, Rdma>,
    }

    pub struct DeviceRule {
        pub allow: bool,
        /// `a` (all), `c` or `b`; absent is `a`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Absent or -1 is every number.
        pub major: i64,
        pub minor: i64,
        /// Of `r`, `w`, `m`; absent or empty is all three.
        pub access: String,
    }

    /// Bytes; -1 is unlimited.
    pub struct Memory {
        pub limit: i64,
        pub reservation: i64,
        /// Memory and swap together.
        pub swap: i64,
        pub kernel: i64,
        #[serde(rename = "kernelTCP")]
        pub kernel_tcp: i64,
        /// 0 to 100.
        pub swappiness: u64,
        #[serde(rename = "disableOOMKiller")]
        pub disable_oom_killer: bool,
        pub use_hierarchy: bool,
        pub check_before_update: bool,
    }

    /// Times are microseconds.
    pub struct Cpu {
        pub shares: u64,
        /// -1 is unlimited.
        pub quota: i64,
        pub burst: u64,
        pub period: u64,
        pub realtime_runtime: i64,
        pub realtime_period: u64,
        pub cpus: String,
        pub mems: String,
        pub idle: i64,
    }

    pub struct Pids {
        /// -1 is unlimited.
        pub limit: i64,
    }

    /// Weights are 10 to 1000; 0 is unset.
    pub struct BlockIo {
        pub weight: u16,
        pub leaf_weight: u16,
        pub weight_device: Vec<WeightDevice>,
        pub throttle_read_bps_device: Vec<ThrottleDevice>,
        pub throttle_write_bps_device: Vec<ThrottleDevice>,
        #[serde(rename = "throttleReadIOPSDevice")]
        pub throttle_read_iops_device: Vec<ThrottleDevice>,
        #[serde(rename = "throttleWriteIOPSDevice")]
        pub throttle_write_iops_device: Vec<ThrottleDevice>,
    }

    pub struct WeightDevice {
        pub major: i64,
        pub minor: i64,
        pub weight: u16,
        pub leaf_weight: u16,
    }

    pub struct ThrottleDevice {
        pub major: i64,
        pub minor: i64,
        /// Bytes or operations per second.
        pub rate: u64,
    }

    pub struct HugepageLimit {
        /// `2MB`, `1GB`: the kernel's name of the size.
        pub page_size: String,
        /// Bytes.
        pub limit: u64,
    }

    pub struct Network {
        #[serde(rename = "classID")]
        pub class_id: u32,
        pub priorities: Vec<InterfacePriority>,
    }

    pub struct InterfacePriority {
        pub name: String,
        pub priority: u32,
    }

    pub struct Rdma {
        pub hca_handles: u32,
        pub hca_objects: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_new_is_laid_over_what_there_is() {
        let read = |value| serde_json::from_value::<Resources>(value).unwrap();
        let mut resources = read(json!({
            "memory": {"limit": 1, "swap": 2}, "pids": {"limit": 3}, "unified": {"a.b": "1", "a.c": "1"},
            "devices": [{"allow": true, "type": "c", "major": 1}, {"allow": false, "type": "c", "major": 2}]
        }));
        resources.lay_over(read(json!({
            "memory": {"limit": 5}, "cpu": {"shares": 7}, "unified": {"a.c": "2"},
            "devices": [{"allow": true, "type": "c", "major": 1}]
        })));
        let expected = read(json!({
            "memory": {"limit": 5, "swap": 2}, "pids": {"limit": 3}, "cpu": {"shares": 7},
            "unified": {"a.b": "1", "a.c": "2"},
            "devices": [{"allow": false, "type": "c", "major": 2}, {"allow": true, "type": "c", "major": 1}]
        }));
        assert_eq!(resources, expected);
    }
}
