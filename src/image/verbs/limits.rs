//! Options of the verbs that take layers in.

use crate::image::layer::Limits;
use clap::Args;

#[derive(Debug, Clone, Copy, Args)]
pub struct LimitArgs {
    /// Refuse a layer that holds more bytes than this
    #[arg(long, value_name = "N", default_value_t = Limits::default().bytes)]
    max_layer_bytes: u64,
    /// Refuse a layer that holds more files than this
    #[arg(long, value_name = "N", default_value_t = Limits::default().entries)]
    max_layer_entries: u64,
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Limits {
        Limits { bytes: args.max_layer_bytes, entries: args.max_layer_entries, ..Limits::default() }
    }
}
