//! What has to come before what, as code: a rule for each hole that another order would open. The planner keeps this order
//! by itself; this is the second look, at every plan.

use super::Plan;
use super::step::{Op, Step};
use crate::bail;
use crate::error::Result;

type Kind = fn(&Op) -> bool;

macro_rules! kinds {
    ($($name:ident = $pattern:pat,)*) => {
        $(fn $name(op: &Op) -> bool { matches!(op, $pattern) })*
    };
}

kinds! {
    go = Op::AwaitGo,
    joins = Op::JoinNamespaces(_) | Op::JoinContainer(_) | Op::UnshareTime { .. } | Op::CloneAgain(_),
    becomes_root = Op::BecomeRoot,
    names = Op::Hostname(_) | Op::Domainname(_) | Op::LoopbackUp,
    propagates = Op::RootPropagation(_) | Op::PrivateParent,
    enters = Op::EnterRootfs(_),
    mounts = Op::Mount(_) | Op::Device(_) | Op::Link { .. },
    asks_hooks = Op::AskHooks,
    create_hooks = Op::Hooks { kind: "createContainer", .. },
    console = Op::Console { bind: true, .. },
    sysctl = Op::Sysctl { .. },
    covers = Op::MaskPath(_) | Op::ReadonlyPath(_) | Op::ReadonlyMount { .. },
    leaves = Op::PivotRoot { .. } | Op::MoveRoot | Op::Chroot,
    places = Op::Chdir(_) | Op::Home(_) | Op::FindProgram { .. },
    ready = Op::TellReady,
    start = Op::AwaitStart | Op::Hooks { kind: "startContainer", .. },
    meets = Op::AwaitGo | Op::AskHooks | Op::CloneAgain(_) | Op::Console { .. },
    label = Op::Label(_),
    groups = Op::AdditionalGroups(_),
    gid = Op::Gid(_),
    bounding = Op::BoundingSet(_),
    uid = Op::Uid(_),
    stdio = Op::OwnStdio(_),
    becomes_user = Op::AdditionalGroups(_) | Op::Gid(_) | Op::BoundingSet(_) | Op::OwnStdio(_) | Op::Uid(_),
    capabilities = Op::Capabilities(_),
    ambient = Op::AmbientSet(_),
    no_new_privileges = Op::NoNewPrivileges,
    closes = Op::CloseRange { .. },
    filter = Op::Seccomp(_),
    exec = Op::Exec { .. },
}

fn attaches(op: &Op) -> bool {
    mounts(op) || covers(op) || console(op)
}

fn is_between(op: &Op) -> bool {
    !go(op) && !exec(op)
}

/// All of the first before any of the second, and why.
const ORDER: [(Kind, Kind, &str); 30] = [
    (go, is_between, "before the parent has done its part there are no maps, no limits and no cgroup"),
    (joins, becomes_root, "only in its user namespace it is root of that"),
    (joins, names, "or the host gets the container's name"),
    (becomes_root, names, "the owner of the namespace names it"),
    (becomes_root, attaches, "what is made belongs to the container's root"),
    (joins, propagates, "or the host's mounts change"),
    (propagates, enters, "or the host sees the container's mounts"),
    (enters, attaches, "targets are below the root filesystem"),
    (attaches, leaves, "no path of the host has a meaning below pivot_root"),
    (mounts, asks_hooks, "config.md, Prestart: hooks find what was mounted"),
    (asks_hooks, create_hooks, "config.md: createRuntime before createContainer"),
    (create_hooks, leaves, "config.md, CreateContainer Hooks: before pivot_root"),
    (create_hooks, covers, "what the hooks mount is masked, too"),
    (mounts, console, "the terminal is of the container's devpts"),
    (sysctl, covers, "readonlyPaths makes /proc/sys read-only"),
    (leaves, places, "a directory of the host leads out of the container (CVE-2024-21626)"),
    (places, ready, "whoever calls create hears of a program that is not there"),
    (ready, start, "who says start has seen create return"),
    (meets, ready, "nobody is there to be met after create"),
    (start, becomes_user, "config.md, StartContainer Hooks: as the container's root"),
    (label, uid, "the user may not write it"),
    (groups, gid, "setgroups takes a capability that goes with the user"),
    (gid, uid, "setresgid takes a capability that goes with the user"),
    (bounding, uid, "the bounding set takes a capability that goes with the user"),
    (stdio, uid, "the owner of a file gives it away only with a capability that goes with the user"),
    (uid, capabilities, "the change of the user clears the effective ones"),
    (capabilities, ambient, "they are taken from the permitted and inheritable ones"),
    (no_new_privileges, filter, "without no_new_privs only the privileged may load a filter"),
    (closes, filter, "the filter may well refuse close_range"),
    (is_between, exec, "nothing of ours runs below exec"),
];

/// Exactly one of them, and why.
const ONCE: [(Kind, &str); 10] = [
    (go, "the parent does its part once"),
    (ready, "create returns once"),
    (groups, "or the container has its caller's groups"),
    (gid, "or the container has its caller's group"),
    (bounding, "or programs get what config.json does not say"),
    (uid, "or the container has its caller's user"),
    (capabilities, "or the container has its caller's"),
    (ambient, "or the container has its caller's"),
    (closes, "descriptors of the host lead out of the container (CVE-2024-21626)"),
    (exec, "a plan ends in a program"),
];

impl Plan {
    /// An error is a fault of the planner, and the end before the clone.
    pub fn check(&self) -> Result<()> {
        for (kind, why) in ONCE {
            let mut found = self.steps.iter().filter(|step| kind(&step.op));
            if found.next().is_none() {
                bail!("a plan lacks a step: {why}");
            }
            if let Some(second) = found.next() {
                bail!("a plan has twice: {}: {why}", second.op);
            }
        }
        for (first, then, why) in ORDER {
            let mut rest = self.steps.iter().skip_while(|step| !then(&step.op));
            let Some(early) = rest.next() else { continue };
            if let Some(late) = rest.find(|step| first(&step.op)) {
                bail!("a plan is in the wrong order: {} before {}: {why}", early.op, late.op);
            }
        }
        self.check_filter()
    }

    /// Where the filter goes depends on what it needs.
    fn check_filter(&self) -> Result<()> {
        let place = |kind: Kind| self.steps.iter().position(|step| kind(&step.op));
        let filters = self.steps.iter().enumerate().filter_map(|(at, Step { op, .. })| match op {
            Op::Seccomp(filter) => Some((at, filter)),
            _ => None,
        });
        for (at, filter) in filters {
            if filter.listener.is_some() {
                if place(ready) < Some(at) {
                    bail!("a plan loads a filter with an agent when the parent, who reaches the agent, has gone");
                }
            } else if place(no_new_privileges).is_none() {
                if place(becomes_user) < Some(at) {
                    bail!("a plan loads a filter without no_new_privs as the user, who may not");
                }
            } else if place(exec) != Some(at + 1) {
                bail!("a plan does more below its filter than exec, though no_new_privs allows the filter to be last");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::plan::{Facts, container};
    use crate::runtime::spec::Spec;

    /// A plan with a step of nearly every kind.
    fn plan() -> Plan {
        let spec = serde_json::from_str::<Spec>(
            r#"{
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs", "readonly": true},
            "hostname": "tart",
            "process": {"cwd": "/srv", "args": ["true"], "terminal": true, "noNewPrivileges": true,
                "apparmorProfile": "p", "user": {"uid": 7, "gid": 7, "additionalGids": [8]}},
            "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs", "options": ["ro"]}],
            "hooks": {"prestart": [{"path": "/a"}], "createContainer": [{"path": "/b"}], "startContainer": [{"path": "/c"}]},
            "linux": {
                "namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "network"}, {"type": "ipc"}, {"type": "user"}],
                "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
                "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
                "sysctl": {"net.ipv4.ip_forward": "1"},
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]},
                "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]
            }}"#,
        );
        container(&spec.unwrap(), &Facts { bundle: "/b", id: "i", ..Facts::default() }).unwrap()
    }

    fn at(plan: &Plan, kind: Kind) -> usize {
        plan.steps.iter().position(|step| kind(&step.op)).unwrap()
    }

    #[test]
    fn the_planner_keeps_every_rule() {
        plan().check().unwrap();
    }

    /// Each rule can be broken, and is then named.
    #[test]
    fn a_step_out_of_its_place_is_found() {
        let mut tried = 0;
        for (first, then, why) in ORDER {
            let mut plan = plan();
            let steps = &plan.steps;
            let (Some(from), Some(to)) =
                (steps.iter().rposition(|step| first(&step.op)), steps.iter().position(|step| then(&step.op)))
            else {
                continue;
            };
            let step = plan.steps.remove(from);
            plan.steps.insert(to, step);
            let error = plan.check().unwrap_err().to_string();
            assert!(error.starts_with("a plan is in the wrong order"), "{why}: {error}");
            tried += 1;
        }
        // A user namespace is joined or new.
        assert_eq!(tried, ORDER.len() - 3);
    }

    #[test]
    fn a_step_that_is_missing_or_there_twice_is_found() {
        for (kind, why) in ONCE {
            let mut plan = plan();
            let place = at(&plan, kind);
            plan.steps.remove(place);
            assert!(plan.check().unwrap_err().to_string().ends_with(why), "{why}");
        }
        let mut plan = plan();
        plan.steps.insert(0, Step { origin: crate::runtime::plan::step::Origin::Always, op: Op::AwaitGo });
        assert!(plan.check().unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_filter_is_last_where_it_can_be() {
        let mut plan = plan();
        let place = at(&plan, filter);
        let step = plan.steps.remove(place);
        plan.steps.insert(at(&plan, ambient) - 1, step);
        let closing = at(&plan, closes);
        let step = plan.steps.remove(closing);
        plan.steps.insert(at(&plan, label), step);
        assert!(plan.check().unwrap_err().to_string().contains("below its filter"));
        plan.steps.retain(|step| !no_new_privileges(&step.op));
        assert!(plan.check().unwrap_err().to_string().contains("as the user"));
    }
}
