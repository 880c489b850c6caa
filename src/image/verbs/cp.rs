//! `forno cp`: copies files into a container, or out of one, whether it runs or not.

use super::{Forno, Verb};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::build::copy::Copier;
use crate::image::build::tree::Tree;
use crate::image::build::{place, unpack};
use crate::image::container::view;
use crate::image::dockerignore::Ignore;
use crate::image::layer::diff;
use crate::image::layer::whiteout::Marks;
use crate::image::store::Store;
use crate::sys::root::Root;
use crate::sys::tree::{self, Kind, Stat};
use clap::Args;
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// A copy is no layer: nothing in it is hidden, and times stay.
const AS_IT_IS: diff::Options = diff::Options { marks: Marks::Trusted, epoch: None };

#[derive(Debug, Args)]
pub(super) struct Cp {
    /// Keep owners
    #[arg(short, long)]
    archive: bool,
    /// Copy what a symbolic link leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Say less
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path of the host, or - for an archive on standard input
    #[arg(value_name = "SOURCE")]
    source: String,
    /// CONTAINER:PATH, a path of the host, or - for an archive on standard output
    #[arg(value_name = "DESTINATION")]
    destination: String,
}

impl Verb for Cp {
    const NAME: &'static str = "cp";
    const ABOUT: &'static str = "Copy files between a container and the host";

    fn run(self, forno: &Forno) -> Result<u8> {
        let store = forno.store()?;
        let (from, to) = (Side::parse(&self.source), Side::parse(&self.destination));
        let into_container = match (&from, &to) {
            (Side::Container(..), Side::Container(..)) => bail!("copying between containers is not supported"),
            (Side::Container(..), _) => false,
            (_, Side::Container(..)) => true,
            _ => bail!("one of the two must be CONTAINER:PATH"),
        };
        // Files of a container belong to its root, files of the host to the user.
        let owner = if into_container { (0, 0) } else { tree::effective_ids() };
        let owner = (!self.archive).then_some(owner);
        match (from, to) {
            (Side::Stream, to) => unpack_stream(&to.open(&store)?),
            (from, Side::Stream) => pack_stream(&from.open(&store)?, self.follow_link),
            (from, to) => {
                // The host's side first: a mount namespace of ours must not stand between us and its paths.
                let (from, to) = match into_container {
                    true => (from.open(&store)?, to.open(&store)?),
                    false => {
                        let to = to.open(&store)?;
                        (from.open(&store)?, to)
                    }
                };
                copy(&from, &to, owner, self.follow_link)
            }
        }?;
        Ok(0)
    }
}

enum Side {
    Host(PathBuf),
    Container(String, String),
    Stream,
}

/// A path below a root, which is resolved there.
struct Place {
    root: Root,
    path: PathBuf,
    /// A slash at its end: a directory is meant.
    directory: bool,
    /// `/.` at its end: what is in the directory is meant.
    content: bool,
    shown: String,
    _lock: Option<File>,
}

impl Side {
    fn parse(text: &str) -> Side {
        match text.split_once(':') {
            _ if text == "-" => Side::Stream,
            Some((name, path)) if !name.contains('/') && !name.starts_with('.') && !name.is_empty() => {
                Side::Container(name.to_owned(), path.to_owned())
            }
            _ => Side::Host(text.into()),
        }
    }

    fn open(self, store: &Store) -> Result<Place> {
        let (root, lock, path, text) = match self {
            Side::Stream => bail!("no path"),
            Side::Host(path) => {
                let text = path.to_string_lossy().into_owned();
                let full = std::path::absolute(&path).with(|| format!("path {text}"))?;
                (Root::open(Path::new("/")).context("open /")?, None, full, text)
            }
            Side::Container(name, path) => {
                let (root, lock) = view::open(store, &store.container(&name)?.listed()?)?;
                (root, lock, Path::new("/").join(&path), format!("{name}:{path}"))
            }
        };
        let content = text.ends_with("/.") || text == ".";
        let directory = content || text.ends_with('/');
        Ok(Place { root, path, directory, content, shown: text, _lock: lock })
    }
}

impl Place {
    /// What is at the path; a link there is itself meant, or what it leads to.
    fn stat(&self, follow: bool) -> Result<Option<Stat>> {
        let found = if follow { self.root.resolve(&self.path) } else { self.root.resolve_link(&self.path) };
        match found {
            Ok(fd) => tree::stat(fd).map(Some).with(|| format!("stat {}", self.shown)),
            Err(crate::sys::Errno::ENOENT | crate::sys::Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(errno).with(|| format!("open {}", self.shown)),
        }
    }

    fn source(&self, follow: bool) -> Result<Stat> {
        match self.stat(follow || self.directory)? {
            Some(stat) if self.directory && !stat.is_dir() => bail!("{}: not a directory", self.shown),
            Some(stat) => Ok(stat),
            None => bail!("{}: no such file or directory", self.shown),
        }
    }

    /// The last component of the path.
    fn name(&self) -> PathBuf {
        self.path.file_name().map(PathBuf::from).unwrap_or_default()
    }
}

fn copy(from: &Place, to: &Place, owner: Option<(u32, u32)>, follow: bool) -> Result<()> {
    let source = from.source(follow)?;
    let target = match to.stat(true)? {
        Some(stat) if stat.is_dir() && !(source.is_dir() && from.content) => to.path.join(from.name()),
        Some(stat) if stat.is_dir() => to.path.clone(),
        Some(_) if source.is_dir() => bail!("{}: cannot copy a directory onto a file", to.shown),
        Some(_) if to.directory => bail!("{}: not a directory", to.shown),
        Some(_) => to.path.clone(),
        None if to.directory && !source.is_dir() => bail!("{}: no such directory", to.shown),
        None => to.path.clone(),
    };
    let above = target.parent().unwrap_or(Path::new("/"));
    if !to.root.resolve(above).is_ok_and(|fd| tree::stat(fd).is_ok_and(|stat| stat.is_dir())) {
        bail!("{}: no such directory", above.display());
    }
    let shown = format!("copy {} to {}", from.shown, to.shown);
    if source.kind == Kind::Symlink {
        return copy_link(from, to, &target, owner).context(shown);
    }
    let tree = Tree {
        root: from.root.try_clone().context("open root")?,
        ignore: Ignore::default(),
        anonymous: false,
        name: from.shown.clone(),
    };
    let mut copier = Copier::new(&to.root, owner, None);
    let (path, target) = (below(&from.path), target.to_string_lossy().into_owned());
    copier.copy(&tree, path, &target, &Ignore::default()).context(shown)
}

fn copy_link(from: &Place, to: &Place, target: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let (directory, name) = from.root.parent(&from.path).context("open")?;
    let stat = tree::stat_at(directory.as_fd(), &name).context("stat")?;
    let link = tree::readlinkat(directory.as_fd(), &name).context("read link")?;
    let (above, name) = to.root.parent(target).context("open")?;
    place::clear(above.as_fd(), &name)?;
    tree::symlinkat(&tree::name(&link)?, above.as_fd(), &name).context("link")?;
    let (uid, gid) = owner.unwrap_or((stat.uid, stat.gid));
    tree::fchownat(above.as_fd(), &name, uid, gid).context("chown")
}

fn below(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn unpack_stream(to: &Place) -> Result<()> {
    if !to.stat(true)?.is_some_and(|stat| stat.is_dir()) {
        bail!("{}: not a directory; an archive is laid out in one", to.shown);
    }
    let copier = Copier::new(&to.root, None, None);
    let source = BufReader::with_capacity(128 << 10, std::io::stdin());
    unpack::unpack_into(&copier, source, &to.path.to_string_lossy()).with(|| format!("copy to {}", to.shown))
}

fn pack_stream(from: &Place, follow: bool) -> Result<()> {
    if std::io::stdout().is_terminal() {
        bail!("refusing to write an archive to a terminal; lead standard output elsewhere");
    }
    let stat = from.source(follow)?;
    let out = BufWriter::with_capacity(128 << 10, std::io::stdout().lock());
    let name = from.name();
    let shown = || format!("copy {}", from.shown);
    if stat.is_dir() {
        let flags = crate::sys::OFlag::O_RDONLY | crate::sys::OFlag::O_DIRECTORY;
        let directory = from.root.open_at(&from.path, flags, crate::sys::Mode::empty()).with(shown)?;
        let path = if from.content || name.as_os_str().is_empty() { PathBuf::from(".") } else { name };
        return diff::pack(directory.as_fd(), c".", path.as_os_str().as_encoded_bytes(), out, AS_IT_IS).with(shown);
    }
    let real = if follow { real_path(from)? } else { from.path.clone() };
    let (directory, own) = from.root.parent(&real).with(shown)?;
    diff::pack(directory.as_fd(), &own, name.as_os_str().as_encoded_bytes(), out, AS_IT_IS).with(shown)
}

/// The path that is left when the links at its end are followed.
fn real_path(place: &Place) -> Result<PathBuf> {
    let mut path = place.path.clone();
    for _ in 0..40 {
        let (directory, name) = place.root.parent(&path).with(|| format!("open {}", place.shown))?;
        if tree::stat_at(directory.as_fd(), &name).context("stat")?.kind != Kind::Symlink {
            return Ok(path);
        }
        let target = tree::readlinkat(directory.as_fd(), &name).context("read link")?;
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    Err(crate::sys::Errno::ELOOP).with(|| format!("open {}", place.shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides() {
        let container = |text: &str| match Side::parse(text) {
            Side::Container(name, path) => Some((name, path)),
            _ => None,
        };
        assert_eq!(container("web:/etc"), Some(("web".to_owned(), "/etc".to_owned())));
        assert_eq!(container("web:a:b"), Some(("web".to_owned(), "a:b".to_owned())));
        for text in ["./a:b", "/a:b", "a", ":x", "-"] {
            assert!(container(text).is_none(), "{text}");
        }
    }
}
