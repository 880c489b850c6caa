//! `forno ps`: a list of containers.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::container::Listed;
use crate::image::container::config::MountKind;
use crate::image::container::state::{Published, Status};
use crate::image::listing::{self, Listing};
use crate::image::{time, units};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    headers: &[
        ("ID", "CONTAINER ID"),
        ("RunningFor", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("LocalVolumes", "LOCAL VOLUMES"),
    ],
};
const COMMAND_MAX: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Ps {
    /// Those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Only what fits: status, name, id, label, ancestor, exited, volume, network, publish, health, before, since
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// The last N, whether they run or not
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// The last one, whether it runs or not
    #[arg(short, long)]
    latest: bool,
    /// Show ids and commands in full
    #[arg(long)]
    no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    quiet: bool,
    /// Show sizes
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    format: listing::FormatArgs,
}

impl Verb for Ps {
    const NAME: &'static str = "ps";
    const ABOUT: &'static str = "List containers";

    fn run(self, forno: &Forno) -> Result<u8> {
        let filters = Filters::parse(&self.filter)?;
        let store = forno.store()?;
        let (mut containers, broken) = store.list_containers()?;
        for error in broken {
            forno.warn(&error.to_string());
        }
        if let Some(last) = self.last.or(self.latest.then_some(1)) {
            containers.truncate(last);
        } else if !self.all && !filters.has("status") && !filters.has("exited") {
            containers.retain(|listed| listed.state.status.needs_supervisor());
        }
        let mut rows = Vec::new();
        for listed in &containers {
            if filters.fit(listed, &containers)? {
                rows.push(self.row(&store, listed)?);
            }
        }
        if self.quiet && !self.format.is_given() {
            let id = |row: &Value| format!("{}\n", row["ID"].as_str().unwrap_or_default());
            forno.print(&rows.iter().map(id).collect::<String>())?;
            return Ok(0);
        }
        let with_size = Listing {
            table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}",
            ..LISTING
        };
        let listing = if self.size { with_size } else { LISTING };
        forno.print(&listing.show(&self.format, &rows)?)?;
        Ok(0)
    }
}

impl Ps {
    fn row(&self, store: &crate::image::store::Store, listed: &Listed) -> Result<Value> {
        let (config, state) = (&listed.config, &listed.state);
        let mut command = config.args().join(" ");
        if !self.no_trunc && command.chars().count() > COMMAND_MAX {
            command = command.chars().take(COMMAND_MAX - 1).chain(['…']).collect();
        }
        let id = if self.no_trunc { listed.container.id() } else { listed.container.short_id() };
        let created = time::parse_rfc3339(&config.created);
        let ports = state.endpoint.as_ref().map(|endpoint| endpoint.ports.as_slice()).unwrap_or_default();
        let labels: Vec<String> = config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mounts: Vec<&str> = config.mounts.iter().map(|mount| mount.source.as_str()).collect();
        let size = match self.size {
            true => units::size(super::diff::size(store, listed)?),
            false => "0B".to_owned(),
        };
        Ok(json!({
            "ID": id,
            "Image": config.image,
            "Command": format!("\"{command}\""),
            "CreatedAt": created.map_or_else(|| "N/A".to_owned(), time::printed),
            "RunningFor": created.map_or_else(|| "N/A".to_owned(), super::images::ago),
            "Status": status(listed),
            "State": state.status.as_str(),
            "Ports": ports_text(ports, &config.exposed, listed.is_running()),
            "Names": config.name,
            "Labels": labels.join(","),
            "Mounts": mounts.join(","),
            "Networks": config.network.mode,
            "LocalVolumes": config.mounts.iter().filter(|mount| mount.kind == MountKind::Volume).count().to_string(),
            "Size": size,
        }))
    }
}

/// `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`
pub(super) fn status(listed: &Listed) -> String {
    let state = &listed.state;
    let since = |stamp: &str| {
        let seconds = time::parse_rfc3339(stamp).map_or(0, |seconds| time::now().saturating_sub(seconds));
        units::duration(seconds)
    };
    let health = match state.health.as_ref().map(|health| health.status.as_str()) {
        Some("starting") => " (health: starting)".to_owned(),
        Some(status) => format!(" ({status})"),
        None => String::new(),
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}{health}", since(&state.started_at)),
        Status::Paused => format!("Up {} (Paused)", since(&state.started_at)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(&state.finished_at)),
        Status::Exited if state.finished_at.is_empty() => format!("Exited ({})", state.exit_code),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(&state.finished_at)),
    }
}

/// `0.0.0.0:8080->80/tcp, 443/tcp`
fn ports_text(ports: &[Published], exposed: &[String], running: bool) -> String {
    let mut words: Vec<String> = ports
        .iter()
        .map(|port| {
            let ip = if port.host_ip.contains(':') { format!("[{}]", port.host_ip) } else { port.host_ip.clone() };
            format!("{ip}:{}->{}/{}", port.host_port, port.container_port, port.protocol)
        })
        .collect();
    let published =
        |entry: &&String| ports.iter().any(|port| **entry == format!("{}/{}", port.container_port, port.protocol));
    if running {
        words.extend(exposed.iter().filter(|entry| !published(entry)).cloned());
    }
    words.join(", ")
}

/// What of several values of one key is enough; different keys must all fit.
struct Filters(BTreeMap<String, Vec<String>>);

const KEYS: [&str; 13] = [
    "ancestor", "before", "exited", "health", "id", "label", "name", "network", "publish", "since", "status", "volume",
    "expose",
];

impl Filters {
    fn parse(texts: &[String]) -> Result<Filters> {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            match text.split_once('=') {
                Some((key, value)) if KEYS.contains(&key) => {
                    map.entry(key.to_owned()).or_default().push(value.to_owned())
                }
                Some((key, _)) => bail!("--filter {text}: there is no {key}; there are {}", KEYS.join(", ")),
                None => bail!("--filter {text}: want KEY=VALUE"),
            }
        }
        Ok(Filters(map))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn fit(&self, listed: &Listed, all: &[Listed]) -> Result<bool> {
        for (key, values) in &self.0 {
            let mut fits = values.iter().map(|value| fits(key, value, listed, all));
            // Every label must be there; of other keys one value is enough.
            let fit = match key.as_str() {
                "label" => fits.try_fold(true, |all, fit| fit.map(|fit| all && fit))?,
                _ => fits.try_fold(false, |any, fit| fit.map(|fit| any || fit))?,
            };
            if !fit {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn fits(key: &str, value: &str, listed: &Listed, all: &[Listed]) -> Result<bool> {
    let (config, state) = (&listed.config, &listed.state);
    let created_of = |name: &str| {
        let is_it = |other: &&Listed| other.config.name == name || other.container.id().starts_with(name);
        match all.iter().find(is_it) {
            Some(other) => Ok(other.config.created.clone()),
            None => bail!("No such container: {name}"),
        }
    };
    Ok(match key {
        "status" => state.status.as_str() == value,
        "name" => config.name.contains(value.trim_start_matches('^').trim_end_matches('$').trim_start_matches('/')),
        "id" => config.id.starts_with(value),
        "label" => match value.split_once('=') {
            Some((name, value)) => config.labels.get(name).is_some_and(|found| found == value),
            None => config.labels.contains_key(value),
        },
        "exited" => state.status == Status::Exited && state.exit_code.to_string() == value,
        "ancestor" => {
            let tagged = |name: &str| if name.contains(':') { name.to_owned() } else { format!("{name}:latest") };
            let id = value.trim_start_matches("sha256:");
            tagged(&config.image) == tagged(value)
                || (id.len() >= 4 && config.image_id.trim_start_matches("sha256:").starts_with(id))
        }
        "volume" => config.mounts.iter().any(|mount| mount.source == value || mount.target == value),
        "network" => config.network.mode == value,
        "publish" | "expose" => {
            let port = value.split('/').next().unwrap_or_default();
            config.network.publish.iter().any(|found| found.container_port.to_string() == port)
                || (key == "expose" && config.exposed.iter().any(|entry| entry.split('/').next() == Some(port)))
        }
        "health" => state.health.as_ref().map_or("none", |health| health.status.as_str()) == value,
        "before" => config.created < created_of(value)?,
        "since" => config.created > created_of(value)?,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_as_docker_does() {
        let port = |ip: &str| Published {
            host_ip: ip.to_owned(),
            host_port: 8080,
            container_port: 80,
            protocol: "tcp".to_owned(),
        };
        let exposed = ["443/tcp".to_owned(), "80/tcp".to_owned()];
        let text = ports_text(&[port("0.0.0.0"), port("::")], &exposed, true);
        assert_eq!(text, "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp");
        assert_eq!(ports_text(&[], &exposed, false), "");
    }

    #[test]
    fn filters() {
        assert!(Filters::parse(&["status=running".to_owned()]).unwrap().has("status"));
        assert!(Filters::parse(&["what=ever".to_owned()]).is_err());
        assert!(Filters::parse(&["status".to_owned()]).is_err());
    }
}
