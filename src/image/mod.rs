//! forno: images, and what is made of them.

pub mod archive;
pub mod build;
pub mod config;
pub mod container;
pub mod container_config;
pub mod copy;
pub mod digest;
pub mod dockerfile;
pub mod dockerignore;
pub mod events;
pub mod glob;
pub mod layer;
pub mod listing;
pub mod mode;
pub mod network;
pub mod plan;
pub mod reference;
pub mod registry;
pub mod rootless;
pub mod seccomp;
pub mod snapshot;
pub mod store;
pub mod template;
pub mod time;
pub mod units;
pub mod user;
pub mod verbs;
pub mod volume;

pub fn main() -> std::process::ExitCode {
    verbs::main(std::env::args_os())
}
