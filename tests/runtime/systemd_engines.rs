//! Engines that have systemd make the cgroups of the containers that they run through us.

use crate::kit::*;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A command to its end; what it wrote, where it went well.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{command:?}: {}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn show(unit: &str, property: &str) -> String {
    run(Command::new("systemctl").args(["show", "--property", property, "--value", unit]))
}

fn cgroup_of(pid: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.trim().trim_start_matches("0::").to_owned()
}

fn file(path: &str, name: &str) -> String {
    std::fs::read_to_string(cgroup::of("", path).join(name)).unwrap().trim().to_owned()
}

#[test]
fn podman_with_the_systemd_manager() {
    needs!(host::systemd() && peer::v2() && host::program("podman"), "no systemd with cgroup v2 and podman");
    let bundle = Bundle::sh("");
    let dir = |name: &str| bundle.host_dir(name).to_str().unwrap().to_owned();
    let (root, state) = (dir("podman"), dir("podman-run"));
    let podman = |args: &[&str]| {
        let mut command = Command::new("podman");
        command.args(["--root", &root, "--runroot", &state, "--storage-driver", "vfs", "--cgroup-manager", "systemd"]);
        run(command.arg("--runtime").arg(&peer::RUNTIME.program).args(args))
    };
    let rootfs = bundle.rootfs().to_str().unwrap().to_owned();
    let limits = ["--memory", "64m", "--pids-limit", "50", "--cpu-quota", "50000"];
    let flags = ["run", "--detach", "--network", "none", "--log-driver", "none", "--name", "loaf"];
    let id = podman(&[&flags[..], &limits, &["--rootfs", &rootfs, "sleep", "1000"]].concat());
    let inspect = |format: &str| podman(&["inspect", "--format", format, "loaf"]);
    let path = cgroup_of(&inspect("{{.State.Pid}}"));
    let unit = format!("libpod-{id}.scope");
    assert!(path.contains(&unit), "{path}");
    let scope = format!("{}{unit}", path.split(&unit).next().unwrap());
    assert_eq!(file(&scope, "memory.max"), "67108864");
    assert_eq!(file(&scope, "pids.max"), "50");
    assert_eq!(file(&scope, "cpu.max"), "50000 100000");
    assert_eq!(show(&unit, "MemoryMax"), "67108864");
    assert_eq!(podman(&["exec", "loaf", "echo", "crumb"]), "crumb");
    podman(&["pause", "loaf"]);
    assert_eq!(inspect("{{.State.Status}}"), "paused");
    podman(&["unpause", "loaf"]);
    podman(&["stop", "--time", "0", "loaf"]);
    podman(&["rm", "--force", "loaf"]);
    assert_eq!(show(&unit, "LoadState"), "not-found");
    assert!(!cgroup::of("", &scope).exists());
}

/// Podman is root in a user namespace of its own then, and so are we: the socket says to systemd who we really are.
#[test]
fn podman_of_a_user() {
    needs!(host::systemd() && peer::v2() && host::program("podman"), "no systemd with cgroup v2 and podman");
    needs!(Path::new("/home/tester").exists(), "no user `tester`");
    const USER: u32 = 1000;
    run(Command::new("systemctl").args(["start", &format!("user@{USER}.service")]));
    let bundle = Bundle::sh("");
    let dirs = ["podman", "podman-run"].map(|name| bundle.host_dir(name));
    run(Command::new("chown").args(["--recursive", &USER.to_string()]).args(&dirs).arg(bundle.rootfs()));
    let runtime = format!("/run/user/{USER}");
    let podman = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "1000", "--regid", "1000", "--init-groups", "podman", "--cgroup-manager", "systemd"]);
        command.arg("--root").arg(&dirs[0]).arg("--runroot").arg(&dirs[1]).args(["--storage-driver", "vfs"]);
        command.arg("--runtime").arg(&peer::RUNTIME.program).args(args).current_dir("/");
        command.env("XDG_RUNTIME_DIR", &runtime).env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={runtime}/bus"));
        run(command.env("HOME", "/home/tester").env_remove("USER"))
    };
    let rootfs = bundle.rootfs().to_str().unwrap().to_owned();
    let flags = ["run", "--detach", "--network", "none", "--log-driver", "none", "--name", "loaf"];
    let limits = ["--memory", "64m", "--pids-limit", "50"];
    podman(&[&flags[..], &limits, &["--rootfs", &rootfs, "sleep", "1000"]].concat());
    let path = cgroup_of(&podman(&["inspect", "--format", "{{.State.Pid}}", "loaf"]));
    let (above, _) = path.split_once(".scope").expect("a scope");
    let scope = format!("{above}.scope");
    assert!(scope.contains(&format!("/user@{USER}.service/")), "{path}");
    assert_eq!(file(&scope, "memory.max"), "67108864");
    assert_eq!(file(&scope, "pids.max"), "50");
    assert_eq!(podman(&["exec", "loaf", "echo", "crumb"]), "crumb");
    podman(&["rm", "--force", "--time", "0", "loaf"]);
    assert!(!cgroup::of("", &scope).exists());
}

/// A containerd of our own, with all that it keeps below one directory.
struct Containerd {
    daemon: Child,
    socket: PathBuf,
}

impl Containerd {
    fn start(dir: &Path) -> Containerd {
        let socket = dir.join("containerd.sock");
        let path = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = {socket:?}\n[ttrpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("ttrpc.sock")
        );
        std::fs::write(dir.join("config.toml"), config).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(dir.join("config.toml")).stdin(Stdio::null());
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let daemon = command.stdout(Stdio::null()).stderr(log).spawn().expect("run containerd");
        let containerd = Containerd { daemon, socket };
        wait("containerd answers", || containerd.ctr().args(["version"]).output().is_ok_and(|o| o.status.success()));
        containerd
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.socket);
        command
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn containerd_with_systemd_cgroups() {
    needs!(host::systemd() && peer::v2() && host::program("containerd"), "no systemd with cgroup v2 and containerd");
    let bundle = Bundle::sh("");
    let containerd = Containerd::start(&bundle.host_dir("containerd"));
    let ctr = |args: &[&str]| run(containerd.ctr().args(args));
    let id = bundle.id();
    let group = format!("system.slice:bt:{id}");
    let (unit, path) = (bundle.unit(), format!("/system.slice/{}", bundle.unit()));
    let program = peer::RUNTIME.program.to_str().unwrap();
    let flags = ["run", "--detach", "--rootfs", "--memory-limit", "67108864", "--runc-systemd-cgroup"];
    let names = ["--runc-binary", program, "--cgroup", &group];
    let rootfs = bundle.rootfs();
    ctr(&[&flags[..], &names, &[rootfs.to_str().unwrap(), id, "/bin/sleep", "1000"]].concat());
    let tasks = ctr(&["tasks", "list"]);
    let line = tasks.lines().find(|line| line.starts_with(id)).expect("the task is listed");
    let pid = line.split_whitespace().nth(1).unwrap();
    assert_eq!(cgroup_of(pid), path);
    assert_eq!(file(&path, "memory.max"), "67108864");
    assert_eq!(show(&unit, "MemoryMax"), "67108864");
    assert_eq!(ctr(&["tasks", "exec", "--exec-id", "one", id, "/bin/echo", "crumb"]), "crumb");
    ctr(&["tasks", "pause", id]);
    assert!(ctr(&["tasks", "list"]).contains("PAUSED"));
    ctr(&["tasks", "resume", id]);
    assert!(ctr(&["tasks", "metrics", id]).contains("memory"));
    ctr(&["tasks", "kill", "--signal", "SIGKILL", id]);
    wait("the task stops", || ctr(&["tasks", "list"]).contains("STOPPED"));
    ctr(&["tasks", "delete", id]);
    ctr(&["containers", "delete", id]);
    assert_eq!(show(&unit, "LoadState"), "not-found");
    assert!(!cgroup::of("", &path).exists());
}
