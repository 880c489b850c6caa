//! forno: images, and what is made of them.

pub mod config;
pub mod digest;
pub mod layer;
pub mod reference;
pub mod snapshot;
pub mod store;

pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
