//! `forno unshare`: runs a program where the files of the store have their owners, and bundles are mounted.

use super::{Forno, Verb};
use crate::error::{Context, Result};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[derive(Debug, Args)]
pub(super) struct Unshare {
    /// What to run [default: $SHELL]
    #[arg(value_name = "COMMAND [ARG...]", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Verb for Unshare {
    const NAME: &'static str = "unshare";
    const ABOUT: &'static str = "Run a program in the namespaces of forno without root";

    fn run(self, _: &Forno) -> Result<u8> {
        let shell = || std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        let (program, args) = match self.command.split_first() {
            Some((program, args)) => (program.clone(), args),
            None => (shell(), &[][..]),
        };
        let status = Command::new(&program).args(args).status().map_err(|error| {
            let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
            crate::error::Error::from(error).exit(code)
        });
        let status = status.with(|| format!("run {}", program.display()))?;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }
}
