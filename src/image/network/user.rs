//! A network without root: a program of the user's speaks for the container through the host's ordinary sockets.
//! pasta(1) where it is installed, for it shows servers who their clients are; else slirp4netns(1).
//!
//! Each container has one of its own, with the same address; what containers want of each other goes through published
//! ports, or they share a namespace (`--network container:NAME`).

use super::ports;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::container::Container;
use crate::image::container::config::Config;
use crate::image::container::state::{Endpoint, Published, open_process, start_time};
use crate::image::network::definition::DEFAULT;
use crate::image::store::Store;
use crate::sys::process::{self, pid_t};
use crate::sys::{Errno, mount, overlay};
use serde_json::{Value, json};
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// slirp4netns has these, and pasta is told to.
const ADDRESS: &str = "10.0.2.100";
const PREFIX: u8 = 24;
const GATEWAY: &str = "10.0.2.2";
const NAME_SERVER: &str = "10.0.2.3";
/// In the container's directory: `PID START` of the program.
const RECORD: &str = "network";
/// Where the container's network namespace is mounted.
const NAMESPACE: &str = "network.namespace";
const SOCKET: &str = "network.socket";
/// What slirp4netns says of its work, which goes on after us.
const LOG: &str = "network.log";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pasta,
    Slirp,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Pasta, Kind::Slirp];

    fn name(self) -> &'static str {
        match self {
            Kind::Pasta => "pasta",
            Kind::Slirp => "slirp4netns",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Kind::Pasta => "passt",
            Kind::Slirp => "slirp4netns",
        }
    }

    /// The program, in PATH or where systems have it.
    fn program(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"].map(PathBuf::from);
        let places = std::env::split_paths(&path).filter(|place| place.is_absolute()).chain(usual);
        places.map(|place| place.join(self.name())).find(|path| path.is_file())
    }
}

pub(super) struct UserNetwork {
    kind: Kind,
    program: PathBuf,
    container: Container,
    endpoint: Endpoint,
    own_name_server: bool,
}

impl UserNetwork {
    /// Finds the program, and sees that nobody has the ports.
    pub(super) fn prepare(store: &Store, config: &Config) -> Result<UserNetwork> {
        let mode = config.network.mode.as_str();
        let wanted: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| mode == DEFAULT || mode == kind.name()).collect();
        if wanted.is_empty() {
            bail!("network {mode}: without root there are bridge (the default), host, none and container:NAME only");
        }
        let found = wanted.iter().find_map(|kind| Some((*kind, kind.program()?)));
        let Some((kind, program)) = found else {
            let names = wanted.iter().map(|kind| format!("{} (package {})", kind.name(), kind.package()));
            let names = names.collect::<Vec<_>>().join(" or ");
            bail!(
                "network {mode}: without root it needs {names}, not installed here; --network host and none do without"
            );
        };
        let mut held: Vec<Published> = ports::hold(config)?.into_iter().map(|held| held.published.clone()).collect();
        if kind == Kind::Slirp {
            held.retain(|port| !port.host_ip.contains(':'));
        }
        let endpoint = Endpoint {
            network: mode.to_owned(),
            address: ADDRESS.to_owned(),
            prefix: PREFIX,
            gateway: GATEWAY.to_owned(),
            ports: held,
            ..Endpoint::default()
        };
        let container = Container::by_id(store, &config.id);
        Ok(UserNetwork { kind, program, container, endpoint, own_name_server: config.network.dns.is_empty() })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn name_server(&self) -> Option<String> {
        self.own_name_server.then(|| NAME_SERVER.to_owned())
    }

    /// Starts the program for the namespace of the container's first process; the ports lead there when this is done.
    pub(super) fn attach(&mut self, pid: pid_t) -> Result<()> {
        let attach = self.name_namespace(pid).and_then(|namespace| match self.kind {
            Kind::Pasta => self.pasta(&namespace),
            Kind::Slirp => self.slirp(&namespace),
        });
        attach.with(|| format!("network {}: {}", self.endpoint.network, self.kind.name()))?;
        // Where nothing leads out by IPv6, pasta does not listen to it either.
        self.endpoint.ports.retain(|port| !port.host_ip.contains(':') || ports::is_taken(port));
        Ok(())
    }

    pub(super) fn detach(&self) -> Result<()> {
        clean(&self.container)
    }

    /// Mounts the namespace on a file of the container's: the programs give up what /proc asks of who opens one there.
    fn name_namespace(&self, pid: pid_t) -> Result<PathBuf> {
        let path = self.container.directory().join(NAMESPACE);
        let name = || -> Result<()> {
            std::fs::write(&path, "").context("create")?;
            let theirs = CString::new(format!("/proc/{pid}/ns/net")).map_err(|_| Errno::EINVAL)?;
            let tree = mount::open_tree(None, &theirs, true).context("open the container's network namespace")?;
            mount::move_mount(tree, std::fs::File::open(&path).context("open")?).context("mount")
        };
        name().with(|| path.display().to_string())?;
        Ok(path)
    }

    fn record(&self, pid: pid_t) -> Result<()> {
        let text = format!("{pid} {}\n", start_time(pid).unwrap_or(0));
        std::fs::write(self.container.directory().join(RECORD), text).with(|| format!("write {RECORD}"))
    }

    /// It goes into the background when it is ready.
    fn pasta(&self, namespace: &Path) -> Result<()> {
        let pid_file = self.container.directory().join(SOCKET);
        let mut command = Command::new(&self.program);
        command.args(["--config-net", "--quiet", "--no-map-gw", "--address", ADDRESS, "--netmask", "24"]);
        command.args(["--gateway", GATEWAY, "--dns-forward", NAME_SERVER, "--tcp-ns", "none", "--udp-ns", "none"]);
        for (option, protocol) in [("--tcp-ports", "tcp"), ("--udp-ports", "udp")] {
            let ports = self.endpoint.ports.iter().filter(|port| port.protocol == protocol);
            let specs = pasta_ports(ports);
            if specs.is_empty() {
                command.args([option, "none"]);
            }
            for spec in specs {
                command.args([option, &spec]);
            }
        }
        command.arg("--pid").arg(&pid_file).arg("--netns").arg(namespace).current_dir("/");
        let output = process::unblocked(&mut command).stdin(Stdio::null()).output().context("run")?;
        if !output.status.success() {
            bail!("{}", last_words(&output.stderr, output.status.code()));
        }
        let pid = std::fs::read_to_string(&pid_file).context("read its pid file")?;
        let _ = std::fs::remove_file(&pid_file);
        self.record(pid.trim().parse().map_err(|_| Error::new(format!("its pid file says {pid:?}")))?)
    }

    /// It says when it is ready, and takes orders for ports at a socket.
    fn slirp(&self, namespace: &Path) -> Result<()> {
        let directory = std::fs::File::open(self.container.directory()).context("open the container's directory")?;
        // A path of any length is too long for the address of a socket.
        let socket = format!("/proc/{}/fd/{}/{SOCKET}", std::process::id(), directory.as_raw_fd());
        let _ = std::fs::remove_file(self.container.directory().join(SOCKET));
        let (mut ready, theirs) = std::io::pipe().context("make a pipe")?;
        crate::sys::fd::set_cloexec(theirs.as_fd(), false).context("prepare the pipe")?;
        let mut command = Command::new(&self.program);
        command.args(["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"]);
        command.arg(format!("--ready-fd={}", theirs.as_raw_fd())).arg(format!("--api-socket={socket}"));
        command.arg(namespace).arg("tap0").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let log = self.container.directory().join(LOG);
        command.stderr(std::fs::File::create(&log).with(|| format!("create {LOG}"))?);
        let mut child = process::unblocked(&mut command).spawn().context("run")?;
        drop((theirs, command));
        self.record(pid_t::try_from(child.id()).unwrap_or(0))?;
        let mut byte = [0; 1];
        if ready.read(&mut byte).context("wait for it")? == 0 {
            let code = child.wait().ok().and_then(|status| status.code());
            bail!("{}", last_words(&std::fs::read(&log).unwrap_or_default(), code));
        }
        for port in &self.endpoint.ports {
            forward(&socket, port).with(|| format!("publish port {}/{}", port.host_port, port.protocol))?;
        }
        Ok(())
    }
}

/// One for each port; a port of every IPv4 and every IPv6 address is one without address.
fn pasta_ports<'a>(ports: impl Iterator<Item = &'a Published>) -> Vec<String> {
    let mut specs: Vec<String> = ports
        .map(|port| {
            let any = matches!(port.host_ip.as_str(), "0.0.0.0" | "::");
            let address = if any { String::new() } else { format!("{}/", port.host_ip) };
            format!("{address}{}:{}", port.host_port, port.container_port)
        })
        .collect();
    specs.sort();
    specs.dedup();
    specs
}

/// slirp4netns(1), "API SOCKET": one order, one answer, one connection.
fn forward(socket: &str, port: &Published) -> Result<()> {
    let order = json!({"execute": "add_hostfwd", "arguments": {
        "proto": port.protocol, "host_addr": port.host_ip, "host_port": port.host_port,
        "guest_addr": ADDRESS, "guest_port": port.container_port,
    }});
    let mut stream = UnixStream::connect(socket).context("connect")?;
    stream.write_all(order.to_string().as_bytes()).context("ask")?;
    stream.shutdown(std::net::Shutdown::Write).context("ask")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("hear")?;
    let answer: Value = serde_json::from_str(&answer).with(|| format!("understand {answer:?}"))?;
    match answer["error"]["desc"].as_str() {
        Some(why) => bail!("{why}"),
        None => Ok(()),
    }
}

/// The last line that the program wrote.
fn last_words(stderr: &[u8], code: Option<i32>) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.contains("to syslog"));
    match (line, code) {
        (Some(line), _) => line.to_owned(),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => "was killed".to_owned(),
    }
}

/// Ends the program of a container that does not run.
pub(super) fn clean(container: &Container) -> Result<()> {
    let path = container.directory().join(RECORD);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(());
    };
    let process = || {
        let (pid, start) = text.trim().split_once(' ')?;
        open_process(pid.parse().ok()?, start.parse().ok()?)
    };
    if let Some(process) = process() {
        match process::pidfd_send_signal(&process, process::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno).context("end the network's program"),
        }
        process::wait_until_exit(process.as_fd(), -1).context("end the network's program")?;
    }
    let namespace = container.directory().join(NAMESPACE);
    overlay::unmount(&namespace).context("unmount the network namespace")?;
    for left in [namespace, container.directory().join(SOCKET), container.directory().join(LOG)] {
        let _ = std::fs::remove_file(left);
    }
    std::fs::remove_file(&path).with(|| format!("remove {RECORD}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_both_families_is_one() {
        let port = |ip: &str, host_port: u16| Published {
            host_ip: ip.to_owned(),
            host_port,
            container_port: 80,
            protocol: "tcp".to_owned(),
        };
        let ports = [port("0.0.0.0", 8080), port("::", 8080), port("127.0.0.1", 99)];
        assert_eq!(pasta_ports(ports.iter()), ["127.0.0.1/99:80", "8080:80"]);
        assert_eq!(last_words(b"first\nlast\n\n", Some(1)), "last");
        assert_eq!(last_words(b"", Some(3)), "exit status 3");
    }
}
