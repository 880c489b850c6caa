//! What a build is given: a context, a Dockerfile, an ignore file.

use super::copy::Copier;
use super::git::Access;
use super::http;
use super::tree::Tree;
use super::unpack;
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerfile::BYTES_MAX;
use crate::image::dockerignore::Ignore;
use crate::image::plan::git::{Git, is_url};
use crate::sys::root::Root;
use crate::sys::tree::{Kind, effective_ids, stat};
use crate::sys::{Errno, Mode, OFlag};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Cursor, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const DOCKERFILE: &str = "Dockerfile";
const IGNORE_FILE: &str = ".dockerignore";

pub struct Input {
    pub context: Tree,
    /// What messages call the Dockerfile.
    pub name: String,
    pub dockerfile: Vec<u8>,
}

/// `-f`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileAt {
    /// `Dockerfile` in the context.
    Context,
    Stdin,
    Path(PathBuf),
}

/// Opens a context: a directory, a git repository, a URL, or `-` for an archive or a Dockerfile at standard input.
/// `room` is a directory for what has to be fetched.
pub fn open(context: &str, at: &DockerfileAt, room: &Path) -> Result<Input> {
    if context == "-" {
        if *at == DockerfileAt::Stdin {
            bail!("standard input cannot be both the context and the Dockerfile");
        }
        return stdin(at, room);
    }
    if let Some(root) = remote(context, room).with(|| format!("context {context}"))? {
        return match root {
            Remote::Tree(root) => inside(root, at),
            Remote::Dockerfile(root, bytes) if *at == DockerfileAt::Context => finish(root, at, Some(bytes)),
            Remote::Dockerfile(..) => {
                bail!("context {context}: is no archive, and so a Dockerfile; with -f there are two")
            }
        };
    }
    let path = Path::new(context);
    let root = Root::open(path).with(|| format!("context {context}"))?;
    finish(root, at, None)
}

/// `--build-context NAME=CONTEXT`; `room` is a directory that does not exist yet.
pub fn named(context: &str, room: &Path) -> Result<Tree> {
    std::fs::create_dir(room).context("create context")?;
    let root = match remote(context, room)? {
        Some(Remote::Tree(root)) => root,
        Some(Remote::Dockerfile(..)) => bail!("is no archive"),
        None => Root::open(Path::new(context)).with(|| format!("context {context}"))?,
    };
    let ignore = match read_in(&root, IGNORE_FILE)? {
        Some(bytes) => Ignore::parse(IGNORE_FILE, &String::from_utf8_lossy(&bytes))?,
        None => Ignore::default(),
    };
    Ok(Tree { root, ignore, anonymous: true, name: context.to_owned() })
}

/// docker's rule: an archive is the context, anything else is a Dockerfile without one.
fn stdin(at: &DockerfileAt, room: &Path) -> Result<Input> {
    let mut first = Vec::new();
    std::io::stdin().take(512).read_to_end(&mut first).context("read standard input")?;
    let whole = Cursor::new(first.clone()).chain(std::io::stdin());
    let directory = room.join("context");
    std::fs::create_dir(&directory).context("create context")?;
    let root = Root::open(&directory).context("open context")?;
    if !unpack::looks_like_archive(&first) {
        let dockerfile = bounded(whole, "standard input")?;
        return finish(root, &DockerfileAt::Context, Some(dockerfile));
    }
    let copier = Copier::new(&root, Some(effective_ids()), None);
    unpack::unpack_stream(&copier, BufReader::with_capacity(128 << 10, whole)).context("context at standard input")?;
    drop(copier);
    inside(root, at)
}

/// Of a context that is no directory of this machine, also the Dockerfile that `-f` names is in it.
fn inside(root: Root, at: &DockerfileAt) -> Result<Input> {
    let DockerfileAt::Path(path) = at else {
        return finish(root, at, None);
    };
    let name = path.to_string_lossy().into_owned();
    let Some(bytes) = read_in(&root, &name)? else {
        bail!("{name}: not in the context");
    };
    let own = format!("{name}{IGNORE_FILE}");
    let ignore = read_in(&root, &own)?.map(|bytes| (own, bytes));
    let mut input = with_ignore(root, DOCKERFILE.to_owned(), bytes, ignore)?;
    input.name = name;
    Ok(input)
}

enum Remote {
    Tree(Root),
    Dockerfile(Root, Vec<u8>),
}

/// A git repository, or a file by its URL: an archive, or a Dockerfile alone. `None` where it is neither.
fn remote(context: &str, room: &Path) -> Result<Option<Remote>> {
    if let Some(git) = Git::parse(context)? {
        return repository(&git, room).map(Some);
    }
    if !is_url(context) {
        return Ok(None);
    }
    let path = room.join("download");
    http::get(&http::Request { url: context.to_owned(), authorization: None, known: None }, &path)?;
    let directory = room.join("context");
    std::fs::create_dir(&directory).context("create context")?;
    let root = Root::open(&directory).context("open context")?;
    let open = || File::open(&path).context("open what was downloaded");
    if unpack::is_archive_file(open()?)? {
        let copier = Copier::new(&root, Some(effective_ids()), None);
        unpack::unpack_file(&copier, open()?, "/")?;
        drop(copier);
        return Ok(Some(Remote::Tree(root)));
    }
    Ok(Some(Remote::Dockerfile(root, bounded(open()?, "Dockerfile")?)))
}

/// With the agent of whoever calls us, as their own git would do.
fn repository(git: &Git, room: &Path) -> Result<Remote> {
    let agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    let access = Access { agent, ..Access::default() };
    let commit = access.commit(git)?;
    let directory = room.join("context");
    access.check_out(git, &commit, &directory)?;
    let root = Root::open(&directory).context("open context")?;
    let Some(path) = &git.directory else {
        return Ok(Remote::Tree(root));
    };
    // A link to elsewhere leads nowhere but below the repository.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    Ok(Remote::Tree(root.open_at(path, flags, Mode::empty()).with(|| format!("directory {path}"))?.into()))
}

fn finish(root: Root, at: &DockerfileAt, given: Option<Vec<u8>>) -> Result<Input> {
    let mut ignore = None;
    let (name, dockerfile) = match (given, at) {
        (Some(bytes), _) => (DOCKERFILE.to_owned(), bytes),
        (None, DockerfileAt::Stdin) => (DOCKERFILE.to_owned(), bounded(std::io::stdin(), "standard input")?),
        (None, DockerfileAt::Path(path)) => {
            let name = path.display().to_string();
            // One that is a pipe must not keep us waiting.
            let flags = OFlag::O_NONBLOCK.bits();
            let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
            let file = file.with(|| format!("open {name}"))?;
            if !file.metadata().with(|| format!("stat {name}"))?.is_file() {
                bail!("{name}: is no regular file");
            }
            let own = PathBuf::from(format!("{name}{IGNORE_FILE}"));
            if own.is_file() {
                let file = File::open(&own).with(|| format!("open {}", own.display()))?;
                ignore = Some((own.display().to_string(), bounded(file, IGNORE_FILE)?));
            }
            let bytes = bounded(file, &name)?;
            (name, bytes)
        }
        (None, DockerfileAt::Context) => {
            let found = ["Dockerfile", "dockerfile"].into_iter().find_map(|name| match read_in(&root, name) {
                Ok(None) => None,
                found => Some((name, found)),
            });
            let Some((name, bytes)) = found else {
                bail!("open {DOCKERFILE}: not in the context; say where it is with -f");
            };
            if let Some(bytes) = read_in(&root, &format!("{name}{IGNORE_FILE}"))? {
                ignore = Some((format!("{name}{IGNORE_FILE}"), bytes));
            }
            (name.to_owned(), bytes?.unwrap_or_default())
        }
    };
    with_ignore(root, name, dockerfile, ignore)
}

/// `ignore`: what takes the place of the context's own ignore file.
fn with_ignore(root: Root, name: String, dockerfile: Vec<u8>, ignore: Option<(String, Vec<u8>)>) -> Result<Input> {
    let ignore = match ignore {
        None => read_in(&root, IGNORE_FILE)?.map(|bytes| (IGNORE_FILE.to_owned(), bytes)),
        ignore => ignore,
    };
    let ignore = match ignore {
        Some((name, bytes)) => Ignore::parse(&name, &String::from_utf8_lossy(&bytes))?,
        None => Ignore::default(),
    };
    let context = Tree { root, ignore, anonymous: true, name: "the context".to_owned() };
    Ok(Input { context, name, dockerfile })
}

/// A small regular file of the context; `None` where there is none.
fn read_in(root: &Root, name: &str) -> Result<Option<Vec<u8>>> {
    let file = match root.open_at(name, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        file => file.with(|| format!("open {name}"))?,
    };
    if stat(&file).context("stat")?.kind != Kind::Regular {
        bail!("{name}: is no regular file");
    }
    bounded(File::from(file), name).map(Some)
}

fn bounded(source: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = BYTES_MAX as u64 + 1;
    BufReader::new(source.take(limit)).read_to_end(&mut bytes).with(|| format!("read {name}"))?;
    if bytes.len() > BYTES_MAX {
        bail!("{name}: larger than {BYTES_MAX} bytes");
    }
    Ok(bytes)
}
