//! Writes a tar archive: ustar headers, and PAX ones for what does not fit into them. The same entries give the same
//! bytes on every machine.

use super::tar::Type;
use crate::error::{Context, Result};
use crate::sys::tree::Time;
use std::io::{Read, Write};

const BLOCK: u64 = 512;
const NAME_MAX: usize = 100;
/// What the octal digits of the header's fields hold.
const ID_MAX: u32 = 0o7_777_777;
const SIZE_MAX: u64 = 0o77_777_777_777;

pub(super) struct Header<'a> {
    /// Relative; of a directory, with a slash at its end.
    pub path: &'a [u8],
    pub link: &'a [u8],
    pub kind: Type,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub node: (u32, u32),
    pub modified: Time,
    /// Sorted by key.
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

pub(super) struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Writer { out, buffer: vec![0; 256 << 10] }
    }

    pub(super) fn header(&mut self, header: &Header) -> Result<()> {
        let records = records(header);
        if !records.is_empty() {
            let pax = Header {
                path: b"PaxHeaders.0/x",
                link: b"",
                kind: Type::Regular,
                mode: 0o644,
                uid: 0,
                gid: 0,
                size: records.len() as u64,
                node: (0, 0),
                modified: Time::default(),
                xattrs: &[],
            };
            self.out.write_all(&block(&pax, b'x')).context("write layer")?;
            self.out.write_all(&records).context("write layer")?;
            self.pad(records.len() as u64)?;
        }
        self.out.write_all(&block(header, type_byte(header.kind))).context("write layer")
    }

    /// The data of the header before: exactly `size` bytes, whatever the file has become meanwhile.
    pub(super) fn data(&mut self, mut source: impl Read, size: u64) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let length = source.read(&mut self.buffer[..room]).context("read")?;
            if length == 0 {
                crate::bail!("file became shorter while it was read");
            }
            self.out.write_all(&self.buffer[..length]).context("write layer")?;
            left -= length as u64;
        }
        self.pad(size)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.out.write_all(&[0; 2 * BLOCK as usize]).context("write layer")?;
        self.out.flush().context("write layer")
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let zeros = [0; BLOCK as usize];
        let length = (size.wrapping_neg() % BLOCK) as usize;
        self.out.write_all(&zeros[..length]).context("write layer")
    }
}

fn type_byte(kind: Type) -> u8 {
    match kind {
        Type::Regular => b'0',
        Type::Link => b'1',
        Type::Symlink => b'2',
        Type::Char => b'3',
        Type::Block => b'4',
        Type::Directory => b'5',
        Type::Fifo => b'6',
    }
}

/// The PAX records, in a fixed order.
fn records(header: &Header) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
    let Time { seconds, nanoseconds } = header.modified;
    if nanoseconds != 0 || u64::try_from(seconds).is_ok_and(|seconds| seconds > SIZE_MAX) || seconds < 0 {
        add(b"mtime", decimal(header.modified).as_bytes());
    }
    if header.path.len() > NAME_MAX || !header.path.is_ascii() {
        add(b"path", header.path);
    }
    if header.link.len() > NAME_MAX || !header.link.is_ascii() {
        add(b"linkpath", header.link);
    }
    if header.uid > ID_MAX {
        add(b"uid", header.uid.to_string().as_bytes());
    }
    if header.gid > ID_MAX {
        add(b"gid", header.gid.to_string().as_bytes());
    }
    if header.size > SIZE_MAX {
        add(b"size", header.size.to_string().as_bytes());
    }
    for (key, value) in header.xattrs {
        add(&[b"SCHILY.xattr.", key.as_slice()].concat(), value);
    }
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn decimal(time: Time) -> String {
    let whole = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    let (sign, whole) = (if whole < 0 { "-" } else { "" }, whole.unsigned_abs());
    let fraction = format!("{:09}", whole % 1_000_000_000);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{}", whole / 1_000_000_000),
        fraction => format!("{sign}{}.{fraction}", whole / 1_000_000_000),
    }
}

fn block(header: &Header, kind: u8) -> [u8; BLOCK as usize] {
    let mut tar = tar::Header::new_ustar();
    let short = |bytes: &[u8], field: &mut [u8]| {
        let length = bytes.len().min(field.len());
        field[..length].copy_from_slice(&bytes[..length]);
    };
    if let Some(ustar) = tar.as_ustar_mut() {
        short(header.path, &mut ustar.name);
        short(header.link, &mut ustar.linkname);
        ustar.typeflag = [kind];
        if matches!(header.kind, Type::Char | Type::Block) {
            ustar.set_device_major(header.node.0);
            ustar.set_device_minor(header.node.1);
        }
    }
    tar.set_mode(header.mode);
    tar.set_uid(u64::from(header.uid.min(ID_MAX)));
    tar.set_gid(u64::from(header.gid.min(ID_MAX)));
    tar.set_size(header.size.min(SIZE_MAX));
    tar.set_mtime(u64::try_from(header.modified.seconds).unwrap_or(0).min(SIZE_MAX));
    tar.set_cksum();
    *tar.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::tar::Reader;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let long = [b"d/".repeat(80), "é".into()].concat();
        let xattrs = [(b"user.a".to_vec(), vec![0, b'\n', b'=']), (b"user.b".to_vec(), vec![7; 300])];
        let modified = Time { seconds: -2, nanoseconds: 750_000_000 };
        let header = Header {
            path: &long,
            link: &long,
            kind: Type::Symlink,
            mode: 0o4755,
            uid: 3_000_000_000,
            gid: 12,
            size: 0,
            node: (0, 0),
            modified,
            xattrs: &xattrs,
        };
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.header(&header).unwrap();
        writer.header(&Header { path: b"f", link: b"", kind: Type::Regular, size: 3, xattrs: &[], ..header }).unwrap();
        writer.data(&b"abcdef"[..], 3).unwrap();
        writer.finish().unwrap();
        let mut reader = Reader::new(&bytes[..], Limits::default());
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!((entry.path, entry.link), (long.clone(), long));
        assert_eq!((entry.mode, entry.uid, entry.gid, entry.modified), (0o4755, 3_000_000_000, 12, modified));
        assert_eq!(entry.xattrs, xattrs);
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!((entry.kind, entry.size), (Type::Regular, 3));
        assert_eq!(reader.data().unwrap(), b"abc");
        assert!(reader.next_entry().unwrap().is_none());
    }

    #[test]
    fn a_records_length_counts_its_own_digits() {
        let mut out = Vec::new();
        record(&mut out, b"path", &[b'a'; 90]);
        assert!(out.starts_with(b"99 path="));
        assert_eq!(out.len(), 99);
        out.clear();
        record(&mut out, b"path", &[b'a'; 91]);
        assert!(out.starts_with(b"101 path="));
        assert_eq!(out.len(), 101);
    }
}
