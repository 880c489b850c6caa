//! `forno stats`: what running containers use of the machine.

use super::{Forno, Verb};
use crate::error::Result;
use crate::image::container::Listed;
use crate::image::container::usage::{self, Usage};
use crate::image::listing::{self, Listing};
use crate::image::store::Store;
use crate::image::units;
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    headers: &[
        ("ID", "CONTAINER ID"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
    ],
};
const PERIOD: Duration = Duration::from_secs(1);
/// A share of a CPU needs two looks.
const FIRST: Duration = Duration::from_millis(200);
/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Look once, and do not go on
    #[arg(long)]
    no_stream: bool,
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    format: listing::FormatArgs,
    /// Names or ids; without any, all that run
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for Stats {
    const NAME: &'static str = "stats";
    const ABOUT: &'static str = "Show what running containers use of the machine";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let mut before = self.look(&self.listed(&store)?);
        std::thread::sleep(FIRST);
        loop {
            let listed = self.listed(&store)?;
            let now = self.look(&listed);
            let rows: Vec<Value> =
                listed.iter().map(|one| self.row(one, before.get(one.container.id()), &now)).collect();
            let text = LISTING.show(&self.format, &rows)?;
            if self.no_stream {
                forno.print(&text)?;
                return Ok(0);
            }
            let clear = if self.format.is_given() { "" } else { CLEAR };
            forno.print(&format!("{clear}{text}"))?;
            before = now;
            std::thread::sleep(PERIOD);
        }
    }
}

impl Stats {
    fn listed(&self, store: &Store) -> Result<Vec<Listed>> {
        if self.containers.is_empty() {
            let mut listed = store.list_containers()?.0;
            listed.retain(|one| self.all || one.is_running());
            return Ok(listed);
        }
        self.containers.iter().map(|name| store.container(name)?.listed()).collect()
    }

    /// What cannot be read has just ended.
    fn look(&self, listed: &[Listed]) -> HashMap<String, Usage> {
        let running = listed.iter().filter(|one| one.is_running());
        running.filter_map(|one| Some((one.container.id().to_owned(), usage::of(one).ok()?))).collect()
    }

    fn row(&self, listed: &Listed, before: Option<&Usage>, now: &HashMap<String, Usage>) -> Value {
        let container = &listed.container;
        let id = if self.no_trunc { container.id() } else { container.short_id() };
        let mut row = json!({"Container": id, "ID": id, "Name": listed.config.name});
        let Some(now) = now.get(container.id()) else {
            for (key, nothing) in [("CPUPerc", "--"), ("MemUsage", "-- / --"), ("MemPerc", "--")] {
                row[key] = nothing.into();
            }
            for (key, nothing) in [("NetIO", "--"), ("BlockIO", "--"), ("PIDs", "--")] {
                row[key] = nothing.into();
            }
            return row;
        };
        let memory = now.memory as f64 / (now.memory_limit.max(1)) as f64 * 100.0;
        let pair = |a: u64, b: u64| format!("{} / {}", units::size(a), units::size(b));
        row["CPUPerc"] = format!("{:.2}%", before.map_or(0.0, |before| now.cpu_percent(before))).into();
        row["MemUsage"] = format!("{} / {}", units::binary(now.memory), units::binary(now.memory_limit)).into();
        row["MemPerc"] = format!("{memory:.2}%").into();
        row["NetIO"] = pair(now.received, now.sent).into();
        row["BlockIO"] = pair(now.read, now.written).into();
        row["PIDs"] = now.pids.to_string().into();
        row
    }
}
