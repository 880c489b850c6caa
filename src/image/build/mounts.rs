//! `RUN --mount`, and the files that every RUN gets: as config.json has them.

use super::cachemount::CacheMount;
use super::copy::Copier;
use super::execute::Executor;
use super::run::network_files;
use super::settings::SecretSource;
use super::trees::{MountPoint, Mounted};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerignore::Ignore;
use crate::image::plan::run::SCRIPTS;
use crate::image::plan::{Mount, Place, Run};
use crate::image::rootless;
use crate::image::snapshot::{Upper, mount_overlay};
use crate::sys::root::Root;
use crate::sys::{mount, tree};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECRET_BYTES_MAX: u64 = 512 << 10;

/// What has to stay as long as the container runs.
enum Kept {
    Point { _point: MountPoint },
    Tree { _tree: Arc<Mounted> },
    Cache { _cache: CacheMount },
}

#[derive(Default)]
pub struct Mounts {
    pub list: Vec<Value>,
    /// Secrets that are variables.
    pub env: Vec<String>,
    /// Destination, and whether it is a directory.
    targets: Vec<(String, bool)>,
    /// What was mounted last goes first.
    kept: Vec<Kept>,
}

pub(super) fn mount(target: &str, kind: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": target, "type": kind, "source": source.to_string_lossy(), "options": options})
}

impl Drop for Mounts {
    fn drop(&mut self) {
        while self.kept.pop().is_some() {}
    }
}

impl Mounts {
    pub fn prepare(executor: &Executor, run: &Run, bundle: &Path) -> Result<Mounts> {
        let mut mounts = Mounts::default();
        for (value, target) in network_files(executor, bundle)? {
            mounts.add(value, &target, false);
        }
        if let Some(script) = &run.script {
            let directory = executor.trees.directory("pipes")?;
            let path = directory.join(&script.name);
            std::fs::write(&path, &script.content).with(|| format!("write {}", path.display()))?;
            for path in [&directory, &path] {
                std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).context("chmod")?;
            }
            mounts.add(self::mount(SCRIPTS, "bind", &directory, &["bind", "ro"]), SCRIPTS, true);
        }
        // The outer one of two, so that the inner one is on top of it.
        let mut ordered: Vec<&Mount> = run.mounts.iter().collect();
        ordered.sort_by_key(|mount| mount.target().map_or(0, |target| target.matches('/').count()));
        for one in ordered {
            mounts
                .one(executor, one)
                .with(|| format!("mount type={} target={}", one.kind(), one.target().unwrap_or_default()))?;
        }
        Ok(mounts)
    }

    fn add(&mut self, value: Value, target: &str, is_dir: bool) {
        self.list.push(value);
        self.targets.push((target.to_owned(), is_dir));
    }

    /// Every place that is mounted on, those of every container among them.
    pub fn targets(&self) -> Vec<(String, bool)> {
        let always = ["/proc", "/dev", "/sys"].map(|path| (path.to_owned(), true));
        let below = |target: &str| always.iter().any(|(path, _)| target.starts_with(&format!("{path}/")));
        let own = self.targets.iter().filter(|(target, _)| !below(target)).cloned();
        always.iter().cloned().chain(own).collect()
    }

    fn one(&mut self, executor: &Executor, mount: &Mount) -> Result<()> {
        match mount {
            Mount::Bind { place, source, target, read_only } => {
                let (path, is_dir) = self.bind_source(executor, place, source, *read_only)?;
                let options = ["bind", if *read_only { "ro" } else { "rw" }];
                self.add(self::mount(target, "bind", &path, &options), target, is_dir);
            }
            Mount::Cache { target, read_only, .. } => {
                let cache = CacheMount::open(executor, mount)?;
                let options = ["bind", if *read_only { "ro" } else { "rw" }];
                self.add(self::mount(target, "bind", cache.path(), &options), target, true);
                self.kept.push(Kept::Cache { _cache: cache });
            }
            Mount::Tmpfs { target, size } => {
                let size = format!("size={size}");
                let mut options = vec!["nosuid", "nodev", "mode=1777"];
                if size != "size=0" {
                    options.push(&size);
                }
                self.add(self::mount(target, "tmpfs", Path::new("tmpfs"), &options), target, true);
            }
            Mount::Secret { .. } => self.secret(executor, mount)?,
            Mount::Ssh { id, target, required, .. } => match executor.settings.agents.get(id) {
                Some(socket) => {
                    self.env.push(format!("SSH_AUTH_SOCK={target}"));
                    self.add(self::mount(target, "bind", socket, &["bind", "rw"]), target, false);
                }
                None if *required => bail!("no agent {id:?}; give it with --ssh"),
                None => {}
            },
        }
        Ok(())
    }

    /// A path of ours that shows what is to be mounted.
    fn bind_source(
        &mut self,
        executor: &Executor,
        place: &Place,
        source: &str,
        read_only: bool,
    ) -> Result<(PathBuf, bool)> {
        let source = Path::new(source.trim_start_matches('/'));
        let layers = match place {
            Place::Context | Place::Named(_) => return self.copied(executor, place, source),
            Place::Scratch => return Ok((executor.trees.directory("empty")?, true)),
            Place::Stage(_) | Place::Image(_) => executor.layers_of(place)?,
        };
        let root = if read_only || layers.is_empty() {
            let mounted = executor.trees.of_layers(&layers, &executor.name_of(place))?;
            let root = mounted.tree.root.try_clone().context("open")?;
            self.kept.push(Kept::Tree { _tree: mounted });
            root
        } else {
            // What is written is thrown away.
            let chain = executor.trees.lay_out(&layers)?;
            let lower: Vec<PathBuf> = chain.iter().rev().map(|id| executor.store.layer_root(id)).collect();
            let room = executor.trees.directory("room")?;
            let (upper, work) = (room.join("upper"), room.join("work"));
            for path in [&upper, &work] {
                std::fs::create_dir(path).context("create")?;
            }
            let point = executor.trees.mount_point("tree")?;
            mount_overlay(&lower, Some(&Upper { upper, work, volatile: true }), executor.store.marks(), point.path())?;
            let root = Root::open(point.path()).context("open")?;
            self.kept.push(Kept::Point { _point: point });
            root
        };
        let fd =
            root.resolve(source).with(|| format!("source /{} in {}", source.display(), executor.name_of(place)))?;
        let is_dir = tree::stat(&fd).context("stat")?.is_dir();
        let point = executor.trees.bind(fd.as_fd(), is_dir)?;
        let path = point.path().to_owned();
        self.kept.push(Kept::Point { _point: point });
        Ok((path, is_dir))
    }

    /// Of a directory of the host a copy is mounted: without what is left out, owned by root, and nobody's loss if it is
    /// written to.
    fn copied(&mut self, executor: &Executor, place: &Place, source: &Path) -> Result<(PathBuf, bool)> {
        let tree = executor.tree(place)?;
        let directory = executor.trees.directory("copy")?;
        let root = Root::open(&directory).context("open")?;
        let stat = tree.get().root.resolve(source).and_then(|fd| tree::stat(&fd));
        let stat = stat.with(|| format!("source /{} in {}", source.display(), tree.get().name))?;
        let destination = if stat.is_dir() { "/tree" } else { "/file" };
        Copier::new(&root, None, None).copy(tree.get(), source, destination, &Ignore::default())?;
        Ok((directory.join(destination.trim_start_matches('/')), stat.is_dir()))
    }

    fn secret(&mut self, executor: &Executor, secret: &Mount) -> Result<()> {
        let Mount::Secret { id, target, env, required, mode, uid, gid } = secret else {
            return Ok(());
        };
        let value = match executor.settings.secrets.get(id) {
            Some(source) => read_secret(source).with(|| format!("secret {id}"))?,
            None if *required => bail!("no secret {id:?}; give it with --secret id={id},src=FILE"),
            None => return Ok(()),
        };
        if let Some(name) = env {
            let text = String::from_utf8(value.clone()).ok().filter(|text| !text.contains('\0'));
            let Some(text) = text else {
                bail!("secret {id}: is no text, and cannot be a variable");
            };
            self.env.push(format!("{name}={text}"));
        }
        if let Some(target) = target {
            // Never on a disk.
            let point = memory(executor)?;
            let path = point.path().join("secret");
            let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let mut file = file.context("create")?;
            file.write_all(&value).context("write")?;
            let (uid, gid) = rootless::owner((*uid, *gid));
            tree::fchown(&file, uid, gid).context("chown")?;
            tree::fchmod(&file, *mode).context("chmod")?;
            self.add(self::mount(target, "bind", &path, &["bind", "ro", "nosuid", "nodev", "noexec"]), target, false);
            self.kept.push(Kept::Point { _point: point });
        }
        Ok(())
    }
}

fn memory(executor: &Executor) -> Result<MountPoint> {
    let point = executor.trees.mount_point("memory")?;
    let mounted = || -> Result<()> {
        let fs = mount::fsopen(c"tmpfs")?;
        mount::fsconfig_set(&fs, c"mode", Some(c"0755"))?;
        mount::fsconfig_create(&fs)?;
        let target = std::fs::File::open(point.path())?;
        Ok(mount::move_mount(mount::fsmount(&fs, 0)?, &target)?)
    };
    mounted().context("mount tmpfs for a secret")?;
    Ok(point)
}

/// A secret that is one line of text; `None` where it was not given.
pub(super) fn secret_text(executor: &Executor, id: &str) -> Result<Option<String>> {
    let Some(source) = executor.settings.secrets.get(id) else {
        return Ok(None);
    };
    let value = read_secret(source).with(|| format!("secret {id}"))?;
    match String::from_utf8(value) {
        Ok(text) if !text.trim_end().contains(char::is_control) => Ok(Some(text.trim_end().to_owned())),
        _ => bail!("secret {id}: is not a line of text"),
    }
}

fn read_secret(source: &SecretSource) -> Result<Vec<u8>> {
    let path = match source {
        SecretSource::Variable(name) => match std::env::var_os(name) {
            Some(value) => return Ok(value.into_encoded_bytes()),
            None => bail!("variable {name} is not set"),
        },
        SecretSource::File(path) => path,
    };
    let file = std::fs::File::open(path).with(|| format!("open {}", path.display()))?;
    let mut value = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut value).with(|| format!("read {}", path.display()))?;
    if value.len() as u64 > SECRET_BYTES_MAX {
        bail!("{}: larger than {SECRET_BYTES_MAX} bytes", path.display());
    }
    Ok(value)
}
