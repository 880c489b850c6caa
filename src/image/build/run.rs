//! RUN: a bundle, and the OCI runtime that runs it.

use super::cache::Layer;
use super::execute::Executor;
use super::mounts::{Mounts, mount};
use super::progress::Step;
use super::stubs::{self, Missing};
use super::work::Work;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::container::runtime::last_error;
use crate::image::container::spec::all_capabilities;
use crate::image::container_config::{Container, DEFAULT_CAPABILITIES, Network, absolute};
use crate::image::digest::Digest;
use crate::image::plan::{self, Run};
use crate::image::rootless;
use crate::image::user;
use crate::sys::process::pidfd_open;
use crate::sys::root::Root;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

const HOSTNAME: &str = "forno";
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tforno\n";
/// How long a killed container may take to be gone before its runtime is killed too.
const GRACE_MILLISECONDS: i32 = 5000;
const LOG: &str = "runtime.log";
const STATE: &str = "state";

/// Runs it on top of `layers`; its layer.
pub fn execute(executor: &Executor, run: &Run, layers: &[Layer], step: &Step) -> Result<Layer> {
    if run.privileged && !executor.settings.allow_insecure {
        bail!("--security=insecure must be allowed: forno build --allow security.insecure");
    }
    let bundle = executor.trees.directory("bundle")?;
    let mounts = Mounts::prepare(executor, run, &bundle)?;
    let targets = mounts.targets();
    let below = executor.trees.directory("stubs")?;
    stubs::make(&below, &targets)?;
    let work = Work::begin(executor.store, executor.lease, executor.trees, layers, Some(&below))?;
    let root = work.root()?;
    let missing = Missing::before(&root, &targets);
    let result = Job { executor, run, bundle: &bundle, step }.run(&root, work.path(), &mounts);
    result?;
    missing.after(&root)?;
    drop(root);
    work.finish(executor.plan.epoch)
}

struct Job<'a> {
    executor: &'a Executor<'a>,
    run: &'a Run,
    bundle: &'a Path,
    step: &'a Step<'a>,
}

impl Job<'_> {
    fn run(&self, root: &Root, rootfs: &Path, mounts: &Mounts) -> Result<()> {
        let config = self.config(root, rootfs, mounts)?;
        let bytes = serde_json::to_vec(&config).context("write config.json")?;
        std::fs::write(self.bundle.join("config.json"), bytes).context("write config.json")?;
        let armed = self.executor.guard.arm(&self.id(), self.removal())?;
        let status = self.start_and_wait();
        // However it ended: nothing of it stays.
        let deleted = self.call("delete", &["--force"]);
        drop(armed);
        let status = status?;
        if status.success() {
            return Ok(());
        }
        drop(deleted);
        let log = std::fs::read_to_string(self.bundle.join(LOG)).unwrap_or_default();
        Err(match (last_error(&log), status.code()) {
            (Some(message), _) => Error::new(message),
            (None, Some(code)) => Error::new(format!("exit status {code}")),
            (None, None) => Error::new(format!("runtime {}: {status}", self.executor.settings.runtime.display())),
        })
    }

    fn id(&self) -> String {
        let digest = Digest::of(self.bundle.as_os_str().as_encoded_bytes());
        format!("forno-build-{}", digest.short())
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.executor.settings.runtime);
        command.arg("--root").arg(self.bundle.join(STATE));
        command.arg("--log").arg(self.bundle.join(LOG)).args(["--log-format", "json", verb]);
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// What takes the container away.
    fn removal(&self) -> Vec<String> {
        let mut command = self.command("delete");
        command.arg("--force").arg(self.id());
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    fn call(&self, verb: &str, options: &[&str]) -> Result<ExitStatus> {
        if !self.bundle.join(STATE).exists() {
            return Ok(ExitStatus::default());
        }
        let mut command = self.command(verb);
        // The log is for what the step's own call has to say.
        command.args(options).arg(self.id()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().with(|| format!("run {}", self.executor.settings.runtime.display()))
    }

    fn start_and_wait(&self) -> Result<ExitStatus> {
        let (mut output, input) = std::io::pipe().context("make a pipe")?;
        let mut command = self.command("run");
        command.arg("--bundle").arg(self.bundle).arg(self.id());
        command.stdout(input.try_clone().context("clone a pipe")?).stderr(input);
        // Ctrl-C is ours to pass on.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let program = self.executor.settings.runtime.display();
        let mut child = command.spawn().with(|| format!("run the OCI runtime {program}"))?;
        // It holds the pipe's other end.
        drop(command);
        std::thread::scope(|scope| {
            let step = self.step;
            scope.spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count) = output.read(&mut buffer) {
                    match buffer.get(..count) {
                        Some(bytes) if !bytes.is_empty() => step.output(bytes),
                        _ => return,
                    }
                }
            });
            self.wait(&mut child)
        })
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        let pid = i32::try_from(child.id()).unwrap_or(0);
        let pidfd = pidfd_open(pid).context("watch the runtime")?;
        if self.executor.interrupt.wait(pidfd.as_fd())? {
            return child.wait().context("wait for the runtime");
        }
        // It is killed and forgotten at once; where it is not made yet, its runtime goes.
        drop(self.call("delete", &["--force"]));
        let gone = crate::sys::process::wait_until_exit(pidfd.as_fd(), GRACE_MILLISECONDS).unwrap_or(false);
        if !gone {
            drop(child.kill());
        }
        child.wait().context("wait for the runtime")?;
        Err(self.executor.interrupt.error())
    }

    fn config(&self, root: &Root, rootfs: &Path, mounts: &Mounts) -> Result<Value> {
        let run = self.run;
        let user = user::resolve(root, &run.user)?;
        let cwd = absolute(&run.cwd);
        let made = super::place::Made::parent((user.uid, user.gid), None, None);
        super::place::make_dirs(root, Path::new(&cwd), made).with(|| format!("working directory {cwd}"))?;
        let network = match (run.network, self.executor.settings.network) {
            (plan::Network::None, _) | (plan::Network::Default, plan::Network::None) => Network::New,
            _ => Network::Host,
        };
        let mut env = run.env.clone();
        env.extend(run.proxies.iter().cloned());
        env.extend(mounts.env.iter().cloned());
        let settings = self.executor.settings;
        let container = Container {
            args: run.args.clone(),
            env,
            cwd,
            user,
            hostname: Some(HOSTNAME.to_owned()),
            terminal: false,
            root: rootfs.to_string_lossy().into_owned(),
            readonly_root: false,
            mounts: mounts.list.clone(),
            network,
            capabilities: DEFAULT_CAPABILITIES.map(str::to_owned).to_vec(),
            no_new_privileges: false,
            seccomp: !run.privileged,
            annotations: Map::new(),
            resources: Map::new(),
            cgroups_path: settings.cgroup_parent.as_ref().map(|parent| format!("{parent}/{}", self.id())),
        };
        let mut config = container.to_json();
        if !settings.limits.is_empty() {
            config["process"]["rlimits"] = settings.limits.clone().into();
        }
        if let Some(size) = settings.shm_size {
            set_shm_size(&mut config, size);
        }
        if run.privileged {
            privileged(&mut config);
        }
        rootless::adapt(&mut config)?;
        Ok(config)
    }
}

fn set_shm_size(config: &mut Value, size: u64) {
    let mounts = config["mounts"].as_array_mut().into_iter().flatten();
    for mount in mounts.filter(|mount| mount["destination"] == "/dev/shm") {
        mount["options"] = json!(["nosuid", "noexec", "nodev", "mode=1777", format!("size={size}")]);
    }
}

/// `--security=insecure`: what we may do ourselves.
fn privileged(config: &mut Value) {
    let all = all_capabilities();
    config["process"]["capabilities"] =
        json!({"bounding": all, "effective": all, "permitted": all, "inheritable": [], "ambient": []});
    config["linux"]["maskedPaths"] = json!([]);
    config["linux"]["readonlyPaths"] = json!([]);
    config["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
}

/// The files that the network needs, in the bundle's directory.
pub(super) fn network_files(executor: &Executor, bundle: &Path) -> Result<Vec<(Value, String)>> {
    let mut hosts = HOSTS.to_owned();
    for entry in &executor.settings.hosts {
        if let Some((name, address)) = entry.split_once([':', '=']) {
            hosts.push_str(&format!("{address}\t{name}\n"));
        }
    }
    let resolv_conf = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = bundle.join(name);
        std::fs::write(&path, bytes).with(|| format!("write {}", path.display()))?;
        Ok(path)
    };
    let files =
        [("/etc/hosts", write("hosts", hosts.as_bytes())?), ("/etc/resolv.conf", write("resolv.conf", &resolv_conf)?)];
    let bind = |(target, path): (&str, PathBuf)| (mount(target, "bind", &path, &["bind", "ro"]), target.to_owned());
    Ok(files.into_iter().map(bind).collect())
}
