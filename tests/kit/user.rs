//! Calls of the runtime as an ordinary user of the host, who has no right that others have not.

use super::bundle::give;
use super::{Bundle, Call, Scene};
use std::path::PathBuf;

pub const UID: u32 = 4242;
/// The first of 65536 ids that /etc/subuid and /etc/subgid give to the user.
pub const SUB_FIRST: u32 = 300_000;

/// The machine's /etc stays as it is: the user is known in a mount namespace of the call alone.
const AS_USER: &str = r#"
etc=$1 prelude=$2; shift 2
mount -t tmpfs etc "$etc"
mkdir "$etc/up" "$etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$etc/up,workdir=$etc/work" etc /etc
echo baker:x:4242:4242::/:/bin/sh >>/etc/passwd
echo baker:x:4242: >>/etc/group
echo baker:300000:65536 >/etc/subuid
echo baker:300000:65536 >/etc/subgid
eval "$prelude"
exec setpriv --reuid 4242 --regid 4242 --clear-groups --inh-caps=-all --reset-env env PATH="$PATH" "$@""#;

impl Scene {
    /// What is the user's XDG_RUNTIME_DIR.
    pub fn runtime_dir(&self) -> PathBuf {
        let dir = self.host_dir("runtime");
        give(&dir, UID);
        dir
    }

    /// A call as the user; the state is below XDG_RUNTIME_DIR.
    pub fn call_as_user<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        self.call(args).without_root().unprivileged(self, "")
    }
}

impl Call {
    /// `prelude`: words for a shell that still is root.
    pub fn unprivileged(self, scene: &Scene, prelude: &str) -> Call {
        let etc = scene.host_dir("etc").display().to_string();
        let runtime_dir = format!("XDG_RUNTIME_DIR={}", scene.runtime_dir().display());
        self.under([
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-euc",
            AS_USER,
            "sh",
            &etc,
            prelude,
            &runtime_dir,
        ])
    }
}

impl Bundle {
    /// Mappings of an ordinary user: himself as root, and, where `range`, what /etc/subuid gives him.
    pub fn rootless(self, range: bool) -> Bundle {
        let mut map = vec![super::json!({"containerID": 0, "hostID": UID, "size": 1})];
        if range {
            map.push(super::json!({"containerID": 1, "hostID": SUB_FIRST, "size": 65536}));
        }
        let bundle = self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        let bundle = bundle.remove("/linux/cgroupsPath").remove("/linux/resources");
        // The group of devpts has to be one that is mapped.
        let bundle = bundle.without_mount("/dev/pts");
        let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
        let bundle = bundle.mount("/dev/pts", "devpts", "devpts", &options);
        give(bundle.bundle_dir(), UID);
        bundle
    }

    /// A verb with `--bundle`, as the user.
    pub fn call_as_user(&self, verb: &str, flags: &[&str]) -> Call {
        self.write_config();
        let words = [&[verb, "--bundle", self.bundle_dir().to_str().unwrap()], flags, &[self.id()]].concat();
        self.scene().call_as_user(words)
    }
}
