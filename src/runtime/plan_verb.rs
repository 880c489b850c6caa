//! `plan`: what `create` would do, step by step, without doing it.

use super::Global;
use super::bundle::Bundle;
use super::output::print;
use super::plan::{self, Facts};
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory with config.json; where it is not given, the current one
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: String,
    /// Name that the container would have
    #[arg(default_value = "ID")]
    id: String,
}

pub fn run(global: &Global, args: Args) -> Result<u8> {
    let bundle = Bundle::open(&args.bundle)?;
    let rootless = crate::sys::identity::effective_uid() != 0;
    let cgroups_path = bundle.spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str());
    let cgroup = super::cgroup::Cgroup::locate(cgroups_path, &args.id, global.systemd_cgroup, rootless)?;
    let facts = Facts {
        bundle: &bundle.path,
        id: &args.id,
        rootless,
        cgroup: Some(&cgroup),
        held: super::caller::capabilities()?,
        ..Facts::default()
    };
    print(&plan::container(&bundle.spec, &facts)?.to_string())
}
