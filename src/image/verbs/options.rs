//! The options of `run` and `create`: docker's, and what they mean.

use super::remote::PullPolicy;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::config::Healthcheck;
use crate::image::container::config::{Config, LogOptions, Mount, MountKind, Network, Restart, Security};
use crate::image::container::create::{Options, STOP_TIMEOUT};
use crate::image::container::{names, signals};
use crate::image::store::Store;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) mod limits;
pub(super) mod mounts;
pub(super) mod values;

use values::{key_value, restart};

#[derive(Debug, Args)]
pub(super) struct ContainerArgs {
    /// The container's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Remove the container when it ends, with its anonymous volumes
    #[arg(long)]
    pub(super) rm: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Attach to stdin, stdout or stderr
    #[arg(short, long, value_name = "STREAM")]
    pub(super) attach: Vec<String>,
    /// Set a variable; NAME alone takes the value from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The working directory, made where it is missing
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The user, and group: names or numbers
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Further groups
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Run this instead of the image's entry point
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// The host name in the container
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// The domain name in the container
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Label the container
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Read labels from a file, one a line
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Give the OCI runtime an annotation
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Mount a directory of the host, or a volume, in the container
    #[arg(short, long, value_name = "SRC:DST[:ro]")]
    volume: Vec<String>,
    /// Mount what another container has mounted
    #[arg(long, value_name = "CONTAINER[:ro]")]
    volumes_from: Vec<String>,
    /// Mount, in full words: type=bind|volume|tmpfs,src=...,dst=...[,ro]
    #[arg(long, value_name = "WORDS")]
    mount: Vec<String>,
    /// Mount a tmpfs
    #[arg(long, value_name = "DST[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Make the root file system read-only
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    network: NetworkArgs,
    /// When to start the container again: no, on-failure[:N], always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = restart, default_value = "no")]
    restart: Restart,
    /// The signal that stops the container
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// How long `stop` waits before it kills
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    stop_timeout: Option<i64>,
    #[command(flatten)]
    health: HealthArgs,
    /// Where the output is kept: json-file or none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// max-size=BYTES or max-file=N
    #[arg(long, value_name = "KEY=VALUE")]
    log_opt: Vec<String>,
    #[command(flatten)]
    security: SecurityArgs,
    #[command(flatten)]
    limits: limits::ResourceArgs,
    /// The pid namespace: host or container:ID
    #[arg(long, value_name = "MODE")]
    pid: Option<String>,
    /// The ipc namespace: private, host or container:ID
    #[arg(long, value_name = "MODE")]
    ipc: Option<String>,
    /// The uts namespace: host
    #[arg(long, value_name = "MODE")]
    uts: Option<String>,
    /// The cgroup namespace: host or private
    #[arg(long, value_name = "MODE")]
    cgroupns: Option<String>,
    /// Run a small init as the first process, which reaps the others
    #[arg(long)]
    init: bool,
    /// Write the container's id to a file
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Option<PathBuf>,
    /// When to get the image from its registry
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = PullPolicy::Missing)]
    pub(super) pull: PullPolicy,
    /// Only an image of this platform
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
    /// Say less
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// The image, and what to run in it with its arguments
    #[arg(value_name = "IMAGE [COMMAND [ARG...]]", required = true, num_args = 1.., trailing_var_arg = true)]
    image_and_command: Vec<String>,
}

#[derive(Debug, Args)]
struct NetworkArgs {
    /// The network: bridge, host, none, container:ID, or one by its name
    #[arg(long, alias = "net", value_name = "NETWORK", default_value = "bridge")]
    network: String,
    /// A further name in the network
    #[arg(long, value_name = "NAME")]
    network_alias: Vec<String>,
    /// The address in the network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// The IPv6 address in the network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// The hardware address
    #[arg(long, value_name = "MAC")]
    mac_address: Option<String>,
    /// Make a port of the container one of the host's
    #[arg(short, long, value_name = "[IP:][PORT:]PORT[/udp]")]
    publish: Vec<String>,
    /// Give each exposed port one of the host's
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Expose a port
    #[arg(long, value_name = "PORT[/udp]")]
    expose: Vec<String>,
    /// Name servers
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<String>,
    /// Domains to search
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// Options of resolv.conf
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// A line for /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
}

#[derive(Debug, Args)]
struct HealthArgs {
    /// Check the container's health with this command
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between two checks
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    health_interval: Option<i64>,
    /// Failures until the container counts as unhealthy
    #[arg(long, value_name = "N")]
    health_retries: Option<i64>,
    /// How long a check may take
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    health_timeout: Option<i64>,
    /// Time in which failures do not count
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    health_start_period: Option<i64>,
    /// Time between two checks in the start period
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    health_start_interval: Option<i64>,
    /// No health check, whatever the image says
    #[arg(long)]
    no_healthcheck: bool,
}

#[derive(Debug, Args)]
struct SecurityArgs {
    /// Nothing is hidden or forbidden
    #[arg(long)]
    privileged: bool,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Take a capability away
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, apparmor=PROFILE, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Make a device of the host one of the container
    #[arg(long, value_name = "PATH[:PATH[:rwm]]")]
    device: Vec<String>,
    /// Allow devices by their numbers: "c 1:3 rwm", with * for any number
    #[arg(long, value_name = "RULE", value_parser = values::device_rule)]
    device_cgroup_rule: Vec<serde_json::Value>,
    /// The user namespace: host
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Set a kernel parameter of the container's namespaces
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
}

impl ContainerArgs {
    pub(super) fn image(&self) -> &str {
        self.image_and_command.first().map_or("", String::as_str)
    }

    /// What was asked for. Every mistake is told now, before anything is made.
    pub(super) fn options(&self, store: &Store) -> Result<Options> {
        self.parse(store).map_err(|error| error.exit(125))
    }

    fn parse(&self, store: &Store) -> Result<Options> {
        if let Some(name) = &self.name {
            names::check(name)?;
        }
        if self.rm && self.restart != Restart::default() {
            bail!("--rm and --restart do not go together: a container that is removed cannot be started again");
        }
        let mut env = Vec::new();
        for file in &self.env_file {
            env.extend(values::lines_of(file).with(|| format!("--env-file {}", file.display()))?);
        }
        env.extend(self.env.iter().cloned());
        if let Some(entry) = env.iter().find(|entry| entry.is_empty() || entry.starts_with('=')) {
            bail!("--env {entry:?}: no name");
        }
        let (limits, shm_size, ulimits) = (self.limits.resources()?, self.limits.shm_size(), self.limits.ulimits());
        let config = Config {
            image: self.image().to_owned(),
            cwd: self.workdir.clone().unwrap_or_default(),
            user: self.user.clone().unwrap_or_default(),
            groups: self.group_add.clone(),
            hostname: self.hostname.clone().unwrap_or_default(),
            domainname: self.domainname.clone().unwrap_or_default(),
            labels: self.labels()?,
            annotations: self.annotation.iter().map(|entry| key_value("--annotation", entry)).collect::<Result<_>>()?,
            terminal: self.tty,
            stdin: self.interactive,
            mounts: self.mounts()?,
            network: self.network.parse(store)?,
            exposed: self.network.exposed()?,
            restart: self.restart,
            stop_timeout: self.stop_timeout.unwrap_or(STOP_TIMEOUT),
            auto_remove: self.rm,
            healthcheck: self.health.parse(),
            log: self.log()?,
            security: self.security.parse(self.read_only)?,
            sysctls: self.security.sysctl.iter().map(|entry| key_value("--sysctl", entry)).collect::<Result<_>>()?,
            resources: limits,
            ulimits,
            shm_size,
            oom_score_adj: self.limits.oom_score_adj,
            cgroup_parent: self.limits.cgroup_parent.clone().unwrap_or_default(),
            init: self.init,
            pid_mode: self.pid.clone().unwrap_or_default(),
            ipc_mode: self.ipc.clone().unwrap_or_default(),
            uts_mode: self.uts.clone().unwrap_or_default(),
            cgroupns_mode: self.cgroupns.clone().unwrap_or_default(),
            ..Config::default()
        };
        Ok(Options {
            name: self.name.clone(),
            config,
            entrypoint: self.entrypoint.clone().map(|program| vec![program]),
            command: self.image_and_command.iter().skip(1).cloned().collect(),
            env,
            no_healthcheck: self.health.no_healthcheck,
            stop_signal: self.stop_signal.as_deref().map(signals::parse).transpose().context("--stop-signal")?,
            volumes_from: self.volumes_from.clone(),
        })
    }

    fn labels(&self) -> Result<BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        for file in &self.label_file {
            let lines = values::lines_of(file).with(|| format!("--label-file {}", file.display()))?;
            labels.extend(lines.iter().map(|entry| values::label(entry)));
        }
        labels.extend(self.label.iter().map(|entry| values::label(entry)));
        Ok(labels)
    }

    fn mounts(&self) -> Result<Vec<Mount>> {
        let mut found: Vec<Mount> = Vec::new();
        for text in &self.volume {
            found.push(mounts::volume(text).with(|| format!("--volume {text}"))?);
        }
        for text in &self.mount {
            found.push(mounts::mount(text).with(|| format!("--mount {text}"))?);
        }
        for text in &self.tmpfs {
            found.push(mounts::tmpfs(text).with(|| format!("--tmpfs {text}"))?);
        }
        for (at, mount) in found.iter().enumerate() {
            if found.iter().skip(at + 1).any(|other| other.target == mount.target) {
                bail!("Duplicate mount point: {}", mount.target);
            }
        }
        for mount in found.iter().filter(|mount| mount.kind == MountKind::Volume && !mount.source.is_empty()) {
            crate::image::volume::check_name(&mount.source)?;
        }
        Ok(found)
    }

    fn log(&self) -> Result<LogOptions> {
        let mut options = LogOptions::default();
        match self.log_driver.as_deref() {
            None | Some("json-file" | "local") => {}
            Some("none") => options.driver = "none".to_owned(),
            Some(driver) => bail!("--log-driver {driver}: there are json-file and none"),
        }
        for entry in &self.log_opt {
            match entry.split_once('=') {
                Some(("max-size", size)) => {
                    options.max_size = values::bytes(size).with(|| format!("--log-opt {entry}"))?
                }
                Some(("max-file", count)) => {
                    options.max_file = count
                        .parse()
                        .ok()
                        .filter(|count| *count > 0)
                        .ok_or_else(|| Error::new(format!("--log-opt {entry}: want a number of files")))?;
                }
                _ => bail!("--log-opt {entry}: there are max-size and max-file"),
            }
        }
        Ok(options)
    }
}

impl NetworkArgs {
    fn parse(&self, store: &Store) -> Result<Network> {
        let mode = match self.network.as_str() {
            "" | "default" => "bridge".to_owned(),
            mode => match mode.strip_prefix("container:") {
                // By its id: names change.
                Some(other) => format!("container:{}", store.container(other)?.id()),
                None => mode.to_owned(),
            },
        };
        let mut publish = Vec::new();
        for text in &self.publish {
            publish.extend(values::publish(text).with(|| format!("--publish {text}"))?);
        }
        let own = !matches!(mode.as_str(), "host" | "none") && !mode.starts_with("container:");
        if !own && mode != "host" && !publish.is_empty() {
            bail!("--publish: a container of network {mode} has no ports to publish");
        }
        Ok(Network {
            publish: if own { publish } else { Vec::new() },
            publish_all: own && self.publish_all,
            aliases: self.network_alias.clone(),
            address: self.ip.clone().unwrap_or_default(),
            address6: self.ip6.clone().unwrap_or_default(),
            mac: self.mac_address.clone().unwrap_or_default(),
            dns: self.dns.clone(),
            dns_search: self.dns_search.clone(),
            dns_options: self.dns_option.clone(),
            extra_hosts: self.add_host.iter().map(|entry| values::extra_host(entry)).collect::<Result<_>>()?,
            mode,
        })
    }

    fn exposed(&self) -> Result<Vec<String>> {
        let mut exposed = Vec::new();
        for text in &self.expose {
            exposed.extend(values::exposed(text).with(|| format!("--expose {text}"))?);
        }
        for text in &self.publish {
            let ports = values::publish(text).with(|| format!("--publish {text}"))?;
            exposed.extend(ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol)));
        }
        Ok(exposed)
    }
}

impl HealthArgs {
    fn parse(&self) -> Option<Healthcheck> {
        let test = match self.health_cmd.as_deref() {
            None => Vec::new(),
            Some("none") => vec!["NONE".to_owned()],
            Some(command) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        };
        let check = Healthcheck {
            test,
            interval: self.health_interval.unwrap_or(0),
            timeout: self.health_timeout.unwrap_or(0),
            start_period: self.health_start_period.unwrap_or(0),
            start_interval: self.health_start_interval.unwrap_or(0),
            retries: self.health_retries.unwrap_or(0),
            ..Healthcheck::default()
        };
        (check != Healthcheck::default()).then_some(check)
    }
}

impl SecurityArgs {
    fn parse(&self, read_only: bool) -> Result<Security> {
        let mut security = Security {
            privileged: self.privileged,
            read_only,
            cap_add: self.cap_add.iter().map(|name| values::capability(name)).collect::<Result<_>>()?,
            cap_drop: self.cap_drop.iter().map(|name| values::capability(name)).collect::<Result<_>>()?,
            devices: self.device.clone(),
            device_rules: self.device_cgroup_rule.clone(),
            ..Security::default()
        };
        match self.userns.as_deref() {
            None | Some("" | "host") => {}
            Some(mode) => bail!("--userns {mode}: only host is supported"),
        }
        for option in &self.security_opt {
            match option.split_once(['=', ':']).unwrap_or((option, "")) {
                ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
                ("no-new-privileges", "false") => security.no_new_privileges = false,
                ("seccomp", "unconfined") => security.seccomp = "unconfined".to_owned(),
                ("seccomp", "builtin") => security.seccomp = String::new(),
                ("seccomp", file) if !file.is_empty() => {
                    security.seccomp =
                        std::fs::read_to_string(file).with(|| format!("--security-opt {option}: read {file}"))?;
                    serde_json::from_str::<serde_json::Value>(&security.seccomp)
                        .with(|| format!("--security-opt {option}: parse {file}"))?;
                }
                ("apparmor", profile) if !profile.is_empty() => security.apparmor = profile.to_owned(),
                ("systempaths", "unconfined") => security.unmask = true,
                ("label", _) => {}
                _ => bail!(
                    "--security-opt {option}: there are seccomp, no-new-privileges, apparmor and systempaths=unconfined"
                ),
            }
        }
        Ok(security)
    }
}
