//! Copies of directories as they are: a layer is made of one and laid out again, so that all that a layer keeps is kept,
//! and nothing is resolved but by descriptors.

use super::layer::whiteout::Marks;
use super::layer::{Limits, apply, diff};
use crate::error::{Context, Error, Result};
use crate::sys::tree::{self, PERMISSIONS};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const BUFFER: usize = 256 << 10;

/// Fills the empty directory `to` with what is in `from`, and gives it the same owner, mode and times. What could not be
/// kept, in words.
pub fn copy_directory(from: &OwnedFd, to: &Path) -> Result<Vec<String>> {
    let root: OwnedFd = File::open(to).with(|| format!("open {}", to.display()))?.into();
    // Neither side is part of an overlay: nothing is a mark.
    let options = diff::Options { marks: Marks::Trusted, epoch: None };
    let (read, write) = std::io::pipe().context("pipe")?;
    let applied = std::thread::scope(|scope| {
        let packing = scope.spawn(|| diff::diff(from.as_fd(), BufWriter::with_capacity(BUFFER, write), options));
        let source = BufReader::with_capacity(BUFFER, read);
        let applied = apply::apply(source, root, &[], options.marks, Limits { bytes: u64::MAX, ..Limits::default() });
        match packing.join().unwrap_or_else(|_| Err(Error::new("packing thread died"))) {
            // Whoever stopped reading has the cause.
            Err(error) if applied.is_ok() => Err(error),
            _ => applied,
        }
    });
    let applied = applied.with(|| format!("copy to {}", to.display()))?;
    copy_attributes_of(from, to)?;
    Ok(applied.warnings)
}

/// Gives the directory `to` the owner, the mode and the times of `from`.
pub fn copy_attributes(from: &Path, to: &Path) -> Result<()> {
    copy_attributes_of(&File::open(from).with(|| format!("open {}", from.display()))?.into(), to)
}

fn copy_attributes_of(from: &OwnedFd, to: &Path) -> Result<()> {
    let to_file = File::open(to).with(|| format!("open {}", to.display()))?;
    let copy = || -> crate::sys::Result<()> {
        let stat = tree::stat(from)?;
        if (stat.uid, stat.gid) != tree::effective_ids() {
            tree::fchown(&to_file, stat.uid, stat.gid)?;
        }
        tree::fchmod(&to_file, stat.mode & PERMISSIONS)?;
        tree::futimens(&to_file, stat.accessed, stat.modified)
    };
    copy().with(|| format!("set owner, mode and times of {}", to.display()))
}
