//! bolo: an OCI runtime with runc's command line.

pub mod bundle;
pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod create;
pub mod creation;
pub mod dbus;
pub mod delete;
pub mod events;
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
pub mod pause;
pub mod plan;
pub mod plan_verb;
pub mod ps;
pub mod record;
pub mod resume;
pub mod run;
pub mod seal;
pub mod seccomp;
pub mod spec;
pub mod spec_verb;
pub mod start;
pub mod state;
pub mod store;
pub mod update;

pub use cli::{Global, command, main};
