//! Labels of security modules that this kernel does not have: an engine that labels everything runs here too, and is told.

use super::spec::Spec;
use std::path::Path;

/// Takes out of config.json what no security module here would read; a warning for each.
pub fn drop_foreign(spec: &mut Spec) -> Vec<String> {
    let (mut labels, mut warnings) = (Vec::new(), Vec::new());
    if let Some(linux) = &mut spec.linux {
        labels.push(("linux.mountLabel", &mut linux.mount_label, SELINUX));
    }
    if let Some(process) = &mut spec.process {
        labels.push(("process.selinuxLabel", &mut process.selinux_label, SELINUX));
        labels.push(("process.apparmorProfile", &mut process.apparmor_profile, APPARMOR));
    }
    for (field, label, (module, sign)) in labels {
        if !label.is_empty() && !Path::new(sign).exists() {
            warnings.push(format!("{field}: passing over {label:?}, for this kernel has no {module}"));
            label.clear();
        }
    }
    warnings
}

/// A security module, and what is there when it is on.
type Module = (&'static str, &'static str);

/// The directory is the mount point that the module itself makes.
const SELINUX: Module = ("SELinux", "/sys/fs/selinux");
const APPARMOR: Module = ("AppArmor", "/proc/self/attr/apparmor");
