//! What `linux.cgroupsPath` may be, and where it leads in each hierarchy.

use super::host::{Hierarchy, Host};
use super::place::{Place, join, of_process};
use crate::bail;
use crate::error::Result;

/// Where a container lives: one place in each hierarchy, with the cgroupfs driver.
pub(super) fn places(host: &Host, cgroups_path: Option<&str>, id: &str, proc_cgroup: &str) -> Result<Vec<Place>> {
    let path = cgroups_path.unwrap_or(id);
    let below = clean(path)?;
    let place = |hierarchy: &Hierarchy| {
        if path.starts_with('/') {
            return Place::new(hierarchy, below.clone());
        }
        // Relative is relative to our own cgroup; on version 2 to the one above it, because a cgroup that holds a
        // process (us) cannot hand controllers down (cgroups(7), "no internal processes").
        let own = of_process(hierarchy, proc_cgroup).unwrap_or_default();
        let above = if host.unified { own.rsplit_once('/').map_or("", |(above, _)| above) } else { &own };
        Place::new(hierarchy, join(above, &below))
    };
    Ok(host.hierarchies.iter().map(place).collect())
}

/// A path without `.`, empty components and slashes at its ends. `..` is refused: nothing ever leads out of the place
/// where the administrator put us.
pub(super) fn clean(path: &str) -> Result<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => bail!("linux.cgroupsPath {path:?}: \"..\" is not allowed"),
            _ if part.contains(['\0', '\n']) => bail!("linux.cgroupsPath {path:?}: a line end or NUL is not allowed"),
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        bail!("linux.cgroupsPath {path:?} is the root, which a container cannot have");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(unified: bool, hierarchies: &[(&str, &str, &[&str])]) -> Host {
        let hierarchies = hierarchies
            .iter()
            .map(|(mount, root, controllers)| Hierarchy {
                mount: (*mount).to_owned(),
                root: (*root).to_owned(),
                controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
            })
            .collect();
        Host { unified, hierarchies }
    }

    fn paths(host: &Host, path: Option<&str>, proc_cgroup: &str) -> Vec<String> {
        places(host, path, "id", proc_cgroup).unwrap().iter().map(Place::shown).collect()
    }

    #[test]
    fn version_2() {
        let host = host(true, &[("/sys/fs/cgroup", "/", &[])]);
        let own = "0::/user.slice/session-1.scope\n";
        assert_eq!(paths(&host, Some("/a//b/./c/"), own), ["/sys/fs/cgroup/a/b/c"]);
        assert_eq!(paths(&host, Some("a/b"), own), ["/sys/fs/cgroup/user.slice/a/b"]);
        assert_eq!(paths(&host, None, own), ["/sys/fs/cgroup/user.slice/id"]);
        assert_eq!(paths(&host, None, "0::/\n"), ["/sys/fs/cgroup/id"]);
    }

    #[test]
    fn version_1_and_hybrid() {
        let host =
            host(false, &[("/sys/fs/cgroup/memory", "/docker/x", &["memory"]), ("/sys/fs/cgroup/unified", "/", &[])]);
        let own = "4:memory:/docker/x/y\n0::/u\n";
        assert_eq!(paths(&host, Some("/a"), own), ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/unified/a"]);
        assert_eq!(paths(&host, None, own), ["/sys/fs/cgroup/memory/y/id", "/sys/fs/cgroup/unified/u/id"]);
        // A process seen from another cgroup namespace.
        let own = "4:memory:/../z\n0::/../../u\n";
        assert_eq!(paths(&host, None, own), ["/sys/fs/cgroup/memory/id", "/sys/fs/cgroup/unified/id"]);
    }

    #[test]
    fn nothing_leads_out() {
        for path in ["..", "/..", "../../etc", "/a/../../b", "a/..", "/", "", ".", "a\0b", "a\nb"] {
            assert!(clean(path).is_err(), "{path:?}");
        }
        assert_eq!(clean("/..a/b../...").unwrap(), "..a/b../...");
    }
}
