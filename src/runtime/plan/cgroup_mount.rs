//! A mount of type cgroup: what it shows depends on what the host has (cgroups(7)).

use super::mounts::{Mount, ProcRule, TargetRule, What};
use super::namespaces::Namespaces;
use super::options::Options;
use super::step::{Op, Origin};
use super::{Facts, Steps, cstring};
use crate::error::Result;
use crate::runtime::spec::{self, Linux, Process, Spec};
use crate::sys::mount::{self as sys, Attributes};
use crate::sys::process::{CLONE_NEWCGROUP, CLONE_NEWUSER};

const MOUNT_POINT: &str = "/sys/fs/cgroup";

pub(super) fn plan(
    steps: &mut Steps,
    origin: Origin,
    target: String,
    options: Options,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Result<()> {
    let hierarchies: Vec<_> = facts.cgroup.iter().flat_map(|cgroup| cgroup.hierarchies()).collect();
    let own = namespaces.has(CLONE_NEWCGROUP);
    let v1: Vec<_> = hierarchies.iter().filter(|(.., controllers)| !controllers.is_empty()).collect();
    if v1.is_empty() {
        let unified = hierarchies.first().map(|(mount, path, _)| (*mount, *path));
        let mount = unified_mount(origin, &target, &options, own, unified, facts)?;
        steps.add(origin, Op::Mount(Box::new(mount)));
        return Ok(());
    }
    // Version 1: a tmpfs that holds a mount per hierarchy, and links for the names of those that share one.
    let mut holder = mount(origin, &target, &options)?;
    let read_only = holder.attributes.set & sys::MOUNT_ATTR_RDONLY != 0;
    holder.attributes.set &= !sys::MOUNT_ATTR_RDONLY;
    holder.propagation.clear();
    holder.what = What::Filesystem {
        fstype: c"tmpfs".to_owned(),
        options: vec![(c"source".to_owned(), Some(c"tmpfs".to_owned())), (c"mode".to_owned(), Some(c"755".to_owned()))],
        inherit_mode: false,
        copy_up: false,
        or_bind: None,
    };
    steps.add(origin, Op::Mount(Box::new(holder)));
    for (host, path, controllers) in v1 {
        let name = host.rsplit('/').next().unwrap_or(host);
        let at = format!("{target}/{name}");
        let mut below = mount(origin, &at, &options)?;
        below.what = if own {
            let mut options = vec![(c"source".to_owned(), Some(c"cgroup".to_owned()))];
            for controller in *controllers {
                options.push(match controller.split_once('=') {
                    Some(("name", value)) => (c"name".to_owned(), Some(cstring(value, origin)?)),
                    _ => (cstring(controller, origin)?, None),
                });
            }
            if controllers.iter().any(|controller| controller.starts_with("name=")) {
                options.push((c"none".to_owned(), None));
            }
            let or_bind = Some(cstring(&join(host, path), origin)?);
            What::Filesystem { fstype: c"cgroup".to_owned(), options, inherit_mode: false, copy_up: false, or_bind }
        } else {
            let source = cstring(&join(host, path), origin)?;
            // A user's may not have been made, for want of permission.
            let or_empty = facts.is_of_user();
            What::Bind { source, recursive: false, by_parent: false, exact: true, or_empty }
        };
        steps.add(origin, Op::Mount(Box::new(below)));
        for link in controllers.iter().filter(|controller| *controller != name && !controller.contains('=')) {
            let at = cstring(&format!("{target}/{link}"), origin)?;
            steps.add(origin, Op::Link { target: cstring(name, origin)?, at, replace: false });
        }
    }
    if read_only {
        let attributes = Attributes { set: sys::MOUNT_ATTR_RDONLY, ..Attributes::default() };
        steps.later(origin, Op::ReadonlyMount { target: cstring(&target, origin)?, attributes });
    }
    Ok(())
}

fn unified_mount(
    origin: Origin,
    target: &str,
    options: &Options,
    own: bool,
    unified: Option<(&str, &str)>,
    facts: &Facts,
) -> Result<Mount> {
    let mut mount = mount(origin, target, options)?;
    let here = unified.map_or(MOUNT_POINT.to_owned(), |(host, path)| join(host, path));
    mount.what = if own {
        What::Filesystem {
            fstype: c"cgroup2".to_owned(),
            options: vec![(c"source".to_owned(), Some(c"cgroup".to_owned()))],
            inherit_mode: false,
            copy_up: false,
            or_bind: Some(cstring(&here, origin)?),
        }
    } else {
        // Outside a cgroup namespace mount(2) would give the host's own mount our options (no nsdelegate, for one), and
        // wait ten milliseconds for that. For users, the whole tree would show, and let write, what their other services
        // have (CVE-2023-25809).
        let source = if facts.is_of_user() { &here } else { MOUNT_POINT };
        let source = cstring(source, origin)?;
        What::Bind { source, recursive: true, by_parent: false, exact: true, or_empty: facts.is_of_user() }
    };
    Ok(mount)
}

/// config-linux.md, "Cgroup ownership": with namespaces of its own for users and cgroups, and a version 2 cgroup that it
/// may write to, the cgroup is the container's.
pub(super) fn plan_owner(steps: &mut Steps, spec: &Spec, linux: &Linux, process: &Process, namespaces: &Namespaces) {
    let is_writable = |mount: &spec::Mount| {
        let options = Options::parse(mount.options.as_deref().unwrap_or_default());
        mount.kind.starts_with("cgroup")
            && options.bind.is_none()
            && options.attributes.set & sys::MOUNT_ATTR_RDONLY == 0
    };
    if namespaces.is_new(CLONE_NEWCGROUP) && namespaces.is_new(CLONE_NEWUSER) && spec.mounts.iter().any(is_writable) {
        let uid = process.user.uid;
        steps.plan.launch.cgroup_owner = linux.uid_mappings.iter().flatten().find_map(|map| {
            let offset = uid.checked_sub(map.container_id).filter(|offset| *offset < map.size)?;
            map.host_id.checked_add(offset)
        });
    }
}

fn mount(origin: Origin, target: &str, options: &Options) -> Result<Mount> {
    Ok(Mount {
        target: cstring(target, origin)?,
        target_rule: TargetRule::Directory,
        proc_rule: ProcRule::Forbid,
        what: What::Remount { options: Vec::new() },
        attributes: options.attributes,
        recursive: options.recursive,
        propagation: options.propagation.clone(),
        idmap: None,
    })
}

fn join(above: &str, below: &str) -> String {
    format!("{}/{}", above.trim_end_matches('/'), below.trim_start_matches('/'))
}
