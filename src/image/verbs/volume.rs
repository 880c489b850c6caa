//! `forno volume`: volumes.

use super::{Forno, Verb};
use crate::bail;
use crate::error::Result;
use crate::image::listing::{self, Listing};
use crate::image::store::Store;
use crate::image::verbs::options::values;
use crate::image::volume::{self, Volume as Found};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Write;

const LISTING: Listing = Listing { table: "{{.Driver}}\t{{.Name}}", headers: &[("Name", "VOLUME NAME")] };

#[derive(Debug, Args)]
pub(super) struct Volume {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a volume
    Create {
        /// Its name; without one, 64 digits
        #[arg(value_name = "VOLUME")]
        name: Option<String>,
        /// Label it
        #[arg(long, value_name = "KEY[=VALUE]")]
        label: Vec<String>,
        /// Only local is there
        #[arg(short, long, value_name = "DRIVER", default_value = "local")]
        driver: String,
        /// Kept with it
        #[arg(short, long, value_name = "KEY=VALUE")]
        opt: Vec<String>,
    },
    /// List volumes
    #[command(alias = "list")]
    Ls {
        /// Show names only
        #[arg(short, long)]
        quiet: bool,
        /// dangling=true|false, name=TEXT, label=KEY[=VALUE]
        #[arg(short, long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        #[command(flatten)]
        format: listing::FormatArgs,
    },
    /// Show all that is known of volumes
    Inspect {
        /// Names
        #[arg(value_name = "VOLUME", required = true)]
        names: Vec<String>,
        /// A Go template
        #[arg(short, long, value_name = "TEMPLATE")]
        format: Option<String>,
    },
    /// Remove volumes that no container has
    #[command(alias = "remove")]
    Rm {
        /// Names
        #[arg(value_name = "VOLUME", required = true)]
        names: Vec<String>,
        /// What is not there is no error
        #[arg(short, long)]
        force: bool,
    },
    /// Remove anonymous volumes that no container has
    Prune {
        /// Those with names too
        #[arg(short, long)]
        all: bool,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

impl Verb for Volume {
    const NAME: &'static str = "volume";
    const ABOUT: &'static str = "Make, list and remove volumes";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        match self.action {
            Action::Create { name, label, driver, opt } => {
                if driver != "local" {
                    bail!("--driver {driver}: only local is there");
                }
                let new = match &name {
                    Some(name) => volume::new(name),
                    None => volume::new_anonymous()?,
                };
                let labels = label.iter().map(|entry| values::label(entry)).collect();
                let options = opt.iter().map(|entry| values::key_value("--opt", entry)).collect::<Result<_>>()?;
                let made = volume::ensure(&store, Found { labels, options, ..new })?;
                forno.print(&format!("{}\n", made.name))?;
                Ok(0)
            }
            Action::Ls { quiet, filter, format } => list(forno, &store, quiet, &filter, &format),
            Action::Inspect { names, format } => inspect(forno, &store, &names, format.as_deref()),
            Action::Rm { names, force } => remove(forno, &store, &names, force),
            Action::Prune { all, force } => prune(forno, &store, all, force),
        }
    }
}

fn row(store: &Store, found: &Found) -> Value {
    json!({
        "CreatedAt": found.created,
        "Driver": "local",
        "Labels": found.labels,
        "Mountpoint": volume::data(store, &found.name),
        "Name": found.name,
        "Options": found.options,
        "Scope": "local",
    })
}

fn list(forno: &Forno, store: &Store, quiet: bool, filters: &[String], format: &listing::FormatArgs) -> Result<u8> {
    let mut rows = Vec::new();
    for found in volume::list(store)? {
        let mut fits = true;
        for filter in filters {
            fits &= match filter.split_once('=') {
                Some(("dangling", value)) => {
                    volume::users(store, &found.name)?.is_empty() == matches!(value, "true" | "1")
                }
                Some(("name", text)) => found.name.contains(text),
                Some(("driver", driver)) => driver == "local",
                Some(("label", label)) => match label.split_once('=') {
                    Some((key, value)) => found.labels.get(key).is_some_and(|found| found == value),
                    None => found.labels.contains_key(label),
                },
                _ => bail!("--filter {filter}: there are dangling, name, driver and label"),
            };
        }
        if fits {
            rows.push(row(store, &found));
        }
    }
    if quiet {
        let names = rows.iter().filter_map(|row| row["Name"].as_str());
        forno.print(&names.map(|name| format!("{name}\n")).collect::<String>())?;
    } else {
        forno.print(&LISTING.show(format, &rows)?)?;
    }
    Ok(0)
}

fn inspect(forno: &Forno, store: &Store, names: &[String], format: Option<&str>) -> Result<u8> {
    let (mut rows, mut code) = (Vec::new(), 0);
    for name in names {
        match volume::find(store, name)? {
            Some(found) => rows.push(row(store, &found)),
            None => {
                forno.complain(&crate::error::Error::new(format!("no such volume: {name}")));
                code = 1;
            }
        }
    }
    match format {
        Some(template) => forno.print(&listing::render(template, &rows)?)?,
        None => forno.print(&format!("{:#}\n", Value::Array(rows)))?,
    }
    Ok(code)
}

fn remove(forno: &Forno, store: &Store, names: &[String], force: bool) -> Result<u8> {
    let mut code = 0;
    for name in names {
        if force && volume::find(store, name)?.is_none() {
            continue;
        }
        match volume::remove(store, name) {
            Ok(()) => forno.print(&format!("{name}\n"))?,
            Err(error) => {
                forno.complain(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}

fn prune(forno: &Forno, store: &Store, all: bool, force: bool) -> Result<u8> {
    if !force && !super::confirm("This removes all volumes that no container uses.")? {
        return Ok(1);
    }
    for found in volume::list(store)?.iter().filter(|found| all || found.anonymous) {
        if volume::users(store, &found.name)?.is_empty() {
            volume::remove_unused(store, &found.name)?;
            forno.print(&format!("{}\n", found.name))?;
        }
    }
    std::io::stdout().flush()?;
    Ok(0)
}
