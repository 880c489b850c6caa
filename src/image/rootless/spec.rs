//! What a runtime is asked for has to be what root in a user namespace can do.

use super::ids::Owners;
use crate::bail;
use crate::error::Result;
use serde_json::{Value, json};

/// Changes a runtime's configuration where we are not the host's root; the kernel would refuse what it says.
pub fn adapt(spec: &mut Value) -> Result<()> {
    match Owners::of_this_process() {
        Ok(owners) if !owners.is_host() => change(spec, &owners),
        _ => Ok(()),
    }
}

fn change(spec: &mut Value, owners: &Owners) -> Result<()> {
    let id = |name: &str| {
        let id = spec["process"]["user"][name].as_u64().unwrap_or(0);
        u32::try_from(id).unwrap_or(u32::MAX)
    };
    let (uid, gid) = (id("uid"), id("gid"));
    if !owners.has(uid, gid) {
        bail!("user {uid}:{gid} is none of the ids that /etc/subuid and /etc/subgid give you");
    }
    let namespaces = spec["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let shares = |kind: &str| !namespaces.iter().any(|entry| entry["type"] == kind);
    // These file systems show a namespace, and only who rules it mounts them anew.
    let shown = [("sysfs", "network"), ("mqueue", "ipc"), ("proc", "pid")].map(|(fs, kind)| (fs, shares(kind)));
    let mut bound = Vec::new();
    for mount in spec["mounts"].as_array_mut().into_iter().flatten() {
        let kind = mount["type"].as_str().unwrap_or_default().to_owned();
        if shown.contains(&(kind.as_str(), true)) {
            mount["type"] = json!("bind");
            mount["source"] = mount["destination"].clone();
            if let Some(options) = mount["options"].as_array_mut() {
                options.push(json!("rbind"));
            }
            bound.push(mount["destination"].clone());
        }
        if kind == "devpts" {
            // A terminal belongs to a group that must be there.
            let is_there = |option: &Value| {
                let gid = option.as_str().and_then(|option| option.strip_prefix("gid="));
                gid.and_then(|gid| gid.parse().ok()).is_none_or(|gid| owners.has(0, gid))
            };
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(is_there);
            }
        }
    }
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        // Not every host has message queues in its tree.
        let is_there = |path: &Value| path.as_str().is_some_and(|path| std::path::Path::new(path).is_dir());
        mounts.retain(|mount| !bound.contains(&mount["destination"]) || is_there(&mount["destination"]));
    }
    if owners.is_alone() {
        // Nobody else's groups can be taken on.
        spec["process"]["user"]["additionalGids"] = json!([]);
    }
    if let Some(linux) = spec["linux"].as_object_mut() {
        // Where the user's own cgroup is, the runtime finds out; what it may not do there it leaves.
        linux.remove("cgroupsPath");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_the_hosts_namespaces_is_bound() {
        let mut spec = json!({
            "linux": {"namespaces": [{"type": "ipc"}, {"type": "pid"}], "cgroupsPath": "/x"},
            "process": {"user": {"additionalGids": [1]}},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": []},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["gid=5", "mode=0620"]},
            ],
        });
        let owners: Owners = serde_json::from_value(json!({"uids": [[0, 7, 1]], "gids": [[0, 7, 1]]})).unwrap();
        change(&mut spec, &owners).unwrap();
        assert_eq!(spec["mounts"][0]["type"], "proc");
        assert_eq!(
            spec["mounts"][1],
            json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["ro", "rbind"]})
        );
        assert_eq!(spec["mounts"][2]["options"], json!(["mode=0620"]));
        assert_eq!(spec["linux"].get("cgroupsPath"), None);
        assert_eq!(spec["process"]["user"]["additionalGids"], json!([]));
        spec["process"]["user"]["uid"] = json!(33);
        assert!(change(&mut spec, &owners).unwrap_err().to_string().contains("user 33:0"));
    }
}
