//! ADD of what is not here: files by their URL, git repositories.

use super::copy::Copier;
use super::execute::Executor;
use super::progress::Step;
use crate::bail;
use crate::error::Result;
use crate::image::dockerignore::Ignore;
use crate::image::plan::Source;
use crate::image::plan::git::Git;

pub fn add_url(_: &Executor, _: &Source, _: &mut Copier, _: &str, _: &Step) -> Result<()> {
    bail!("ADD of a URL is not supported yet")
}

pub fn add_git(_: &Executor, _: &Git, _: &mut Copier, _: &str, _: &Ignore) -> Result<()> {
    bail!("ADD of a git repository is not supported yet")
}
