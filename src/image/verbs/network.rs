//! `forno network`: networks.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::listing::{self, Listing};
use crate::image::network::definition::{self, DEFAULT, Network as Found, Subnet, Wanted};
use crate::image::rootless;
use crate::image::store::Store;
use crate::image::verbs::options::values;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    headers: &[("ID", "NETWORK ID"), ("Name", "NAME")],
};

#[derive(Debug, Args)]
pub(super) struct Network {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a network
    Create {
        /// Its name
        #[arg(value_name = "NETWORK")]
        name: String,
        /// Only bridge is there
        #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
        driver: String,
        /// Its addresses, such as 10.1.2.0/24; an IPv6 one may be given too
        #[arg(long, value_name = "SUBNET")]
        subnet: Vec<Subnet>,
        /// The host's own address in it
        #[arg(long, value_name = "ADDRESS")]
        gateway: Option<IpAddr>,
        /// IPv6 addresses too
        #[arg(long)]
        ipv6: bool,
        /// Nothing leads out
        #[arg(long)]
        internal: bool,
        /// Label it
        #[arg(long, value_name = "KEY[=VALUE]")]
        label: Vec<String>,
    },
    /// List networks
    #[command(alias = "list")]
    Ls {
        /// Show ids only
        #[arg(short, long)]
        quiet: bool,
        #[command(flatten)]
        format: listing::FormatArgs,
    },
    /// Show all that is known of networks
    Inspect {
        /// Names
        #[arg(value_name = "NETWORK", required = true)]
        names: Vec<String>,
        /// A Go template
        #[arg(short, long, value_name = "TEMPLATE")]
        format: Option<String>,
    },
    /// Remove networks that no container is in
    #[command(alias = "remove")]
    Rm {
        /// Names
        #[arg(value_name = "NETWORK", required = true)]
        names: Vec<String>,
    },
    /// Remove all networks that no container is in
    Prune {
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

impl Verb for Network {
    const NAME: &'static str = "network";
    const ABOUT: &'static str = "Make, list and remove networks";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        match self.action {
            Action::Create { name, driver, subnet, gateway, ipv6, internal, label } => {
                if driver != "bridge" {
                    bail!("--driver {driver}: only bridge is there");
                }
                if rootless::is_users_root() {
                    bail!(
                        "network {name}: only root makes networks; without, containers share one with --network container:NAME"
                    );
                }
                let of_family = |ipv4: bool| subnet.iter().find(|subnet| subnet.address.is_ipv4() == ipv4).copied();
                let labels = label.iter().map(|entry| values::label(entry)).collect();
                let (subnet, subnet6) = (of_family(true), of_family(false));
                let made =
                    definition::create(&store, &name, Wanted { subnet, gateway, subnet6, ipv6, internal, labels })?;
                forno.print(&format!("{}\n", made.id))?;
                Ok(0)
            }
            Action::Ls { quiet, format } => list(forno, &store, quiet, &format),
            Action::Inspect { names, format } => inspect(forno, &store, &names, format.as_deref()),
            Action::Rm { names } => remove(forno, &store, &names),
            Action::Prune { force } => {
                if !force && !super::confirm("This removes all networks that no container uses.")? {
                    return Ok(1);
                }
                for found in definition::list(&store)? {
                    if definition::users(&store, &found.name)?.is_empty() {
                        definition::remove(&store, &found.name)?;
                        forno.print(&format!("{}\n", found.name))?;
                    }
                }
                Ok(0)
            }
        }
    }
}

fn list(forno: &Forno, store: &Store, quiet: bool, format: &listing::FormatArgs) -> Result<u8> {
    definition::require(store, DEFAULT)?;
    let mut rows: Vec<Value> = definition::list(store)?
        .iter()
        .map(|found| json!({"ID": found.id.get(..12), "Name": found.name, "Driver": "bridge", "Scope": "local"}))
        .collect();
    for (name, driver) in [("host", "host"), ("none", "null")] {
        rows.push(json!({"ID": "", "Name": name, "Driver": driver, "Scope": "local"}));
    }
    if quiet {
        let ids = rows.iter().filter_map(|row| row["ID"].as_str()).filter(|id| !id.is_empty());
        forno.print(&ids.map(|id| format!("{id}\n")).collect::<String>())?;
    } else {
        forno.print(&LISTING.show(format, &rows)?)?;
    }
    Ok(0)
}

fn inspect(forno: &Forno, store: &Store, names: &[String], format: Option<&str>) -> Result<u8> {
    let mut rows = Vec::new();
    for name in names {
        let found = definition::require(store, name)?;
        rows.push(describe(store, &found)?);
    }
    match format {
        Some(template) => forno.print(&listing::render(template, &rows)?)?,
        None => forno.print(&format!("{:#}\n", Value::Array(rows)))?,
    }
    Ok(0)
}

fn describe(store: &Store, found: &Found) -> Result<Value> {
    let mut containers = Map::new();
    for listed in store.list_containers()?.0 {
        if let Some(endpoint) = listed.state.endpoint.as_ref().filter(|endpoint| endpoint.network == found.name) {
            let place = json!({
                "Name": listed.config.name,
                "MacAddress": endpoint.mac,
                "IPv4Address": format!("{}/{}", endpoint.address, endpoint.prefix),
                "IPv6Address": endpoint.address6,
            });
            containers.insert(listed.config.id.clone(), place);
        }
    }
    let mut ranges = vec![json!({"Subnet": found.subnet, "Gateway": found.gateway})];
    ranges.extend(found.subnet6.map(|subnet| json!({"Subnet": subnet, "Gateway": found.gateway6()})));
    Ok(json!({
        "Name": found.name,
        "Id": found.id,
        "Created": found.created,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": found.subnet6.is_some(),
        "IPAM": {"Driver": "default", "Config": ranges},
        "Internal": found.internal,
        "Labels": found.labels,
        "Containers": containers,
        "Options": {"com.docker.network.bridge.name": found.bridge(store)},
    }))
}

fn remove(forno: &Forno, store: &Store, names: &[String]) -> Result<u8> {
    let mut code = 0;
    for name in names {
        match definition::remove(store, name) {
            Ok(()) => forno.print(&format!("{name}\n"))?,
            Err(error) => {
                forno.complain(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}
