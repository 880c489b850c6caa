//! Reads tar archives: ustar, PAX and GNU, with their long names, large numbers and sparse files, within bounds, and
//! the way Go's archive/tar understands them, because every other tool of the field reads layers with that; a file that
//! two readers see differently is how images have been poisoned (CVE-2025-62518, CVE-2026-33055).

use super::Limits;
use crate::bail;
use crate::error::{Context, Result};
use crate::sys::tree::{PERMISSIONS, Time};
use std::io::BufRead;

mod number;
mod pax;
mod sparse;

use number::number;
use pax::Pax;
pub use sparse::Segment;

const BLOCK: usize = 512;
type Block = [u8; BLOCK];
/// A PAX header or a GNU long name may be as long as this.
const EXTENSION_MAX: u64 = 1 << 20;
const EXTENSIONS_MAX: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Regular,
    Link,
    Symlink,
    Char,
    Block,
    Directory,
    Fifo,
}

#[derive(Debug)]
pub struct Entry {
    pub path: Vec<u8>,
    /// What a link leads to.
    pub link: Vec<u8>,
    pub kind: Type,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of the file when it is laid out.
    pub size: u64,
    /// Where the archive's bytes belong in the file; `None`: one after the other from the start.
    pub sparse: Option<Vec<Segment>>,
    pub node: (u32, u32),
    pub modified: Time,
    pub accessed: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The path as messages show it.
    pub fn name(&self) -> String {
        format!("{:?}", String::from_utf8_lossy(&self.path))
    }
}

pub struct Reader<R> {
    source: R,
    limits: Limits,
    entries: u64,
    /// Bytes of the current entry's data that have not been read.
    data: u64,
    /// Bytes up to the next block behind the data.
    padding: u64,
}

impl<R: BufRead> Reader<R> {
    pub fn new(source: R, limits: Limits) -> Self {
        Reader { source, limits, entries: 0, data: 0, padding: 0 }
    }

    /// How many entries have been read.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry, with what is left of the one before skipped. `None` at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.skip_data()?;
        let mut pending = Pending::default();
        for _ in 0..=EXTENSIONS_MAX {
            let Some(block) = self.header()? else {
                return Ok(None);
            };
            if self.extension(&block, &mut pending)? {
                continue;
            }
            self.entries += 1;
            if self.entries > self.limits.entries {
                bail!("layer has more than {} entries; a higher limit can be given", self.limits.entries);
            }
            let entry = self.entry(&block, pending)?;
            if entry.path.len() > self.limits.path || entry.link.len() > self.limits.path {
                bail!("tar entry {}: path is longer than {} bytes", self.entries, self.limits.path);
            }
            return Ok(Some(entry));
        }
        bail!("tar entry {}: more than {EXTENSIONS_MAX} headers for one entry", self.entries + 1)
    }

    /// The next bytes of the entry's data; empty at its end.
    pub fn data(&mut self) -> Result<&[u8]> {
        if self.data == 0 {
            return Ok(&[]);
        }
        let bytes = self.source.fill_buf().context("read layer")?;
        if bytes.is_empty() {
            bail!("layer ends inside of tar entry {}", self.entries);
        }
        let length = usize::try_from(self.data).unwrap_or(usize::MAX).min(bytes.len());
        Ok(&bytes[..length])
    }

    /// Says that `count` bytes of what [`Reader::data`] gave are done with.
    pub fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.data = self.data.saturating_sub(count as u64);
    }

    fn skip_data(&mut self) -> Result<()> {
        loop {
            let length = self.data()?.len();
            if length == 0 {
                break;
            }
            self.consume(length);
        }
        self.data = std::mem::take(&mut self.padding);
        while self.data > 0 {
            let length = self.data()?.len();
            self.consume(length);
        }
        Ok(())
    }

    /// Makes the next `size` bytes the current data.
    fn begin_data(&mut self, size: u64) {
        self.data = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// A header block; `None` at the end: two blocks of zeros, or no more bytes.
    fn header(&mut self) -> Result<Option<Block>> {
        for _ in 0..2 {
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            if block.iter().any(|byte| *byte != 0) {
                check_sum(&block).with(|| format!("tar entry {}", self.entries + 1))?;
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    fn block(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK];
        if self.source.fill_buf().context("read layer")?.is_empty() {
            return Ok(None);
        }
        match self.source.read_exact(&mut block) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                bail!("layer ends inside of a tar header")
            }
            result => result.context("read layer").map(|()| Some(block)),
        }
    }

    /// Takes a header that speaks about the next entry; `false` where it is an entry itself.
    fn extension(&mut self, block: &Block, pending: &mut Pending) -> Result<bool> {
        let kind = block[TYPE];
        if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
            return Ok(false);
        }
        let size = field(block, SIZE).and_then(|size| u64::try_from(size).ok()).unwrap_or(u64::MAX);
        if size > EXTENSION_MAX {
            bail!("tar entry {}: extended header of more than {EXTENSION_MAX} bytes", self.entries + 1);
        }
        let bytes = self.whole_data(size)?;
        let text = || bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match kind {
            b'x' => pending.pax = Pax::parse(&bytes).with(|| format!("tar entry {}", self.entries + 1))?,
            b'L' => pending.path = Some(text()),
            b'K' => pending.link = Some(text()),
            // Global headers carry comments (git archive) and change no entry, as in docker.
            _ => {}
        }
        Ok(true)
    }

    fn whole_data(&mut self, size: u64) -> Result<Vec<u8>> {
        self.begin_data(size);
        let mut bytes = Vec::new();
        loop {
            let part = self.data()?;
            if part.is_empty() {
                break;
            }
            let length = part.len();
            bytes.extend_from_slice(part);
            self.consume(length);
        }
        self.skip_data()?;
        Ok(bytes)
    }

    fn entry(&mut self, block: &Block, pending: Pending) -> Result<Entry> {
        let at = |what: &str| format!("tar entry {}: {what}", self.entries);
        let Pending { pax, path, link } = pending;
        let header_path = || ustar_path(block);
        let mut entry = Entry {
            path: path.or_else(|| pax.path.clone()).unwrap_or_else(header_path),
            link: link.or_else(|| pax.link.clone()).unwrap_or_else(|| text(block, LINK)),
            kind: Type::Regular,
            mode: number(&block[MODE]).unwrap_or(0) as u32 & PERMISSIONS,
            uid: id(pax.uid.or_else(|| field(block, UID))).with(|| at("uid"))?,
            gid: id(pax.gid.or_else(|| field(block, GID))).with(|| at("gid"))?,
            size: 0,
            sparse: None,
            node: (0, 0),
            modified: pax.modified.or_else(|| modified(block)).unwrap_or_default(),
            accessed: pax.accessed,
            xattrs: pax.xattrs.clone(),
        };
        entry.kind = match block[TYPE] {
            b'0' | 0 | b'7' | b'S' if entry.path.ends_with(b"/") && block[TYPE] == 0 => Type::Directory,
            b'0' | 0 | b'7' | b'S' => Type::Regular,
            b'1' => Type::Link,
            b'2' => Type::Symlink,
            b'3' => Type::Char,
            b'4' => Type::Block,
            b'5' => Type::Directory,
            b'6' => Type::Fifo,
            other => bail!("tar entry {} {}: type {:?} is not known", self.entries, entry.name(), char::from(other)),
        };
        if matches!(entry.kind, Type::Char | Type::Block) {
            let part = |range| field(block, range).and_then(|number| u32::try_from(number).ok());
            match (part(MAJOR), part(MINOR)) {
                (Some(major), Some(minor)) => entry.node = (major, minor),
                _ => bail!("tar entry {} {}: device number out of range", self.entries, entry.name()),
            }
        }
        // Only regular files have data, whatever the size field of others says.
        let size = match entry.kind {
            Type::Regular => pax.size.or_else(|| field(block, SIZE)),
            _ => Some(0),
        };
        let Some(size) = size.and_then(|size| u64::try_from(size).ok()) else {
            bail!("tar entry {} {}: size is no number", self.entries, entry.name());
        };
        if size > self.limits.bytes {
            bail!("tar entry {}: {size} bytes are more than the limit of {}", self.entries, self.limits.bytes);
        }
        self.begin_data(size);
        entry.size = size;
        if entry.kind == Type::Regular {
            sparse::apply(self, block, &pax, &mut entry)?;
        }
        Ok(entry)
    }
}

/// What extension headers said about the entry to come.
#[derive(Default)]
struct Pending {
    pax: Pax,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

use std::ops::Range;
const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;

fn field(block: &Block, range: Range<usize>) -> Option<i64> {
    number(&block[range])
}

fn text(block: &Block, range: Range<usize>) -> Vec<u8> {
    block[range].split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// Only ustar has a prefix; GNU uses its place for other things.
fn ustar_path(block: &Block) -> Vec<u8> {
    let name = text(block, NAME);
    let prefix = if &block[MAGIC] == b"ustar\0" { text(block, PREFIX) } else { Vec::new() };
    if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
}

fn modified(block: &Block) -> Option<Time> {
    field(block, MTIME).map(|seconds| Time { seconds, nanoseconds: 0 })
}

/// 2^32-1 means "leave the owner as it is" to chown(2): a file that should belong to nobody would belong to root.
fn id(number: Option<i64>) -> Result<u32> {
    match number.and_then(|number| u32::try_from(number).ok()) {
        Some(id) if id != u32::MAX => Ok(id),
        _ => bail!("owner is not a number below 4294967295"),
    }
}

/// The sum of the header's bytes with its own field taken as spaces; some old programs added signed bytes.
fn check_sum(block: &Block) -> Result<()> {
    let Some(stated) = field(block, CHECKSUM) else {
        bail!("not a tar header");
    };
    let others = || block.iter().enumerate().filter(|(at, _)| !CHECKSUM.contains(at)).map(|(_, byte)| *byte);
    let spaces = CHECKSUM.len() as i64 * i64::from(b' ');
    let unsigned: i64 = others().map(i64::from).sum::<i64>() + spaces;
    let signed: i64 = others().map(|byte| i64::from(byte as i8)).sum::<i64>() + spaces;
    if stated != unsigned && stated != signed {
        bail!("not a tar header: wrong checksum");
    }
    Ok(())
}
