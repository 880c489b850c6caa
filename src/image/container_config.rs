//! config.json for a container of an image (image-spec conversion.md), with the surroundings that docker gives: what
//! programs in images expect, and no more.

use super::config::ImageConfig;
use super::seccomp::default_profile;
use super::user::{Identity, resolve};
use crate::bail;
use crate::error::Result;
use crate::sys::root::Root;
use serde_json::{Map, Value, json};

const OCI_VERSION: &str = "1.0.2";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const UMASK: u32 = 0o022;

/// What root in a container may do unless said otherwise.
pub const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// They tell about the machine, or are of use to attackers mainly.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// They change the machine.
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Type, major and minor of what may be used and made; -1 is any.
const DEVICES: [(&str, i64, i64); 9] = [
    ("c", 1, 3),
    ("c", 1, 5),
    ("c", 1, 7),
    ("c", 1, 8),
    ("c", 1, 9),
    ("c", 5, 0),
    ("c", 5, 1),
    ("c", 5, 2),
    ("c", 136, -1),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// That of whoever starts the container.
    Host,
    /// Its own, empty but for the loopback device.
    New,
    /// The namespace at a path.
    At(String),
}

/// What a container is to be. It starts as its image says; options change the fields.
#[derive(Debug, Clone)]
pub struct Container {
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    pub user: Identity,
    pub hostname: Option<String>,
    pub terminal: bool,
    /// The path of the root file system, relative to the bundle.
    pub root: String,
    pub readonly_root: bool,
    /// Behind those that every container has, in order, as config.json has them.
    pub mounts: Vec<Value>,
    pub network: Network,
    pub capabilities: Vec<String>,
    pub no_new_privileges: bool,
    pub seccomp: bool,
    pub annotations: Map<String, Value>,
    /// cgroup limits, merged over the rules for devices.
    pub resources: Map<String, Value>,
    pub cgroups_path: Option<String>,
}

impl Container {
    /// `root` is the image's file system, in which its user is looked up; `args` take the place of its Cmd.
    pub fn of_image(image: &ImageConfig, root: &Root, args: &[String]) -> Result<Container> {
        let config = &image.config;
        let command = if args.is_empty() { config.cmd.as_deref().unwrap_or_default() } else { args };
        let args: Vec<String> = config.entrypoint.iter().flatten().chain(command).cloned().collect();
        if args.is_empty() {
            bail!("the image says no command; give one");
        }
        let user = resolve(root, &config.user)?;
        let mut container = Container {
            args,
            env: config.env.clone(),
            cwd: absolute(&config.working_dir),
            user,
            hostname: None,
            terminal: false,
            root: "rootfs".to_owned(),
            readonly_root: false,
            mounts: Vec::new(),
            network: Network::New,
            capabilities: DEFAULT_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
            no_new_privileges: false,
            seccomp: true,
            annotations: annotations(image),
            resources: Map::new(),
            cgroups_path: None,
        };
        if config.env("PATH").is_none() {
            container.env.insert(0, PATH.to_owned());
        }
        Ok(container)
    }

    /// Sets a variable, in the place that it had.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        match self.env.iter_mut().find(|entry| entry.split('=').next() == Some(name)) {
            Some(old) => *old = entry,
            None => self.env.push(entry),
        }
    }

    pub fn to_json(&self) -> Value {
        let mut env = self.env.clone();
        if !env.iter().any(|entry| entry.starts_with("HOME=")) {
            env.push(format!("HOME={}", self.user.home.as_deref().unwrap_or("/")));
        }
        let Identity { uid, gid, .. } = &self.user;
        let mut config = json!({
            "ociVersion": OCI_VERSION,
            "process": {
                "terminal": self.terminal,
                "user": {"uid": uid, "gid": gid, "umask": UMASK, "additionalGids": self.user.groups()},
                "args": self.args,
                "env": env,
                "cwd": self.cwd,
                "capabilities": self.capability_sets(),
                "noNewPrivileges": self.no_new_privileges,
            },
            "root": {"path": self.root, "readonly": self.readonly_root},
            "mounts": default_mounts().into_iter().chain(self.mounts.iter().cloned()).collect::<Value>(),
            "annotations": self.annotations,
            "linux": {
                "namespaces": self.namespaces(),
                "resources": self.resources(),
                "maskedPaths": MASKED,
                "readonlyPaths": READONLY,
            },
        });
        if let Some(hostname) = &self.hostname {
            config["hostname"] = hostname.as_str().into();
        }
        if let Some(path) = &self.cgroups_path {
            config["linux"]["cgroupsPath"] = path.as_str().into();
        }
        if self.seccomp {
            config["linux"]["seccomp"] = default_profile(&self.capabilities);
        }
        config
    }

    /// Somebody else than root has none, and gets those that are left for setuid programs and file capabilities.
    fn capability_sets(&self) -> Value {
        let own: &[String] = if self.user.uid == 0 { &self.capabilities } else { &[] };
        json!({"bounding": self.capabilities, "effective": own, "permitted": own, "inheritable": [], "ambient": []})
    }

    fn namespaces(&self) -> Value {
        let mut namespaces: Vec<Value> =
            ["pid", "ipc", "uts", "mount", "cgroup"].iter().map(|kind| json!({"type": kind})).collect();
        match &self.network {
            Network::Host => {}
            Network::New => namespaces.push(json!({"type": "network"})),
            Network::At(path) => namespaces.push(json!({"type": "network", "path": path})),
        }
        namespaces.into()
    }

    fn resources(&self) -> Value {
        let mut rules = vec![
            json!({"allow": false, "access": "rwm"}),
            // Making a node is harmless where none can be opened.
            json!({"allow": true, "type": "c", "access": "m"}),
            json!({"allow": true, "type": "b", "access": "m"}),
        ];
        let numbers = |number: i64| (number >= 0).then_some(number);
        for (kind, major, minor) in DEVICES {
            let mut rule = json!({"allow": true, "type": kind, "access": "rwm"});
            for (key, number) in [("major", numbers(major)), ("minor", numbers(minor))] {
                if let Some(number) = number {
                    rule[key] = number.into();
                }
            }
            rules.push(rule);
        }
        let mut resources = self.resources.clone();
        match resources.get_mut("devices").and_then(Value::as_array_mut) {
            Some(more) => {
                rules.append(more);
                *more = rules;
            }
            None => drop(resources.insert("devices".to_owned(), rules.into())),
        }
        resources.into()
    }
}

/// A path of the container without `.`, `..` and double slashes, which start at its root.
pub fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn default_mounts() -> Vec<Value> {
    let mount = |destination: &str, kind: &str, source: &str, options: &str| {
        let options: Vec<&str> = options.split(',').collect();
        json!({"destination": destination, "type": kind, "source": source, "options": options})
    };
    vec![
        mount("/proc", "proc", "proc", "nosuid,noexec,nodev"),
        mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
        mount("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
        mount("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),
        mount("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
        mount("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"),
    ]
}

/// conversion.md's. The image's labels are not among them: to runtimes some annotations are orders, and an image must
/// not give any (CVE-2026-53488).
fn annotations(image: &ImageConfig) -> Map<String, Value> {
    let ports: Vec<&str> = image.config.exposed_ports.keys().map(String::as_str).collect();
    let known = [
        ("os", Some(image.os.clone())),
        ("architecture", Some(image.architecture.clone())),
        ("author", image.author.clone()),
        ("created", image.created.clone()),
        ("stopSignal", Some(image.config.stop_signal.clone())),
        ("exposedPorts", Some(ports.join(","))),
    ];
    let given = known.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)));
    given.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.into())).collect()
}

#[cfg(test)]
mod tests;
