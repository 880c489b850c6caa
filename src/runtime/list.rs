//! `list`: every container of this root.

use super::Global;
use super::output::{Table, print};
use super::record::Status;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a table, or JSON
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let ids = global.store.ids()?;
    if args.quiet {
        return print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>());
    }
    let mut found = Vec::new();
    for id in ids {
        // One that is torn, or goes at this moment, does not hide the others.
        let container = match global.store.find(&id) {
            Ok(Some(Ok(container))) => container,
            Ok(None) => continue,
            Ok(Some(Err(error))) | Err(error) => {
                global.log.warn(&error.to_string());
                continue;
            }
        };
        let status = container.status().unwrap_or(Status::Stopped);
        let owner = owner(container.state.owner);
        found.push((container, status, owner));
    }
    if args.format == "json" {
        let shown: Vec<_> =
            found.iter().map(|(container, status, owner)| container.state.shown(*status, owner)).collect();
        // What Go prints for no list at all; consumers know it.
        let text = if shown.is_empty() { "null".to_owned() } else { serde_json::to_string(&shown)? };
        return print(&format!("{text}\n"));
    }
    let mut table = Table::new(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    for (container, status, owner) in &found {
        let shown = container.state.shown(*status, owner);
        table.row([shown.id, &shown.pid.to_string(), status.word(), shown.bundle, shown.created, shown.owner]);
    }
    print(&table.text())
}

/// The user's name, or #UID.
fn owner(uid: u32) -> String {
    match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("#{uid}"),
    }
}
