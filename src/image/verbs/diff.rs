//! `forno diff`: what a container has changed in its image.

use super::{Forno, Verb};
use crate::error::{Context, Result};
use crate::image::container::Listed;
use crate::image::layer::whiteout::is_whiteout;
use crate::image::store::Store;
use crate::sys::OFlag;
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind};
use clap::Args;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// A name or an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Diff {
    const NAME: &'static str = "diff";
    const ABOUT: &'static str = "Show what a container has changed in its image";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let config = store.container(&self.container)?.config()?;
        let snapshot = store.snapshot(&config.snapshot)?;
        let lower = snapshot.layers().iter().rev().map(|layer| Root::open(&store.layer_root(layer)));
        let lower: Vec<Root> = lower.collect::<crate::sys::Result<_>>().context("open the image's layers")?;
        let mut changes = Vec::new();
        walk(&snapshot.upper(), |path, stat| {
            // The layers decide which of the two it is: a path that one of them has is changed.
            let known = lower.iter().any(|layer| layer.resolve_link(path).is_ok());
            let letter = match (is_whiteout(stat), known) {
                (true, _) => 'D',
                (false, true) => 'C',
                (false, false) => 'A',
            };
            changes.push(format!("{letter} /{}\n", path.display()));
        })?;
        changes.sort_by(|a, b| a[2..].cmp(&b[2..]));
        forno.print(&changes.concat())?;
        Ok(0)
    }
}

/// Bytes of the files that a container has written.
pub(super) fn size(store: &Store, listed: &Listed) -> Result<u64> {
    bytes_below(&store.snapshot(&listed.config.snapshot)?.upper())
}

/// Bytes of the files in a directory.
pub(super) fn bytes_below(directory: &Path) -> Result<u64> {
    let mut bytes: u64 = 0;
    walk(directory, |_, stat| {
        if stat.kind == Kind::Regular {
            bytes = bytes.saturating_add(stat.size);
        }
    })?;
    Ok(bytes)
}

/// Everything below a directory, which others may be changing.
fn walk(root: &Path, mut each: impl FnMut(&Path, &tree::Stat)) -> Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let open = |directory: std::os::fd::BorrowedFd, name: &CString| tree::openat(directory, name, flags, 0);
    let top: OwnedFd = std::fs::File::open(root).with(|| format!("open {}", root.display()))?.into();
    let mut left: Vec<(OwnedFd, PathBuf)> = vec![(top, PathBuf::new())];
    while let Some((directory, path)) = left.pop() {
        for name in tree::read_dir(directory.as_fd()).with(|| format!("read /{}", path.display()))? {
            let Ok(stat) = tree::stat_at(directory.as_fd(), &name) else {
                continue;
            };
            let below = path.join(name.to_string_lossy().as_ref());
            each(&below, &stat);
            if let (true, Ok(directory)) = (stat.is_dir(), open(directory.as_fd(), &name)) {
                left.push((directory, below));
            }
        }
    }
    Ok(())
}
