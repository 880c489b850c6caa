//! linux.namespaces: which are new, which are joined, which stay the host's.

use super::mounts::map_text;
use super::step::{JoinedNamespace, Origin};
use super::{Facts, Steps, cstring};
use crate::bail;
use crate::error::Result;
use crate::runtime::plan::step::Op;
use crate::runtime::spec::{IdMapping, Linux, Spec};
use crate::sys::process as sys;

/// The specification's word, the kernel's flag, the name below /proc/PID/ns.
pub const KINDS: [(&str, i32, &str); 8] = [
    ("pid", sys::CLONE_NEWPID, "pid"),
    ("network", sys::CLONE_NEWNET, "net"),
    ("mount", sys::CLONE_NEWNS, "mnt"),
    ("ipc", sys::CLONE_NEWIPC, "ipc"),
    ("uts", sys::CLONE_NEWUTS, "uts"),
    ("user", sys::CLONE_NEWUSER, "user"),
    ("cgroup", sys::CLONE_NEWCGROUP, "cgroup"),
    ("time", sys::CLONE_NEWTIME, "time"),
];

const ORIGIN: Origin = Origin::Field("linux.namespaces");

#[derive(Debug, Default)]
pub struct Namespaces {
    /// CLONE_NEW* flags of those that are made for the container.
    pub new: i32,
    pub joined: Vec<JoinedNamespace>,
}

impl Namespaces {
    pub fn parse(linux: &Linux) -> Result<Namespaces> {
        let mut found = Namespaces::default();
        for (index, namespace) in linux.namespaces.iter().flatten().enumerate() {
            let Some(&(kind, flag, _)) = KINDS.iter().find(|kind| kind.0 == namespace.kind) else {
                bail!("linux.namespaces[{index}].type: unknown namespace \"{}\"", namespace.kind);
            };
            if found.has(flag) {
                bail!("linux.namespaces[{index}].type: {kind} is listed twice");
            }
            if namespace.path.is_empty() {
                found.new |= flag;
                continue;
            }
            if !namespace.path.starts_with('/') {
                bail!("linux.namespaces[{index}].path: {} is not an absolute path", namespace.path);
            }
            let path = cstring(&namespace.path, Origin::Item("linux.namespaces", index))?;
            found.joined.push(JoinedNamespace { kind, flag, path, index });
        }
        Ok(found)
    }

    /// Whether the container has a namespace of this kind that was asked for, new or joined.
    pub fn has(&self, flag: i32) -> bool {
        self.is_new(flag) || self.joins(flag)
    }

    /// CLONE_NEW* flags of all that were asked for.
    pub fn all(&self) -> i32 {
        self.joined.iter().fold(self.new, |flags, namespace| flags | namespace.flag)
    }

    pub fn is_new(&self, flag: i32) -> bool {
        self.new & flag != 0
    }

    pub fn joins(&self, flag: i32) -> bool {
        self.joined.iter().any(|namespace| namespace.flag == flag)
    }

    /// The flags for the clone that makes the container's first process. The cgroup namespace comes later, when the
    /// process is in its cgroup, or its root would be ours; the time namespace is entered by being born.
    pub fn clone_flags(&self) -> u64 {
        (self.new & !sys::CLONE_NEWCGROUP & !sys::CLONE_NEWTIME) as u64
    }
}

/// The kinds among CLONE_NEW* flags, in words.
pub fn words(flags: u64) -> String {
    let kinds: Vec<_> = KINDS.iter().filter(|kind| flags & kind.1 as u64 != 0).map(|kind| kind.0).collect();
    if kinds.is_empty() { "no namespace".to_owned() } else { format!("namespaces: {}", kinds.join(", ")) }
}

/// How the child gets into its namespaces.
pub(super) fn plan(steps: &mut Steps, linux: &Linux, namespaces: &Namespaces, facts: &Facts) -> Result<()> {
    let time = if namespaces.is_new(sys::CLONE_NEWTIME) { Some(time_offsets(linux)?) } else { None };
    if namespaces.is_new(sys::CLONE_NEWUSER) {
        steps.plan.launch.maps = Some(maps(linux)?);
    }
    if namespaces.joins(sys::CLONE_NEWUSER) {
        // The namespaces that are made have to belong to the user namespace that is joined, and a pid or time namespace
        // is entered only by being born in it: the one case that needs a second process.
        steps.add(ORIGIN, Op::JoinNamespaces(namespaces.joined.clone()));
        if let Some(offsets) = time {
            steps.add(ORIGIN, Op::UnshareTime { offsets, alone: false });
        }
        steps.add(ORIGIN, Op::CloneAgain(namespaces.clone_flags()));
        steps.add(ORIGIN, Op::BecomeRoot);
        return Ok(());
    }
    let time = match time {
        // A user may make a time namespace only as root of a user namespace of his: there it takes the second process, too.
        Some(offsets) if facts.rootless && namespaces.is_new(sys::CLONE_NEWUSER) => {
            steps.plan.launch.clone_flags = sys::CLONE_NEWUSER as u64;
            if !namespaces.joined.is_empty() {
                steps.add(ORIGIN, Op::JoinNamespaces(namespaces.joined.clone()));
            }
            steps.add(ORIGIN, Op::UnshareTime { offsets, alone: true });
            steps.add(ORIGIN, Op::CloneAgain(namespaces.clone_flags() & !(sys::CLONE_NEWUSER as u64)));
            steps.add(ORIGIN, Op::BecomeRoot);
            return Ok(());
        }
        time => time,
    };
    let by_parent = time.is_some() || namespaces.joins(sys::CLONE_NEWPID);
    if by_parent && facts.is_of_user() && !namespaces.is_new(sys::CLONE_NEWUSER) {
        // Root in a user namespace may enter these, but not return to the host's: a process that stays there makes another.
        if !namespaces.joined.is_empty() {
            steps.add(ORIGIN, Op::JoinNamespaces(namespaces.joined.clone()));
        }
        if let Some(offsets) = time {
            steps.add(ORIGIN, Op::UnshareTime { offsets, alone: false });
        }
        steps.add(ORIGIN, Op::CloneAgain(namespaces.clone_flags()));
        return Ok(());
    }
    steps.plan.launch.clone_flags = namespaces.clone_flags();
    steps.plan.launch.time = time;
    // The pid namespace of a process never changes; it is the parent who joins it, for its child.
    let is_pid = |namespace: &&JoinedNamespace| namespace.flag == sys::CLONE_NEWPID;
    steps.plan.launch.pid = namespaces.joined.iter().find(is_pid).cloned();
    let others: Vec<_> = namespaces.joined.iter().filter(|namespace| !is_pid(namespace)).cloned().collect();
    if !others.is_empty() {
        steps.add(ORIGIN, Op::JoinNamespaces(others));
    }
    if namespaces.is_new(sys::CLONE_NEWUSER) {
        steps.add(ORIGIN, Op::BecomeRoot);
    }
    Ok(())
}

pub(super) fn cgroup(steps: &mut Steps, namespaces: &Namespaces) {
    if namespaces.is_new(sys::CLONE_NEWCGROUP) {
        steps.add(ORIGIN, Op::UnshareCgroup);
    }
}

/// What has a name in its namespace: the host, the domain, the loopback device.
pub(super) fn names(steps: &mut Steps, spec: &Spec, namespaces: &Namespaces) -> Result<()> {
    if !spec.hostname.is_empty() {
        let origin = Origin::Field("hostname");
        steps.add(origin, Op::Hostname(cstring(&spec.hostname, origin)?));
    }
    if !spec.domainname.is_empty() {
        let origin = Origin::Field("domainname");
        steps.add(origin, Op::Domainname(cstring(&spec.domainname, origin)?));
    }
    if namespaces.is_new(sys::CLONE_NEWNET) {
        steps.add(ORIGIN, Op::LoopbackUp);
    }
    Ok(())
}

/// Lines for /proc/PID/uid_map and gid_map (user_namespaces(7)).
fn maps(linux: &Linux) -> Result<(String, String)> {
    let text = |field: &str, mappings: Option<&[IdMapping]>| match mappings {
        None | Some([]) => bail!("linux.{field}: a new user namespace needs at least one"),
        Some(mappings) => Ok(map_text(mappings)),
    };
    Ok((text("uidMappings", linux.uid_mappings.as_deref())?, text("gidMappings", linux.gid_mappings.as_deref())?))
}

/// The text for /proc/self/timens_offsets (time_namespaces(7)).
fn time_offsets(linux: &Linux) -> Result<Option<std::ffi::CString>> {
    let Some(offsets) = linux.time_offsets.as_ref().filter(|offsets| !offsets.is_empty()) else { return Ok(None) };
    let mut text = String::new();
    for (clock, offset) in offsets {
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            bail!("linux.timeOffsets.{clock}: unknown clock; use monotonic or boottime");
        }
        if offset.nanosecs >= 1_000_000_000 {
            bail!("linux.timeOffsets.{clock}.nanosecs: {} is not below 1000000000", offset.nanosecs);
        }
        text += &format!("{clock} {} {}\n", offset.secs, offset.nanosecs);
    }
    cstring(&text, Origin::Field("linux.timeOffsets")).map(Some)
}
