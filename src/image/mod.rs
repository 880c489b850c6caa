//! forno: images, and what is made of them.

pub mod config;
pub mod digest;
pub mod layer;
pub mod listing;
pub mod reference;
pub mod snapshot;
pub mod store;
pub mod template;
pub mod time;
pub mod units;
pub mod verbs;

pub fn main() -> std::process::ExitCode {
    verbs::main(std::env::args_os())
}
