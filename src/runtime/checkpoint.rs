//! `checkpoint`: a running container's processes are saved, by CRIU, as files that `restore` makes processes of again.

use super::Global;
use super::criu;
use super::criu::external::{self, DESCRIPTORS};
use super::criu::flags::{Directories, Flags};
use super::criu::message::{Kind, Number, Options, Switch, Text};
use super::criu::service::{Criu, Notice, Start, features};
use super::delete::{destroy, wait_for_end};
use super::notify;
use super::plan::namespaces::Namespaces;
use super::plan::{self, Facts, Plan};
use super::record::Status;
use super::spec::Spec;
use super::store::Container;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::root::Root;
use crate::sys::{Mode, OFlag, fd};
use std::os::fd::BorrowedFd;
use std::path::{Component, Path};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    #[command(flatten)]
    criu: Flags,
    /// Directory of images made before (by --pre-dump), relative to that of the images
    #[arg(long, value_name = "DIR")]
    parent_path: Option<String>,
    /// Let the container go on afterwards
    #[arg(long)]
    leave_running: bool,
    /// Pass over TCP connections that are being made
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Give files that have no name any more a name for the time
    #[arg(long)]
    link_remap: bool,
    /// Descriptor that gets a zero byte when the pages of --lazy-pages can be asked for
    #[arg(long, value_name = "FD")]
    status_fd: Option<i32>,
    /// Who takes the memory instead of the images
    #[arg(long, value_name = "ADDRESS:PORT")]
    page_server: Option<String>,
    /// Save memory alone and let the container go on: what changes until the checkpoint is all that it has to save
    #[arg(long)]
    pre_dump: bool,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    criu::warn_users(&global.log, "checkpoint");
    let container = global.store.load(&args.id)?;
    container.lock()?;
    match container.status()? {
        Status::Running | Status::Paused => {}
        status => bail!("cannot checkpoint a container that is {}: {}", status.word(), args.id),
    }
    let server = args.page_server.as_deref().map(address_and_port).transpose()?;
    let ready = args.status_fd.filter(|_| args.lazy_pages()).map(writable).transpose()?;
    check_features(&args)?;
    check_parent(&args)?;
    let directories = args.criu.open(true, "dump.log")?;
    let spec = container.spec()?;
    let plan = plan_of(&container, &spec)?;

    let kind = if args.pre_dump { Kind::PreDump } else { Kind::Dump };
    let mut options = options(&args, &container, &spec, &directories)?;
    if let Some((address, port)) = server {
        options.page_server(address, port);
    }
    // Mounts and files are saved with the rest, at the end.
    if !args.pre_dump {
        let root = Root::open(Path::new(&format!("/proc/{}/root", container.state.pid)));
        external::at_dump(&mut options, &plan, &root.context("open the container's root")?);
        let descriptors = external::descriptors(&mut options, container.state.pid)?;
        save_descriptors(&directories, &descriptors)?;
    }
    let mut criu = Criu::start(&Start::default())?;
    let notice = |said: Notice| {
        if said.script == "status-ready"
            && let Some(ready) = ready
        {
            fd::write_once(ready, &[0]).context("--status-fd: write to it")?;
        }
        Ok(())
    };
    let dumped = criu.call(kind, &options, |error| directories.explain(error), notice);
    dumped.and_then(|_| criu.finish(kind)).with(|| format!("checkpoint container {}", args.id))?;
    if !args.leave_running && !args.pre_dump {
        wait_for_end(&container)?;
        destroy(global, &container)?;
    }
    Ok(0)
}

impl Args {
    fn lazy_pages(&self) -> bool {
        self.criu.lazy_pages
    }
}

fn options(args: &Args, container: &Container, spec: &Spec, directories: &Directories) -> Result<Options> {
    let state = &container.state;
    let mut options = args.criu.options(directories, &state.annotations);
    options.number(Number::Pid, state.pid as u64);
    options.text(Text::Root, &state.rootfs);
    options.switch(Switch::LeaveRunning, args.leave_running);
    options.switch(Switch::TcpSkipInFlight, args.tcp_skip_in_flight);
    options.switch(Switch::LinkRemap, args.link_remap);
    if let Some(path) = state.cgroup.as_ref().and_then(|cgroup| cgroup.freezer_path()) {
        options.text(Text::FreezeCgroup, &path);
    }
    if let Some(parent) = &args.parent_path {
        options.text(Text::ParentImage, parent);
        options.switch(Switch::TrackMemory, true);
    }
    if let Some(linux) = &spec.linux {
        external::namespaces_at_dump(&mut options, &Namespaces::parse(linux)?)?;
    }
    Ok(options)
}

/// The plan by which the container was made: what it mounts from outside is external.
fn plan_of(container: &Container, spec: &Spec) -> Result<Plan> {
    let state = &container.state;
    let facts = Facts {
        bundle: &state.bundle,
        id: &state.id,
        cgroup: state.cgroup.as_ref(),
        notify: container.has_notify_directory().then_some(notify::DIRECTORY),
        ..Facts::default()
    };
    plan::container(spec, &facts)
}

fn save_descriptors(directories: &Directories, descriptors: &[String]) -> Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = nix::fcntl::openat(&directories.images, DESCRIPTORS, flags, Mode::from_bits_truncate(0o600));
    let written = file.and_then(|file| fd::write_all(file, &serde_json::to_vec(descriptors).unwrap_or_default()));
    written.with(|| format!("--image-path: write {}", DESCRIPTORS.to_string_lossy()))
}

/// Before anything is stopped: what this criu, or this kernel, cannot do.
fn check_features(args: &Args) -> Result<()> {
    if !args.pre_dump && !args.lazy_pages() {
        return Ok(());
    }
    let features = features()?;
    if args.pre_dump && !features.memory_tracking {
        bail!("--pre-dump: criu cannot follow changes of memory on this kernel");
    }
    if args.lazy_pages() && !features.lazy_pages {
        bail!("--lazy-pages: criu cannot do it on this kernel");
    }
    Ok(())
}

fn check_parent(args: &Args) -> Result<()> {
    let Some(parent) = &args.parent_path else { return Ok(()) };
    if Path::new(parent).components().next().is_none_or(|first| first == Component::RootDir) {
        bail!("--parent-path: {parent:?} is not relative to the directory of the images");
    }
    let path = format!("{}/{parent}", args.criu.image_path);
    let name = std::ffi::CString::new(path.as_str()).unwrap_or_default();
    let opened = fd::open(&name, OFlag::O_PATH | OFlag::O_DIRECTORY);
    opened.map(drop).with(|| format!("--parent-path: open {path}"))
}

fn address_and_port(text: &str) -> Result<(&str, u16)> {
    let parts = text.rsplit_once(':').and_then(|(address, port)| Some((address, port.parse().ok()?)));
    match parts {
        // An IPv6 address stands in brackets before a port.
        Some((address, port)) if !address.is_empty() && port != 0 => {
            Ok((address.trim_start_matches('[').trim_end_matches(']'), port))
        }
        _ => bail!("--page-server: {text:?} is not ADDRESS:PORT"),
    }
}

fn writable(number: i32) -> Result<BorrowedFd<'static>> {
    let Ok(fd) = fd::borrow(number) else { bail!("--status-fd: descriptor {number} is not open") };
    let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).context("--status-fd")?;
    if flags & (OFlag::O_WRONLY | OFlag::O_RDWR).bits() == 0 {
        bail!("--status-fd: descriptor {number} cannot be written to");
    }
    Ok(fd)
}
