//! A bundle and the fluent editor of its config.json.

use super::{Call, Container, Output, Running, Scene, Value, cgroup, json, rootfs, scene};
use std::ops::Deref;
use std::path::{Path, PathBuf};

pub struct Bundle {
    scene: Scene,
    id: String,
    dir: PathBuf,
    config: Value,
    text: Option<String>,
    cgroup: String,
    globals: Vec<String>,
}

impl Deref for Bundle {
    type Target = Scene;
    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl Bundle {
    /// A bundle that runs a shell script.
    pub fn sh(script: &str) -> Bundle {
        Scene::new().sh(script)
    }

    /// A bundle that runs a program.
    pub fn program<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Bundle {
        Bundle::in_scene(&Scene::new()).args(args)
    }

    /// A bundle that waits, and ends with exit code 0 at SIGTERM; it says `ready` once SIGTERM is handled.
    pub fn idle() -> Bundle {
        Scene::new().idle()
    }

    pub(super) fn in_scene(scene: &Scene) -> Bundle {
        let number = scene::unique();
        let id = format!("bt{}-{number}", std::process::id());
        let dir = scene.path(&format!("bundle{number}"));
        rootfs::make(&dir.join("rootfs"));
        let cgroup = format!("/{id}");
        let config = default_config(&cgroup);
        Bundle { scene: scene.clone(), id, dir, config, text: None, cgroup, globals: Vec::new() }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn with_id(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The bundle's directory.
    pub fn bundle_dir(&self) -> &Path {
        &self.dir
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    pub fn in_rootfs(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    /// The cgroup as config.json names it.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    // ---- config.json ----

    /// Sets what a JSON pointer names and makes what is missing on the way; `-` appends to an array.
    #[track_caller]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        *slot(&mut self.config, pointer) = value.into();
        if pointer == "/linux/cgroupsPath" {
            self.cgroup = self.config["linux"]["cgroupsPath"].as_str().unwrap_or(&self.id).to_owned();
        }
        self
    }

    #[track_caller]
    pub fn push(self, pointer: &str, value: impl Into<Value>) -> Self {
        self.set(&format!("{pointer}/-"), value)
    }

    #[track_caller]
    pub fn remove(mut self, pointer: &str) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
        let parent = self.config.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}: no such parent"));
        match parent {
            Value::Array(items) => drop(items.remove(key.parse().expect("an index"))),
            Value::Object(map) => drop(map.shift_remove(key)),
            _ => panic!("{pointer}: neither object nor array"),
        }
        self
    }

    /// systemd makes the cgroup, as a scope in `slice`.
    pub fn systemd(self, slice: &str) -> Self {
        let path = format!("{slice}:bt:{}", self.id);
        let mut bundle = self.set("/linux/cgroupsPath", path).global("--systemd-cgroup");
        bundle.cgroup = format!("/{}/{}", cgroup::of_slice(slice), bundle.unit());
        bundle
    }

    /// The unit of [`Bundle::systemd`].
    pub fn unit(&self) -> String {
        format!("bt-{}.scope", self.id)
    }

    /// A flag before the verb, when the container is made.
    pub fn global(mut self, flag: &str) -> Self {
        self.globals.push(flag.to_owned());
        self
    }

    pub fn get(&self, pointer: &str) -> &Value {
        self.config.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The whole config.json as text, whatever it is.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// What `text` would be if nobody had set it.
    pub fn config_text(&self) -> String {
        serde_json::to_string_pretty(&self.config).unwrap()
    }

    pub fn args<S: AsRef<str>>(self, args: impl IntoIterator<Item = S>) -> Self {
        let args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        self.set("/process/args", args)
    }

    pub fn user(self, uid: u32, gid: u32) -> Self {
        self.set("/process/user", json!({"uid": uid, "gid": gid}))
    }

    pub fn env(self, variable: &str) -> Self {
        self.push("/process/env", variable)
    }

    /// All five sets.
    pub fn capabilities(self, names: &[&str]) -> Self {
        let sets = ["bounding", "effective", "permitted", "inheritable", "ambient"];
        sets.iter().fold(self, |bundle, set| bundle.capability_set(set, names))
    }

    pub fn capability_set(self, set: &str, names: &[&str]) -> Self {
        self.set(&format!("/process/capabilities/{set}"), json!(names))
    }

    pub fn mount(self, destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Self {
        let source = source.as_ref().to_str().expect("UTF-8");
        let mount = json!({"destination": destination, "type": kind, "source": source, "options": options});
        self.push("/mounts", mount)
    }

    pub fn tmpfs(self, destination: &str, options: &[&str]) -> Self {
        self.mount(destination, "tmpfs", "tmpfs", options)
    }

    pub fn bind(self, source: impl AsRef<Path>, destination: &str, options: &[&str]) -> Self {
        let options: Vec<&str> = std::iter::once("bind").chain(options.iter().copied()).collect();
        self.mount(destination, "bind", source, &options)
    }

    /// Without the default mount at `destination`.
    pub fn without_mount(mut self, destination: &str) -> Self {
        let mounts = self.config["mounts"].as_array_mut().expect("mounts");
        let before = mounts.len();
        mounts.retain(|mount| mount["destination"] != destination);
        assert!(mounts.len() < before, "no mount at {destination}");
        self
    }

    /// A new namespace of this type.
    pub fn namespace(self, kind: &str) -> Self {
        self.without_namespace(kind).push("/linux/namespaces", json!({"type": kind}))
    }

    /// A namespace to be joined.
    pub fn join(self, kind: &str, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_str().expect("UTF-8").to_owned();
        self.without_namespace(kind).push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    pub fn without_namespace(mut self, kind: &str) -> Self {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|namespace| namespace["type"] != kind);
        self
    }

    /// A new user namespace: 65536 ids from `first`; the root filesystem is given to its root.
    pub fn user_namespace(self, first: u32) -> Self {
        let map = json!([{"containerID": 0, "hostID": first, "size": 65536}]);
        give(&self.rootfs(), first);
        self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// What a user without root can make: his own user namespace, no mount that wants more, and all of it his. Its calls
    /// are made with [`Call::by_user`].
    pub fn of_user(self, uid: u32) -> Self {
        let map = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
        let bundle = self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        let bundle = bundle.remove("/linux/resources").without_namespace("network").without_mount("/dev/pts");
        let bundle = bundle.without_mount("/sys").without_mount("/dev/mqueue");
        for path in [bundle.scene.dir(), &bundle.root(), &bundle.dir, &bundle.rootfs()] {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        }
        bundle
    }

    /// A hook that runs a shell script of the host.
    pub fn hook(self, kind: &str, script: &str) -> Self {
        let hook =
            json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]});
        self.push(&format!("/hooks/{kind}"), hook)
    }

    // ---- the root filesystem ----

    /// A file in the root filesystem, parents too.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let at = self.in_rootfs(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
        self
    }

    /// An executable file in the root filesystem.
    pub fn script(self, path: &str, content: &str) -> Self {
        self.script_bytes(path, content.as_bytes())
    }

    /// The same of a program.
    pub fn script_bytes(self, path: &str, content: &[u8]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let bundle = self.file(path, content);
        std::fs::set_permissions(bundle.in_rootfs(path), std::fs::Permissions::from_mode(0o755)).unwrap();
        bundle
    }

    pub fn dir(self, path: &str) -> Self {
        std::fs::create_dir_all(self.in_rootfs(path)).unwrap();
        self
    }

    pub fn symlink(self, target: impl AsRef<Path>, path: &str) -> Self {
        let at = self.in_rootfs(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, at).unwrap();
        self
    }

    /// A symbolic link in the place of what is there, if anything.
    pub fn symlink_over(self, target: impl AsRef<Path>, path: &str) -> Self {
        let _ = std::fs::remove_file(self.in_rootfs(path));
        self.symlink(target, path)
    }

    /// Takes a file or directory of the root filesystem away.
    pub fn without(self, path: &str) -> Self {
        let at = self.in_rootfs(path);
        if at.is_dir() && !at.is_symlink() {
            std::fs::remove_dir_all(at).unwrap();
        } else {
            std::fs::remove_file(at).unwrap();
        }
        self
    }

    // ---- verbs ----

    pub fn write_config(&self) {
        let text = self.text.clone().unwrap_or_else(|| self.config_text());
        std::fs::write(self.dir.join("config.json"), text).unwrap();
    }

    fn with_bundle(&self, verb: &str, flags: &[&str]) -> Call {
        self.write_config();
        let mut args = vec![verb, "--bundle", self.dir.to_str().unwrap()];
        args.extend(flags);
        args.push(&self.id);
        self.globals.iter().fold(self.scene.call(args), Call::global)
    }

    pub fn call_run(&self, flags: &[&str]) -> Call {
        self.with_bundle("run", flags)
    }

    pub fn call_create(&self, flags: &[&str]) -> Call {
        self.with_bundle("create", flags)
    }

    /// `run` in the foreground, to its end.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.call_run(&[]).run()
    }

    /// `run` in the foreground, not waited for.
    pub fn spawn(&self) -> Running {
        self.call_run(&[]).spawn()
    }

    /// `create` with whatever outcome.
    pub fn try_create(&self) -> Output {
        self.call_create(&[]).run()
    }

    #[track_caller]
    pub fn create(self) -> Container {
        let output = self.try_create().ok();
        Container::new(self, output)
    }

    /// `create` and `start`.
    #[track_caller]
    pub fn start(self) -> Container {
        let container = self.create();
        container.start().ok();
        container
    }

    /// `VERB ID`
    #[track_caller]
    pub fn verb(&self, verb: &str) -> Output {
        self.call([verb, &self.id]).run()
    }

    /// Where nothing of the container is left: no state, no cgroup.
    #[track_caller]
    pub fn leaves_nothing(&self) -> &Self {
        assert!(!self.root().join(&self.id).exists(), "the state directory of {} is left", self.id);
        let cgroups = cgroup::find(&self.cgroup);
        assert!(cgroups.is_empty(), "cgroups are left: {cgroups:?}");
        self
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let id_is_plain = self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
        let state = self.root().join(&self.id);
        if id_is_plain && !self.id.is_empty() && state.exists() {
            let _ = self.scene.call(["delete", "--force", &self.id]).spawn().wait();
        }
        let state_left = id_is_plain && state.exists() && !self.id.trim_matches('.').is_empty();
        let cgroups = if self.cgroup.contains(&*format!("bt{}", std::process::id())) {
            cgroup::find(&self.cgroup)
        } else {
            Vec::new()
        };
        if !cgroups.is_empty() {
            cgroup::destroy(&self.cgroup);
        }
        if state_left {
            let _ = std::fs::remove_dir_all(&state);
        }
        if !std::thread::panicking() {
            assert!(cgroups.is_empty(), "cgroups were left: {cgroups:?}");
            assert!(!state_left, "{state:?} was left");
        }
    }
}

/// Gives a directory and all below to another owner.
pub fn give(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| give(&entry.path(), owner));
    }
}

fn slot<'a>(mut value: &'a mut Value, pointer: &str) -> &'a mut Value {
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if value.is_null() {
            *value = if token == "-" { json!([]) } else { json!({}) };
        }
        value = match value {
            Value::Array(items) => {
                let index = if token == "-" { items.len() } else { token.parse().expect("an index") };
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            Value::Object(map) => map.entry(token).or_insert(Value::Null),
            _ => panic!("{pointer}: neither object nor array"),
        };
    }
    value
}

/// What `runc spec` writes, without a terminal, with a root that can be written to, and with a cgroup of a known name.
fn default_config(cgroup: &str) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let strict = json!(["nosuid", "noexec", "nodev"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "tart",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": strict},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]}
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
