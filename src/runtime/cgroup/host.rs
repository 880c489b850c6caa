//! Which cgroup hierarchies this host has, and where.

use crate::error::{Context, Result};
use crate::sys::root::Root;
use crate::sys::{fd, mount};
use crate::{bail, sys::OFlag};
use std::ffi::CStr;
use std::path::Path;

/// Where systemd, the kernel's documentation and every container expect cgroups.
pub(super) const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// What version 1 hierarchies can be asked for. Other named hierarchies belong to whoever made them.
const V1_CONTROLLERS: [&str; 15] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
    "name=systemd",
];

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) mount: String,
    /// Which directory of the hierarchy is seen at `mount`: not `/` in a container without a cgroup namespace.
    pub(super) root: String,
    /// Version 1: what it controls. None: it is the version 2 tree.
    pub(super) controllers: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Version 2 is all there is.
    pub(super) unified: bool,
    pub(super) hierarchies: Vec<Hierarchy>,
}

impl Host {
    pub(super) fn detect() -> Result<Host> {
        let root = Root::open(Path::new(MOUNT_POINT)).with(|| format!("open {MOUNT_POINT}"))?;
        if mount::filesystem_type(&root).context("statfs /sys/fs/cgroup")? == mount::CGROUP2_SUPER_MAGIC {
            // `root` matters to nobody here: in a cgroup namespace it is `/`, and without one only relative paths need
            // it, which are below what /proc/self/cgroup says.
            let v2 = Hierarchy { mount: MOUNT_POINT.into(), root: "/".into(), controllers: Vec::new() };
            return Ok(Host { unified: true, hierarchies: vec![v2] });
        }
        let hierarchies = parse_mountinfo(&read(c"/proc/self/mountinfo")?);
        if hierarchies.is_empty() {
            bail!("no cgroup hierarchy is mounted below {MOUNT_POINT}: mount cgroup2 there");
        }
        Ok(Host { unified: false, hierarchies })
    }
}

/// A file of /proc that is about this process.
pub(super) fn read(path: &CStr) -> Result<String> {
    const LIMIT: usize = 16 << 20;
    let name = || format!("read {}", path.to_string_lossy());
    let file = fd::open(path, OFlag::O_RDONLY).with(name)?;
    let bytes = fd::read_up_to(file, LIMIT).with(name)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The cgroup mounts below [`MOUNT_POINT`]; of a hierarchy that is mounted twice, the first one. See
/// proc_pid_mountinfo(5): `36 35 98:0 /root /mount/point options tags... - type source super-options`.
fn parse_mountinfo(text: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut left = left.split(' ').skip(3);
        let (Some(root), Some(point)) = (left.next(), left.next()) else { continue };
        let mut right = right.split(' ');
        let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
        let controllers: Vec<String> = match kind {
            Some("cgroup2") => Vec::new(),
            Some("cgroup") => {
                options.split(',').filter(|word| V1_CONTROLLERS.contains(word)).map(str::to_owned).collect()
            }
            _ => continue,
        };
        let inside = Path::new(point).starts_with(MOUNT_POINT);
        let useful = kind == Some("cgroup2") || !controllers.is_empty();
        // An escaped character (a space, say) is in no path that anybody mounts cgroups at.
        if inside && useful && !point.contains('\\') && !found.iter().any(|other| other.controllers == controllers) {
            found.push(Hierarchy { mount: point.to_owned(), root: root.to_owned(), controllers });
        }
    }
    found
}

/// In which cgroup of each hierarchy a process is, as /proc/PID/cgroup tells: `4:memory:/a/b`, `0::/a/b`.
pub(super) fn parse_proc_cgroup<'a>(text: &'a str, controllers: &[String]) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let same = match controllers.first() {
            None => names.is_empty(),
            Some(first) => names.split(',').any(|name| name == first),
        };
        same.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw,relatime shared:3 master:1 - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/elogind rw - cgroup cgroup rw,xattr,name=elogind
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:38 / /mnt/elsewhere rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn mounts_of_a_hybrid_host() {
        let found = parse_mountinfo(HYBRID);
        let brief: Vec<_> =
            found.iter().map(|h| (h.mount.as_str(), h.root.as_str(), h.controllers.join("+"))).collect();
        assert_eq!(
            brief,
            [
                ("/sys/fs/cgroup/cpu,cpuacct", "/", "cpu+cpuacct".to_owned()),
                ("/sys/fs/cgroup/memory", "/docker/abc", "memory".to_owned()),
                ("/sys/fs/cgroup/systemd", "/", "name=systemd".to_owned()),
                ("/sys/fs/cgroup/unified", "/", String::new()),
            ]
        );
    }

    #[test]
    fn own_cgroups() {
        let text = "9:name=systemd:/s\n4:memory:/a:b/c\n1:cpu,cpuacct:/\n0::/u\n";
        let of = |name: &str| parse_proc_cgroup(text, &[name.to_owned()]);
        assert_eq!(of("memory"), Some("/a:b/c"));
        assert_eq!(of("cpuacct"), Some("/"));
        assert_eq!(of("name=systemd"), Some("/s"));
        assert_eq!(of("pids"), None);
        assert_eq!(parse_proc_cgroup(text, &[]), Some("/u"));
    }

    #[test]
    fn this_host_has_some() {
        assert!(!Host::detect().unwrap().hierarchies.is_empty());
    }
}
