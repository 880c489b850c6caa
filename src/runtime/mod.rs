//! bolo: an OCI runtime with runc's command line.

pub mod bundle;
pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod create;
pub mod creation;
pub mod delete;
pub mod exec;
pub mod features;
pub mod foreground;
pub mod hooks;
pub mod host;
pub mod init;
pub mod kill;
pub mod labels;
pub mod list;
pub mod log;
pub mod output;
pub mod plan;
pub mod plan_verb;
pub mod record;
pub mod run;
pub mod seal;
pub mod seccomp;
pub mod spec;
pub mod spec_verb;
pub mod start;
pub mod state;
pub mod store;

pub use cli::{Global, command, main};
