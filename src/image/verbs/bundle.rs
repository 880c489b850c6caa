//! `forno bundle`: an image becomes a directory that an OCI runtime starts a container from.

use super::limits::LimitArgs;
use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::container_config::{Container, Network, absolute};
use crate::image::copy::copy_directory;
use crate::image::digest::Digest;
use crate::image::rootless;
use crate::image::store::{Image, Lease, Store};
use crate::sys::Errno;
use crate::sys::Mode;
use crate::sys::OFlag;
use crate::sys::root::Root;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// It says that the directory is ours: what `unbundle` removes.
pub(super) const RECORD: &str = "forno.json";
const ROOTFS: &str = "rootfs";
const VOLUMES: &str = "volumes";

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    /// The store's path.
    pub(super) store: PathBuf,
    pub(super) image: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkArg {
    /// That of whoever starts the container
    Host,
    /// The container's own, with nothing in it
    None,
}

#[derive(Debug, Args)]
pub(super) struct Bundle {
    /// The image: a name or an id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The bundle: a new directory, or an empty one
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// What to run instead of the image's command
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// Copy the root file system, so that the bundle needs neither the store nor a mount
    #[arg(long)]
    copy: bool,
    /// The container's network
    #[arg(long, value_enum, default_value_t = NetworkArg::None)]
    network: NetworkArg,
    /// Set a variable of the environment; without a value, to the one that it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Run with a terminal
    #[arg(short, long)]
    tty: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

impl Verb for Bundle {
    const NAME: &'static str = "bundle";
    const ABOUT: &'static str = "Make a bundle for an OCI runtime of an image";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let lease = store.lease()?;
        let image = store.find(&self.image)?;
        let chain = store.unpack(&lease, &image, self.limits.into()).with(|| format!("unpack {}", self.image))?;
        let directory = new_directory(&self.directory)?;
        let place = Place { forno, store: &store, lease: &lease, image: &image, chain: &chain, directory: &directory };
        match self.fill(&place) {
            Ok(()) => Ok(0),
            Err(error) => {
                // What cannot be undone is said by whoever tries again.
                if let Err(left) = remove(&store, &directory) {
                    forno.warn(&left.to_string());
                }
                Err(error.context(format!("bundle {}", self.directory.display())))
            }
        }
    }
}

struct Place<'a> {
    forno: &'a Forno,
    store: &'a Store,
    lease: &'a Lease<'a>,
    image: &'a Image,
    chain: &'a [Digest],
    directory: &'a Path,
}

impl Bundle {
    fn fill(&self, place: &Place) -> Result<()> {
        let record = Record { store: place.store.path().to_owned(), image: place.image.id().clone() };
        write(&place.directory.join(RECORD), &serde_json::to_vec(&record).context("write record")?)?;
        let rootfs = place.directory.join(ROOTFS);
        std::fs::create_dir(&rootfs).context("create rootfs")?;
        if self.copy {
            place.copy(&rootfs)?
        } else {
            place.mount(&rootfs)?
        }
        let root = Root::open(&rootfs).context("open rootfs")?;
        let mut container = Container::of_image(&place.image.config, &root, &self.args)?;
        container.terminal = self.tty;
        container.network = match self.network {
            NetworkArg::Host => Network::Host,
            NetworkArg::None => Network::New,
        };
        for entry in &self.env {
            match entry.split_once('=') {
                Some((name, value)) => container.set_env(name, value),
                None => {
                    if let Ok(value) = std::env::var(entry) {
                        container.set_env(entry, &value);
                    }
                }
            }
        }
        let directory_mode = Mode::from_bits_truncate(0o755);
        root.create_dir_all(&container.cwd, directory_mode).with(|| format!("create {}", container.cwd))?;
        place.volumes(&root, &mut container)?;
        let mut config = container.to_json();
        rootless::adapt(&mut config)?;
        let config = serde_json::to_vec_pretty(&config).context("write config.json")?;
        write(&place.directory.join("config.json"), &config)
    }
}

impl Place<'_> {
    fn mount(&self, rootfs: &Path) -> Result<()> {
        let mut snapshot = self.store.create_snapshot(self.lease, self.chain, Some(self.directory))?;
        snapshot.mount(self.store, rootfs, false)
    }

    fn copy(&self, rootfs: &Path) -> Result<()> {
        let scratch = self.store.scratch_dir()?;
        let merged = scratch.path().join("merged");
        std::fs::create_dir(&merged).context("create mount point")?;
        let mut snapshot = self.store.create_snapshot(self.lease, self.chain, None)?;
        snapshot.mount(self.store, &merged, true)?;
        let copied = std::fs::File::open(&merged)
            .context("open snapshot")
            .and_then(|from| copy_directory(&OwnedFd::from(from), rootfs));
        snapshot.remove(self.store)?;
        copied?.iter().for_each(|warning| self.forno.warn(warning));
        Ok(())
    }

    /// Each volume of the image is a directory of the bundle that starts with what the image has there.
    fn volumes(&self, root: &Root, container: &mut Container) -> Result<()> {
        for (number, path) in self.image.config.config.volumes.keys().enumerate() {
            let destination = absolute(path);
            if destination == "/" {
                bail!("volume {path:?}: the root cannot be one");
            }
            let source = self.directory.join(VOLUMES).join(number.to_string());
            std::fs::create_dir_all(&source).with(|| format!("create {}", source.display()))?;
            match root.open_at(&destination, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()) {
                Ok(from) => copy_directory(&from, &source)?.iter().for_each(|warning| self.forno.warn(warning)),
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno).with(|| format!("volume {path:?}")),
            }
            let options = ["rbind", "rprivate", "rw"];
            container.mounts.push(
                json!({"destination": destination, "type": "bind", "source": source.display().to_string(), "options": options}),
            );
        }
        Ok(())
    }
}

/// A directory of this name with nothing in it; its real path.
fn new_directory(path: &Path) -> Result<PathBuf> {
    let make = || -> Result<PathBuf> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if std::fs::read_dir(path)?.next().is_some() {
                    bail!("there is something in it");
                }
            }
            result => result?,
        }
        Ok(path.canonicalize()?)
    };
    make().with(|| format!("create {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with(|| format!("write {}", path.display()))
}

/// Unmounts and removes a bundle of ours.
pub(super) fn remove(store: &Store, directory: &Path) -> Result<()> {
    for snapshot in store.snapshots_of(directory)? {
        snapshot.remove(store)?;
    }
    crate::image::store::remove_tree(directory)
}
