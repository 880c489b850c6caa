//! ADD of an archive: it is laid out where it is copied to. What is an archive is said by its content, not by its name.

use super::copy::Copier;
use super::hash::open;
use super::place::{self, Made, clear, new_dir, own};
use super::tree::{Event, Tree};
use crate::bail;
use crate::error::{Context, Result};
use crate::image::dockerignore::Ignore;
use crate::image::layer::Limits;
use crate::image::layer::tar::{Entry, Reader, Type};
use crate::image::rootless;
use crate::sys::tree::{self, Kind};
use crate::sys::{OFlag, xattr};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

const BLOCK: usize = 512;
const NEW_FILE: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL);

/// First bytes, and the program that knows what follows where we do not.
const COMPRESSIONS: [(&[u8], Option<&str>); 4] = [
    (&[0x1f, 0x8b], None),
    (&[0x28, 0xb5, 0x2f, 0xfd], None),
    (b"BZh", Some("bzip2")),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], Some("xz")),
];

pub fn is_archive(tree: &Tree, path: &Path) -> Result<bool> {
    match regular(tree, path)? {
        Some(file) => is_archive_file(file),
        None => Ok(false),
    }
}

/// The file's position is anywhere afterwards.
pub fn is_archive_file(file: File) -> Result<bool> {
    // What cannot be inflated is no archive.
    let Ok(mut plain) = inflate(file) else {
        return Ok(false);
    };
    let mut block = [0; BLOCK];
    if plain.read_exact(&mut block).is_err() || block.iter().all(|byte| *byte == 0) {
        return Ok(false);
    }
    Ok(checksum_is_right(&block))
}

fn regular(tree: &Tree, path: &Path) -> Result<Option<File>> {
    let fd = tree.root.resolve(path).with(|| format!("open /{}", path.display()))?;
    if tree::stat(&fd).context("stat")?.kind != Kind::Regular {
        return Ok(None);
    }
    let mut file = None;
    tree.walk(path, &Ignore::default(), &mut |item| {
        if item.event == Event::File {
            file = Some(open(item)?);
        }
        Ok(())
    })?;
    Ok(file)
}

/// The sum of a header's bytes, its own field counted as blanks.
fn checksum_is_right(block: &[u8; BLOCK]) -> bool {
    let field = block.get(148..156).unwrap_or_default();
    let text = String::from_utf8_lossy(field);
    let Ok(wanted) = u32::from_str_radix(text.trim_matches(['\0', ' ']), 8) else {
        return false;
    };
    let sum = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
    block.iter().enumerate().map(sum).sum::<u32>() == wanted
}

fn inflate(file: File) -> Result<Box<dyn BufRead + Send>> {
    let mut source = BufReader::with_capacity(128 << 10, file);
    let first = source.fill_buf().context("read")?;
    match COMPRESSIONS.iter().find(|(magic, _)| first.starts_with(magic)) {
        Some((_, Some(program))) => Ok(Box::new(BufReader::with_capacity(128 << 10, piped(program, source)?))),
        _ => inflate_stream(source),
    }
}

/// Lays out a context that came as an archive through a pipe.
pub fn unpack_stream(copier: &Copier, source: impl BufRead + Send + 'static) -> Result<()> {
    lay_out(copier, inflate_stream(source)?, "/")
}

/// Lays out an archive that comes through a pipe below a directory.
pub fn unpack_into(copier: &Copier, source: impl BufRead + Send + 'static, destination: &str) -> Result<()> {
    lay_out(copier, inflate_stream(source)?, destination)
}

fn inflate_stream(mut source: impl BufRead + Send + 'static) -> Result<Box<dyn BufRead + Send>> {
    let first = source.fill_buf().context("read")?;
    match COMPRESSIONS.iter().find(|(magic, _)| first.starts_with(magic)) {
        None => Ok(Box::new(source)),
        Some((_, Some(program))) => bail!("a context compressed by {program}; want tar, tar.gz or tar.zst"),
        Some((magic, None)) if magic.len() == 2 => {
            Ok(Box::new(BufReader::with_capacity(128 << 10, flate2::bufread::MultiGzDecoder::new(source))))
        }
        Some(_) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(source).context("inflate")?;
            Ok(Box::new(BufReader::with_capacity(128 << 10, decoder)))
        }
    }
}

/// Whether the first bytes are an archive's.
pub fn looks_like_archive(first: &[u8]) -> bool {
    let block = first.get(..BLOCK).and_then(|block| <&[u8; BLOCK]>::try_from(block).ok());
    COMPRESSIONS.iter().any(|(magic, _)| first.starts_with(magic)) || block.is_some_and(checksum_is_right)
}

/// Formats that are rare by now are left to their own programs.
fn piped(program: &str, mut source: BufReader<File>) -> Result<impl Read + Send + use<>> {
    std::io::Seek::rewind(&mut source).context("rewind")?;
    let mut command = Command::new(program);
    command.arg("-dc").stdin(source.into_inner()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with(|| format!("run {program}, which inflates such archives"))?;
    match child.stdout.take() {
        Some(output) => Ok(Reaped { output, child }),
        None => bail!("run {program}: no output"),
    }
}

struct Reaped {
    output: std::process::ChildStdout,
    child: std::process::Child,
}

impl Read for Reaped {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may still want to write.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn unpack(copier: &Copier, tree: &Tree, path: &Path, destination: &str) -> Result<()> {
    let Some(file) = regular(tree, path)? else {
        bail!("no regular file");
    };
    unpack_file(copier, file, destination)
}

pub fn unpack_file(copier: &Copier, file: File, destination: &str) -> Result<()> {
    lay_out(copier, inflate(file)?, destination)
}

/// Lays out an archive that is not compressed any more.
fn lay_out(copier: &Copier, plain: impl BufRead, destination: &str) -> Result<()> {
    let to = Path::new(destination);
    drop(place::make_dirs(copier.root, to, copier.parents())?);
    let mut reader = Reader::new(plain, Limits::default());
    let mut times: Vec<(PathBuf, Entry)> = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let name = entry.name();
        let made = one(copier, &entry, to, &mut reader).with(|| format!("tar entry {name}"))?;
        if let Some(path) = made.filter(|_| entry.kind == Type::Directory) {
            times.push((path, entry));
        }
    }
    // What was put into a directory has changed its time.
    for (path, entry) in times.iter().rev() {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        if let Ok(fd) = copier.root.open_at(path, flags, crate::sys::Mode::empty()) {
            tree::futimens(&fd, entry.accessed.unwrap_or(entry.modified), entry.modified).context("set time")?;
        }
    }
    Ok(())
}

/// Only what leads downwards; a path with `..` is refused.
fn below(path: &[u8]) -> Result<PathBuf> {
    let mut kept = PathBuf::new();
    for part in Path::new(std::ffi::OsStr::from_bytes(path)).components() {
        match part {
            Component::Normal(name) => kept.push(name),
            Component::ParentDir => bail!("path leads through '..'"),
            _ => {}
        }
    }
    Ok(kept)
}

fn one<R: BufRead>(copier: &Copier, entry: &Entry, to: &Path, reader: &mut Reader<R>) -> Result<Option<PathBuf>> {
    let relative = below(&entry.path)?;
    if relative.as_os_str().is_empty() {
        return Ok(None);
    }
    let path = to.join(relative);
    let above = path.parent().unwrap_or(Path::new("")).to_owned();
    let directory = place::make_dirs(copier.root, &above, Made::parent((0, 0), None, copier.now))?;
    let name = tree::name(path.file_name().unwrap_or_default())?;
    let owner = copier.owner.unwrap_or((entry.uid, entry.gid));
    let mode = copier.chmod.map_or(entry.mode, |chmod| chmod.apply(entry.mode, entry.kind == Type::Directory));
    let there = place::stat_of(directory.as_fd(), &name)?;
    if entry.kind == Type::Directory {
        let fd = match there {
            Some(stat) if stat.is_dir() => {
                tree::openat(directory.as_fd(), &name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0).context("open")?
            }
            Some(stat) if stat.kind == Kind::Symlink && copier.root.resolve(&path).is_ok() => {
                // A link to a directory of the image stays, and what follows goes there.
                return Ok(None);
            }
            Some(_) => {
                clear(directory.as_fd(), &name)?;
                new_dir(directory.as_fd(), &name, Made { owner, mode, time: None })?
            }
            None => new_dir(directory.as_fd(), &name, Made { owner, mode, time: None })?,
        };
        own(fd.as_fd(), owner)?;
        tree::fchmod(&fd, mode).context("chmod")?;
        set_xattrs(entry, |key, value| xattr::fsetxattr(&fd, key, value));
        return Ok(Some(path));
    }
    if there.is_some_and(|stat| stat.is_dir()) {
        bail!("a directory is there already");
    }
    clear(directory.as_fd(), &name)?;
    let at = directory.as_fd();
    match entry.kind {
        Type::Regular => {
            let file = File::from(tree::openat(at, &name, NEW_FILE, 0o600).context("create")?);
            write(&file, entry, reader)?;
            own(file.as_fd(), owner)?;
            tree::fchmod(&file, mode).context("chmod")?;
            tree::futimens(&file, entry.accessed.unwrap_or(entry.modified), entry.modified).context("set time")?;
            set_xattrs(entry, |key, value| xattr::fsetxattr(&file, key, value));
            return Ok(Some(path));
        }
        Type::Link => {
            let target = to.join(below(&entry.link)?);
            let (old, old_name): (OwnedFd, _) = copier.root.parent(&target).context("link")?;
            tree::linkat(old.as_fd(), &old_name, at, &name).context("link")?;
            return Ok(Some(path));
        }
        Type::Symlink => {
            let target = tree::name(std::ffi::OsStr::from_bytes(&entry.link))?;
            tree::symlinkat(&target, at, &name).context("link")?;
        }
        Type::Fifo => tree::mknodat(at, &name, Kind::Fifo, 0o600, (0, 0)).context("make node")?,
        Type::Char => tree::mknodat(at, &name, Kind::Char, 0o600, entry.node).context("make node")?,
        Type::Block => tree::mknodat(at, &name, Kind::Block, 0o600, entry.node).context("make node")?,
        Type::Directory => {}
    }
    let owner = rootless::owner(owner);
    if owner != tree::effective_ids() {
        tree::fchownat(at, &name, owner.0, owner.1).context("chown")?;
    }
    if entry.kind != Type::Symlink {
        tree::fchmodat(at, &name, mode).context("chmod")?;
    }
    tree::utimensat(at, &name, entry.accessed.unwrap_or(entry.modified), entry.modified).context("set time")?;
    Ok(Some(path))
}

fn write<R: BufRead>(mut file: &File, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let mut segments = entry.sparse.clone().unwrap_or_default().into_iter();
    let mut segment = segments.next();
    loop {
        let bytes = reader.data()?;
        if bytes.is_empty() {
            break;
        }
        let count = match (&entry.sparse, &mut segment) {
            (None, _) => {
                file.write_all(bytes).context("write")?;
                bytes.len()
            }
            (Some(_), Some(part)) if part.length == 0 => {
                segment = segments.next();
                0
            }
            (Some(_), Some(part)) => {
                let room = usize::try_from(part.length).unwrap_or(usize::MAX);
                let some = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
                file.write_all_at(some, part.offset).context("write")?;
                part.offset = part.offset.saturating_add(some.len() as u64);
                part.length = part.length.saturating_sub(some.len() as u64);
                some.len()
            }
            (Some(_), None) => bytes.len(),
        };
        reader.consume(count);
    }
    if entry.sparse.is_some() {
        tree::ftruncate(file, entry.size).context("set size")?;
    }
    Ok(())
}

fn set_xattrs(entry: &Entry, mut set: impl FnMut(&std::ffi::CStr, &[u8]) -> crate::sys::Result<()>) {
    for (key, value) in &entry.xattrs {
        let foreign =
            key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.") || key == b"security.selinux";
        if let (false, Ok(key)) = (foreign, std::ffi::CString::new(key.as_slice())) {
            // As with what is copied.
            let _ = set(&key, value);
        }
    }
}
