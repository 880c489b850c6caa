//! What the tests of layers have in common: scratch directories, archives in three lines, trees as text.

use super::whiteout::Marks;
use super::{Limits, apply, diff};
use crate::error::Result;
use crate::sys::tree;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory with `root`, where layers are laid out, and `sentinel`, which must never change.
pub(super) struct Scratch(pub PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("layer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("sentinel")).unwrap();
        std::fs::write(path.join("sentinel/file"), "untouched").unwrap();
        Scratch(path)
    }

    pub(super) fn sentinel(&self) -> String {
        describe(&self.0.join("sentinel"))
    }

    /// Lays `archive` out as `name`, over the layers `below`, uppermost first.
    pub(super) fn apply(&self, name: &str, below: &[&str], archive: &[u8]) -> Result<apply::Applied> {
        self.apply_within(name, below, archive, Limits::default())
    }

    pub(super) fn apply_within(
        &self,
        name: &str,
        below: &[&str],
        archive: &[u8],
        limits: Limits,
    ) -> Result<apply::Applied> {
        let root = self.0.join(name);
        std::fs::create_dir_all(&root).unwrap();
        let below: Vec<OwnedFd> = below.iter().map(|name| open(&self.0.join(name))).collect();
        apply::apply(archive, open(&root), &below, marks(), limits)
    }

    pub(super) fn diff(&self, name: &str, epoch: Option<i64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = diff::Options { marks: marks(), epoch };
        diff::diff(open(&self.0.join(name)).as_fd(), &mut bytes, options).unwrap();
        bytes
    }

    /// Every path below `name`, sorted.
    pub(super) fn list(&self, name: &str) -> String {
        describe(&self.0.join(name)).lines().filter_map(|line| line.split(' ').next()).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(super) fn marks() -> Marks {
    Marks::of_this_process().unwrap()
}

/// Past the harness, which keeps what is printed: scripts/test counts such lines.
pub(super) fn skip(why: &str) {
    use std::io::Write as _;
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skip {}: {why}", thread.name().unwrap_or("?"));
}

/// Tests of owners, devices and marks need what only root has.
pub(super) fn is_root() -> bool {
    let root = tree::effective_ids().0 == 0;
    if !root {
        skip("needs root");
    }
    root
}

pub(super) fn open(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

/// Each file of a tree in a line: path, type and mode, owner, size or link, time.
pub(super) fn describe(path: &Path) -> String {
    let mut lines = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let at = entry.unwrap().path();
            let stat = at.symlink_metadata().unwrap();
            let mut line = format!("{} {:o} ", at.strip_prefix(path).unwrap().display(), stat.mode());
            write!(line, "{}:{} ", stat.uid(), stat.gid()).unwrap();
            // A whiteout in the archive has no time that would be kept.
            if stat.mode() & 0o170_000 != 0o020_000 || stat.rdev() != 0 {
                write!(line, "{}.{:09}", stat.mtime(), stat.mtime_nsec()).unwrap();
            }
            write!(line, " n{} r{}", stat.nlink(), stat.rdev()).unwrap();
            if stat.is_symlink() {
                write!(line, " -> {}", at.read_link().unwrap().display()).unwrap();
            } else if stat.is_dir() {
                left.push(at);
            } else if stat.is_file() {
                write!(line, " {:?}", String::from_utf8_lossy(&std::fs::read(at).unwrap())).unwrap();
            }
            lines.push(line);
        }
    }
    lines.sort();
    lines.join("\n")
}

/// An archive in the making, with names that no honest program would write.
pub(super) struct Archive(Vec<u8>);

impl Archive {
    pub(super) fn new() -> Archive {
        Archive(Vec::new())
    }

    pub(super) fn entry(
        mut self,
        kind: u8,
        path: &str,
        link: &str,
        data: &[u8],
        set: impl FnOnce(&mut tar::Header),
    ) -> Self {
        for (kind, long) in [(b'L', path), (b'K', link)] {
            if long.len() > 100 {
                self = self.raw(kind, "././@LongLink", "", format!("{long}\0").as_bytes(), |_| {});
            }
        }
        self.raw(kind, path, link, data, set)
    }

    pub(super) fn raw(
        mut self,
        kind: u8,
        path: &str,
        link: &str,
        data: &[u8],
        set: impl FnOnce(&mut tar::Header),
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        let fields = header.as_old_mut();
        for (field, text) in [(&mut fields.name, path), (&mut fields.linkname, link)] {
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
        }
        fields.linkflag = [kind];
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(tree::effective_ids().0.into());
        header.set_gid(tree::effective_ids().1.into());
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        set(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn file(self, path: &str, data: &str) -> Self {
        self.entry(b'0', path, "", data.as_bytes(), |_| {})
    }

    pub(super) fn dir(self, path: &str) -> Self {
        self.entry(b'5', path, "", b"", |_| {})
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, target, b"", |_| {})
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.entry(b'1', path, target, b"", |_| {})
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|length| length.to_string().len() + rest == *length).unwrap();
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.raw(b'x', "pax", "", &data, |_| {})
    }

    /// Without the blocks of zeros at the end.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }
}
