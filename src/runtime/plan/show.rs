//! A plan in words, one line a step, for `bolo plan` and the golden files.

use super::mounts::{Mount, TargetRule, What};
use super::step::{DeviceKind, Op, Rootfs, Step};
use super::{Plan, capabilities};
use crate::sys::mount::{self as sys, Attributes};
use crate::sys::process::Strings;
use std::ffi::CStr;
use std::fmt;

const ORIGIN_WIDTH: usize = 30;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let launch = &self.launch;
        if let Some(pid) = &launch.pid {
            let origin = format!("linux.namespaces[{}]", pid.index);
            writeln!(f, "{origin:ORIGIN_WIDTH$} parent: join pid namespace {}", text(&pid.path))?;
        }
        if let Some(offsets) = &launch.time {
            let offsets = offsets.as_deref().map_or("no offsets".to_owned(), |offsets| lines(&text(offsets)));
            writeln!(f, "{:ORIGIN_WIDTH$} parent: make a time namespace, {offsets}", "linux.timeOffsets")?;
        }
        writeln!(f, "{:ORIGIN_WIDTH$} parent: clone{}", "linux.namespaces", with_new(launch.clone_flags))?;
        if let Some((uids, gids)) = &launch.maps {
            writeln!(f, "{:ORIGIN_WIDTH$} parent: map users {}", "linux.uidMappings", lines(uids))?;
            writeln!(f, "{:ORIGIN_WIDTH$} parent: map groups {}", "linux.gidMappings", lines(gids))?;
        }
        for device in &launch.net_devices {
            let origin = format!("linux.netDevices.{}", device.name);
            write!(f, "{origin:ORIGIN_WIDTH$} parent: move network device {} into the container", device.name)?;
            writeln!(
                f,
                "{}",
                if device.name == device.rename { String::new() } else { format!(" as {}", device.rename) }
            )?;
        }
        for limit in &launch.limits {
            let origin = format!("process.rlimits[{}]", limit.index);
            let name = super::limits::RESOURCES.get(limit.resource as usize).copied().unwrap_or_default();
            let (soft, hard) = (limit.soft, limit.hard);
            writeln!(f, "{origin:ORIGIN_WIDTH$} parent: set {name} to {soft}, at most {hard}")?;
        }
        if let Some(score) = launch.oom_score_adj {
            writeln!(f, "{:ORIGIN_WIDTH$} parent: oom_score_adj {score}", "process.oomScoreAdj")?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:ORIGIN_WIDTH$} {}", self.origin, self.op)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Op::AwaitGo => write!(f, "await the parent's part"),
            Op::AskHooks => write!(f, "ask the parent for the prestart and createRuntime hooks"),
            Op::TellReady => write!(f, "tell that the container is created"),
            Op::AwaitStart => write!(f, "await start"),
            Op::JoinNamespaces(list) => {
                let names: Vec<_> = list.iter().map(|n| format!("{} {}", n.kind, text(&n.path))).collect();
                write!(f, "join namespaces: {}", names.join(", "))
            }
            Op::JoinContainer(flags) => write!(f, "join the container's {}", super::namespaces::words(*flags as u64)),
            Op::UnshareTime { .. } => write!(f, "make a time namespace"),
            Op::CloneAgain(flags) => write!(f, "clone again{}", with_new(*flags)),
            Op::BecomeRoot => write!(f, "become root of the user namespace"),
            Op::Setsid => write!(f, "lead a session"),
            Op::SessionKeyring(name) => write!(f, "join session keyring {}", text(name)),
            Op::UnshareCgroup => write!(f, "make a cgroup namespace"),
            Op::Hostname(name) => write!(f, "set hostname {}", text(name)),
            Op::Domainname(name) => write!(f, "set domainname {}", text(name)),
            Op::LoopbackUp => write!(f, "bring up the loopback device"),
            Op::RootPropagation(flags) => write!(f, "make the host's mounts {}", propagation(*flags, true)),
            Op::PrivateParent => write!(f, "make the mount below the root filesystem private"),
            Op::EnterRootfs(Rootfs::Here) => write!(f, "bind the root filesystem on itself"),
            Op::EnterRootfs(Rootfs::Joined(path)) => write!(f, "bind the root filesystem {} on itself", text(path)),
            Op::EnterRootfs(Rootfs::Path(path)) => write!(f, "open the root filesystem {}", text(path)),
            Op::Mount(mount) => write!(f, "{mount}"),
            Op::Link { target, at, .. } => write!(f, "link {} to {}", text(at), text(target)),
            Op::Device(device) => {
                let kind = match device.kind {
                    DeviceKind::Char => "c",
                    DeviceKind::Block => "b",
                    DeviceKind::Fifo => "p",
                };
                let verb = if device.bind { "bind" } else { "make" };
                let (major, minor, mode, uid, gid) = (device.major, device.minor, device.mode, device.uid, device.gid);
                let path = text(&device.path);
                write!(f, "{verb} device {path}: {kind} {major}:{minor}, mode {mode:o}, owner {uid}:{gid}")
            }
            Op::Hooks { kind, hooks } => {
                let paths: Vec<_> = hooks.iter().map(|hook| hook.path.as_str()).collect();
                write!(f, "run {kind} hooks: {}", paths.join(", "))
            }
            Op::Console { size, bind } => {
                write!(f, "open a terminal")?;
                if let Some((rows, columns)) = size {
                    write!(f, " of {rows} rows and {columns} columns")?;
                }
                if *bind { write!(f, ", also as /dev/console") } else { Ok(()) }
            }
            Op::ReopenNull => write!(f, "take the container's /dev/null for the host's"),
            Op::MakeCwd(path) => write!(f, "make directory {}", text(path)),
            Op::Sysctl { file, value } => write!(f, "write {:?} to /proc/sys/{}", text(value), text(file)),
            Op::ReadonlyMount { target, attributes } => write!(f, "make mount {} {}", text(target), words(*attributes)),
            Op::ReadonlyPath(path) => write!(f, "make {} read-only", text(path)),
            Op::MaskPath(path) => write!(f, "mask {}", text(path)),
            Op::Propagation { flags, recursive } => write!(f, "make the root {}", propagation(*flags, *recursive)),
            Op::ReadonlyRoot => write!(f, "make the root read-only"),
            Op::PivotRoot { shared: false } => write!(f, "pivot_root, detach the host's root"),
            Op::PivotRoot { shared: true } => write!(f, "pivot_root, make the host's root rslave, detach it"),
            Op::MoveRoot => write!(f, "move the root over the host's, chroot"),
            Op::Chroot => write!(f, "chroot"),
            Op::Scheduler(scheduler) => write!(f, "set scheduler policy {}", scheduler.policy),
            Op::IoPriority(value) => write!(f, "set io priority {value:#x}"),
            Op::Personality(persona) => write!(f, "set personality {persona:#x}"),
            Op::MemoryPolicy { mode, nodes } => write!(f, "set memory policy {mode:#x} on nodes {nodes:x?}"),
            Op::Umask(umask) => write!(f, "set umask {umask:03o}"),
            Op::Chdir(path) => write!(f, "change directory to {}", text(path)),
            Op::Home(uid) => write!(f, "look up the home of user {uid} in /etc/passwd"),
            Op::FindProgram { name, .. } => write!(f, "find program {}", text(name)),
            Op::NoNewPrivileges => write!(f, "set no_new_privs"),
            Op::Label(label) => write!(f, "label the program {}", text(&label.value)),
            Op::Seccomp(filter) => write!(f, "load seccomp filter of {} instructions", filter.program.len()),
            Op::AdditionalGroups(groups) => write!(f, "set additional groups {groups:?}"),
            Op::Gid(gid) => write!(f, "set group {gid}"),
            Op::BoundingSet(bits) => write!(f, "keep bounding capabilities {}", capabilities::names(*bits)),
            Op::OwnStdio(uid) => write!(f, "give the standard descriptors to user {uid}"),
            Op::Uid(uid) => write!(f, "set user {uid}"),
            Op::Capabilities(sets) => write!(
                f,
                "set capabilities: effective {}; permitted {}; inheritable {}",
                capabilities::names(sets.effective),
                capabilities::names(sets.permitted),
                capabilities::names(sets.inheritable)
            ),
            Op::AmbientSet(bits) => write!(f, "set ambient capabilities {}", capabilities::names(*bits)),
            Op::ChdirAgain(path) => write!(f, "as the user, change directory to {} if root could not", text(path)),
            Op::CloseRange { first } => write!(f, "close descriptors from {first} on at exec"),
            Op::Exec { args, .. } => write!(f, "exec {}", strings(args)),
        }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let target = text(&self.target);
        match &self.what {
            What::Filesystem { fstype, options, copy_up, .. } => {
                let pairs: Vec<_> = options
                    .iter()
                    .map(|(key, value)| match value {
                        Some(value) => format!("{}={}", text(key), text(value)),
                        None => text(key),
                    })
                    .collect();
                write!(f, "mount {} at {target} ({})", text(fstype), pairs.join(","))?;
                if *copy_up {
                    write!(f, ", with what it covers copied in")?;
                }
            }
            What::LongOptions { fstype, source, data } => {
                write!(f, "mount {} at {target} (source={},{})", text(fstype), text(source), text(data))?;
            }
            What::Bind { source, recursive, .. } => {
                let below = if *recursive { " and all below" } else { "" };
                write!(f, "bind {}{below} at {target}", text(source))?;
            }
            What::Remount { .. } => write!(f, "change the mount at {target}")?,
        }
        if self.target_rule == TargetRule::RealDirectory {
            write!(f, ", no links")?;
        }
        if !self.attributes.is_empty() {
            write!(f, ", {}", words(self.attributes))?;
        }
        if !self.recursive.is_empty() {
            write!(f, ", all below {}", words(self.recursive))?;
        }
        for (flags, recursive) in &self.propagation {
            write!(f, ", {}", propagation(*flags, *recursive))?;
        }
        if self.idmap.is_some() {
            write!(f, ", owners mapped")?;
        }
        Ok(())
    }
}

const ATTRIBUTES: [(u64, &str, &str); 6] = [
    (sys::MOUNT_ATTR_RDONLY, "ro", "rw"),
    (sys::MOUNT_ATTR_NOSUID, "nosuid", "suid"),
    (sys::MOUNT_ATTR_NODEV, "nodev", "dev"),
    (sys::MOUNT_ATTR_NOEXEC, "noexec", "exec"),
    (sys::MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime"),
    (sys::MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow"),
];

pub(in crate::runtime) fn words(attributes: Attributes) -> String {
    let mut words = Vec::new();
    for (bit, set, clear) in ATTRIBUTES {
        if attributes.set & bit != 0 {
            words.push(set);
        }
        if attributes.clear & bit != 0 {
            words.push(clear);
        }
    }
    if attributes.clear & sys::MOUNT_ATTR_ATIME_FIELD != 0 {
        words.push(match attributes.set & sys::MOUNT_ATTR_ATIME_FIELD {
            sys::MOUNT_ATTR_NOATIME => "noatime",
            sys::MOUNT_ATTR_STRICTATIME => "strictatime",
            _ => "relatime",
        });
    }
    words.join(",")
}

fn propagation(flags: u64, recursive: bool) -> String {
    let word = match flags {
        sys::SHARED => "shared",
        sys::SLAVE => "slave",
        sys::PRIVATE => "private",
        _ => "unbindable",
    };
    if recursive { format!("r{word}") } else { word.to_owned() }
}

pub(in crate::runtime) fn text(text: impl AsRef<CStr>) -> String {
    text.as_ref().to_string_lossy().into_owned()
}

fn strings(strings: &Strings) -> String {
    strings.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn with_new(flags: u64) -> String {
    if flags == 0 { String::new() } else { format!(" with new {}", super::namespaces::words(flags)) }
}

fn lines(text: &str) -> String {
    text.trim_end().replace('\n', ", ")
}
