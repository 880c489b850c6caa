//! `restore`: a container whose processes are those that `checkpoint` saved.

use super::Global;
use super::creation::{self, Draft, Starter};
use super::criu;
use super::criu::external::{self, DESCRIPTORS};
use super::criu::flags::{Directories, Flags};
use super::criu::message::{Kind, Options, Switch, Text};
use super::criu::place::Place;
use super::criu::service::{Criu, Notice, Start};
use super::delete::destroy_watched;
use super::foreground::{self, Signals};
use super::hooks;
use super::net_devices;
use super::notify;
use super::plan::Plan;
use super::plan::namespaces::Namespaces;
use super::record::Status;
use super::spec::{Namespace, Spec};
use super::store::Container;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::process::{self, CLONE_NEWNET, CLONE_NEWTIME, pid_t};
use crate::sys::root::Root;
use crate::sys::{Errno, OFlag, fd, socket};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the container
    id: String,
    #[command(flatten)]
    criu: Flags,
    /// Directory with config.json; where it is not given, the current one
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: String,
    /// Socket that receives the master of the container's terminal
    #[arg(long, value_name = "PATH")]
    console_socket: Option<String>,
    /// File to write the process's pid to
    #[arg(long, value_name = "PATH")]
    pid_file: Option<String>,
    /// Return when the processes run
    #[arg(short, long)]
    detach: bool,
    /// Leave the container's orphans to the host's init
    #[arg(long)]
    no_subreaper: bool,
    /// Nothing: CRIU changes roots in its own way
    #[arg(long)]
    no_pivot: bool,
    /// Another label for the processes: TYPE:NAME, as apparmor:docker-default
    #[arg(long, value_name = "LABEL")]
    lsm_profile: Option<String>,
    /// Another SELinux context for the mounts
    #[arg(long, value_name = "CONTEXT")]
    lsm_mount_context: Option<String>,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    criu::warn_users(&global.log, "restore");
    let starter = if args.detach { Starter::Detached } else { Starter::Foreground };
    let flags = creation::Flags {
        id: args.id.clone(),
        bundle: args.bundle.clone(),
        console_socket: args.console_socket.clone(),
        pidfd_socket: None,
        pid_file: args.pid_file.clone(),
        no_pivot: args.no_pivot,
        no_new_keyring: false,
        preserve_fds: 0,
    };
    let (draft, plan) = creation::draft(global, &flags, starter)?;
    check_labels(&args)?;
    let directories = args.criu.open(false, LOG)?;
    let descriptors = read_descriptors(&args, &directories)?;
    // Our current directory is another when it is written.
    let pid_file = args.pid_file.as_deref().map(creation::absolute).transpose()?;
    let console = args.console_socket.as_deref().map(creation::connect_console).transpose()?;
    let signals = if args.detach { None } else { Some(Signals::take(!args.no_subreaper)?) };
    let Draft { bundle, rootfs, state, .. } = draft;
    let mut container = global.store.create(state, &bundle.config)?;
    let mut restore = Restore {
        global,
        args: &args,
        spec: &bundle.spec,
        plan: &plan,
        descriptors,
        rootfs: Root::from(rootfs),
        pid_file,
        console,
        terminal: None,
        moved: None,
    };
    if let Err(error) = restore.make(&mut container) {
        // The processes that CRIU could not finish are gone with it.
        creation::undo(global, &container, &bundle.spec);
        return Err(error.context(format!("restore container {}", args.id)));
    }
    let Some(signals) = signals else { return Ok(0) };
    let Some(pidfd) = container.process()? else { bail!("container {} has ended at once", args.id) };
    container.unlock()?;
    let code = foreground::attend(signals, container.state.pid, &pidfd, restore.terminal, None)?;
    destroy_watched(global, &container)?;
    Ok(code)
}

struct Restore<'a> {
    global: &'a Global,
    args: &'a Args,
    spec: &'a Spec,
    plan: &'a Plan,
    /// Of the first process, 0 to 2: where each led when it was saved.
    descriptors: Vec<String>,
    rootfs: Root,
    pid_file: Option<String>,
    /// The engine's.
    console: Option<OwnedFd>,
    /// The master, if it is for us.
    terminal: Option<OwnedFd>,
    moved: Option<net_devices::Moved>,
}

impl Restore<'_> {
    fn make(&mut self, container: &mut Container) -> Result<()> {
        // Where the socket of sd_notify(3) was, if the container was made with one.
        container.make_notify_directory()?;
        external::make_mount_points(self.plan, &self.rootfs)?;
        let namespaces = Namespaces::parse(&self.spec.linux.clone().unwrap_or_default())?;
        let mut cgroup = container.state.cgroup.take();
        let created = cgroup.as_mut().map_or(Ok(()), |cgroup| cgroup.create());
        container.state.cgroup = cgroup;
        created?;
        let place = Place::enter(&self.rootfs, &container.state.rootfs)?;
        let begun = self.begin(container, &namespaces);
        // At once: what else is done is done on the host.
        place.leave()?;
        let (mut criu, mut options, directories) = begun?;
        // From its cgroup the processes come into theirs.
        let mut cgroup = container.state.cgroup.take();
        let joined = cgroup.as_mut().map_or(Ok(()), |cgroup| {
            cgroup.adopt(criu.pid, false)?;
            cgroup.apply(&creation::resources(self.spec))
        });
        container.state.cgroup = cgroup;
        joined?;
        container.save()?;
        cgroup_roots(&mut options, criu.pid)?;
        let explain = |error| directories.explain(error);
        let restored = criu.call(Kind::Restore, &options, explain, |said| self.notice(container, &namespaces, said));
        let restored = restored.and_then(|answer| {
            let pid = if answer.pid > 0 { answer.pid } else { container.state.pid };
            criu.finish(Kind::Restore)?;
            self.arrived(container, &namespaces, pid)
        });
        if restored.is_err() {
            if let Some(moved) = &mut self.moved {
                moved.back();
            }
            // What was restored before the failure.
            super::kill::kill_all(container)?;
        }
        restored
    }

    /// CRIU, which waits for its orders, and these.
    fn begin(&self, container: &Container, namespaces: &Namespaces) -> Result<(Criu, Options, Directories)> {
        let directories = self.args.criu.open(false, LOG)?;
        let mut options = self.options(container, &directories);
        let inherited = external::namespaces_at_restore(&mut options, namespaces)?;
        let keyring = CString::new(format!("_ses.{}", self.args.id)).ok();
        let criu = Criu::start(&Start { stdio: true, inherited, keyring })?;
        Ok((criu, options, directories))
    }

    fn options(&self, container: &Container, directories: &Directories) -> Options {
        let mut options = self.args.criu.options(directories, &container.state.annotations);
        options.switch(Switch::EvasiveDevices, true);
        options.switch(Switch::RestoreSibling, true);
        options.text(Text::Root, &container.state.rootfs);
        if let Some(profile) = &self.args.lsm_profile {
            options.text(Text::LsmProfile, profile);
        }
        if let Some(context) = &self.args.lsm_mount_context {
            options.text(Text::LsmMountContext, context);
        }
        external::at_restore(&mut options, self.plan, &self.rootfs, &container.state.rootfs);
        options.external_mount(notify::TARGET, &format!("{}/{}", container.path(), notify::DIRECTORY));
        for (number, descriptor) in (0..=2).zip(&self.descriptors) {
            if external::is_inherited(descriptor) {
                options.inherit(descriptor, number);
            }
        }
        options
    }

    fn notice(&mut self, container: &mut Container, namespaces: &Namespaces, said: Notice) -> Result<()> {
        self.global.log.debug(&format!("criu: {} {}", said.script, said.pid));
        match said.script.as_str() {
            "setup-namespaces" => {
                if namespaces.is_new(CLONE_NEWNET) {
                    loopback_up(said.pid)?;
                    self.moved = net_devices::send(&self.plan.launch, said.pid)?;
                }
                container.state.pid = said.pid;
                if let Some(wanted) = &self.spec.hooks {
                    let (state, log) = (&container.state, &self.global.log);
                    hooks::run_all("prestart", &wanted.prestart, state, Status::Created, log)?;
                    hooks::run_all("createRuntime", &wanted.create_runtime, state, Status::Created, log)?;
                }
                Ok(())
            }
            // From now on `delete` finds it, and others see it before it goes on.
            "post-restore" => creation::set_pid(container, said.pid),
            "orphan-pts-master" => self.terminal(said.descriptor),
            _ => Ok(()),
        }
    }

    fn terminal(&mut self, master: Option<OwnedFd>) -> Result<()> {
        let Some(master) = master else { bail!("criu has sent no terminal") };
        match self.console.take() {
            Some(engine) => socket::send(engine.as_fd(), b"/dev/console", &[master.as_raw_fd()])
                .context("--console-socket: send the terminal"),
            None => {
                self.terminal = Some(master);
                Ok(())
            }
        }
    }

    fn arrived(&self, container: &mut Container, namespaces: &Namespaces, pid: pid_t) -> Result<()> {
        if container.state.pid != pid {
            creation::set_pid(container, pid)?;
        }
        if !namespaces.has(CLONE_NEWTIME) && in_other_time(pid) {
            // CRIU's doing, so that clocks do not run backwards; `exec` has to join it.
            let mut spec = container.spec()?;
            let linux = spec.linux.get_or_insert_default();
            let time = Namespace { kind: "time".to_owned(), ..Namespace::default() };
            linux.namespaces.get_or_insert_default().push(time);
            container.save_spec(&spec)?;
        }
        match &self.pid_file {
            Some(path) => creation::write_pid_file(path, pid),
            None => Ok(()),
        }
    }
}

const LOG: &str = "restore.log";
const DESCRIPTORS_MAX: usize = 1 << 20;

fn read_descriptors(args: &Args, directories: &Directories) -> Result<Vec<String>> {
    let place = || format!("--image-path: {}/{}", args.criu.image_path, DESCRIPTORS.to_string_lossy());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = match fd::openat(&directories.images, DESCRIPTORS, flags) {
        Err(Errno::ENOENT) => bail!("{}: missing; there is no checkpoint there", place()),
        file => file.with(place)?,
    };
    serde_json::from_slice(&fd::read_up_to(file, DESCRIPTORS_MAX).with(place)?).with(place)
}

fn check_labels(args: &Args) -> Result<()> {
    let given = [("--lsm-profile", &args.lsm_profile), ("--lsm-mount-context", &args.lsm_mount_context)];
    for (flag, _) in given.iter().filter(|flag| flag.1.is_some()) {
        criu::require_labels(flag)?;
    }
    Ok(())
}

/// Where CRIU is, which is where the processes come to be.
fn cgroup_roots(options: &mut Options, pid: pid_t) -> Result<()> {
    let name = super::host::proc_file(pid, "cgroup");
    let text = fd::open(&name, OFlag::O_RDONLY).and_then(|file| fd::read_up_to(file, 1 << 20));
    let text = text.with(|| format!("read {}", name.to_string_lossy()))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        controllers.split(',').for_each(|controller| options.cgroup_root(controller, path));
    }
    Ok(())
}

/// A new network namespace has nothing, not even that.
fn loopback_up(pid: pid_t) -> Result<()> {
    let own = fd::open(c"/proc/self/ns/net", OFlag::O_RDONLY).context("open our own network namespace")?;
    let theirs = fd::open(&super::host::proc_file(pid, "ns/net"), OFlag::O_RDONLY);
    let theirs = theirs.context("open the container's network namespace")?;
    process::setns(&theirs, CLONE_NEWNET).context("enter the container's network namespace")?;
    let up = socket::loopback_up();
    process::setns(&own, CLONE_NEWNET).context("return to our own network namespace")?;
    up.context("bring the loopback interface up")
}

fn in_other_time(pid: pid_t) -> bool {
    let identity = |path: &std::ffi::CStr| fd::open(path, OFlag::O_PATH).and_then(fd::stat).ok();
    let theirs = identity(&super::host::proc_file(pid, "ns/time"));
    theirs.is_some() && theirs != identity(c"/proc/self/ns/time")
}
