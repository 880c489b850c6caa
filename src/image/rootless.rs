//! forno without root: all calls of one user are root in one user namespace, with the ids that /etc/subuid and
//! /etc/subgid give to the user, and see the same mounts. A process that does nothing else holds the two namespaces;
//! each call joins them before it begins.
//!
//! Whoever is root already stays where they are, be it in a namespace that somebody else has made.

mod holder;
mod ids;
mod place;
mod spec;

pub use holder::VERB;
pub use ids::{Owners, in_namespace, is_alone, is_users_root, owner};
pub use place::{Member, register};
pub use spec::adapt;

use crate::error::{Context, Result};
use crate::sys::{identity, process};

/// Joins the user's namespaces; a process with one thread only can. `warn` is told what the user should know.
pub fn enter(warn: &dyn Fn(&str)) -> Result<()> {
    if identity::effective_uid() == 0 {
        return Ok(());
    }
    let directory = std::env::current_dir();
    holder::join(&place::Place::open()?, warn).context("join your user namespace")?;
    // The mounts are others now, though of the same names. One that is gone is nobody's working directory any more.
    if let Ok(directory) = directory {
        process::chdir(&directory).with(|| format!("chdir {}", directory.display()))?;
    }
    Ok(())
}

/// Nobody's child, for ever.
pub fn hold() -> ! {
    loop {
        process::pause(-1);
    }
}
