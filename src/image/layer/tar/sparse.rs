//! Sparse files: GNU's own header and the three PAX dialects (0.0, 0.1, 1.0).

use super::pax::{Pax, decimal};
use super::{BLOCK, Block, Entry, Reader, field};
use crate::bail;
use crate::error::Result;
use std::io::BufRead;

/// More pieces than this are refused: the map must fit into memory before its file is known to be worth it.
const SEGMENTS_MAX: usize = 1 << 16;
/// A decimal number of a map in the data is no longer than this.
const DIGITS_MAX: usize = 20;

/// `length` bytes of the archive that belong at `offset` of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
}

/// Finds out whether the entry is sparse, and reads its map, up to where its data begin.
pub(super) fn apply<R: BufRead>(reader: &mut Reader<R>, block: &Block, pax: &Pax, entry: &mut Entry) -> Result<()> {
    let (map, size) = if block[super::TYPE] == b'S' {
        gnu(reader, block)?
    } else if pax.sparse("major").is_some_and(|major| major == b"1") {
        (in_data(reader)?, size_of(pax))
    } else if pax.sparse("map").is_some() || pax.sparse("offset").is_some() {
        (in_header(pax), size_of(pax))
    } else {
        return Ok(());
    };
    if let Some(name) = pax.sparse("name") {
        entry.path = name.to_vec();
    }
    let (Some(map), Some(size)) = (map, size) else {
        bail!("tar entry {}: broken map of a sparse file", entry.name());
    };
    check(&map, size, reader.data).map_err(|error| error.context(format!("tar entry {}", entry.name())))?;
    if size > reader.limits.bytes {
        bail!("tar entry {}: {size} bytes are more than the limit of {}", entry.name(), reader.limits.bytes);
    }
    entry.size = size;
    entry.sparse = Some(map);
    Ok(())
}

/// The pieces must be in order, apart, within the file, and as long as the data.
fn check(map: &[Segment], size: u64, data: u64) -> Result<()> {
    let (mut end, mut sum) = (0u64, 0u64);
    for segment in map {
        if segment.offset < end {
            bail!("map of a sparse file is out of order");
        }
        let after = segment.offset.checked_add(segment.length).filter(|after| *after <= size);
        let Some(after) = after else {
            bail!("map of a sparse file leads beyond its end");
        };
        end = after;
        sum += segment.length;
    }
    if sum != data {
        bail!("sparse file has {data} bytes of data, its map says {sum}");
    }
    Ok(())
}

fn size_of(pax: &Pax) -> Option<u64> {
    let value = pax.sparse("realsize").or_else(|| pax.sparse("size"))?;
    u64::try_from(decimal(value)?).ok()
}

type Map = Option<Vec<Segment>>;

/// Four pieces in the header, and 21 in each block that follows it.
fn gnu<R: BufRead>(reader: &mut Reader<R>, block: &Block) -> Result<(Map, Option<u64>)> {
    const REAL_SIZE: std::ops::Range<usize> = 483..495;
    let size = field(block, REAL_SIZE).and_then(|size| u64::try_from(size).ok());
    let mut map = Vec::new();
    let mut good = pieces(&block[386..482], &mut map);
    let mut more = block[482] != 0;
    while more && good {
        let Some(block) = reader.block()? else {
            bail!("layer ends inside of a tar header");
        };
        good = pieces(&block[..504], &mut map);
        more = block[504] != 0;
    }
    Ok((good.then_some(map), size))
}

fn pieces(bytes: &[u8], map: &mut Vec<Segment>) -> bool {
    for piece in bytes.chunks_exact(24) {
        if piece[0] == 0 || piece[12] == 0 {
            return true;
        }
        let part = |bytes| super::number(bytes).and_then(|number| u64::try_from(number).ok());
        match (part(&piece[..12]), part(&piece[12..])) {
            (Some(offset), Some(length)) if map.len() < SEGMENTS_MAX => map.push(Segment { offset, length }),
            _ => return false,
        }
    }
    true
}

/// 0.1: one list of numbers in `map`; 0.0: `offset` and `numbytes` again and again.
fn in_header(pax: &Pax) -> Map {
    let numbers: Option<Vec<u64>> = match pax.sparse("map") {
        Some(b"") => Some(Vec::new()),
        Some(list) => list.split(|byte| *byte == b',').map(unsigned).collect(),
        None => {
            let both = pax.sparse.iter().filter(|(key, _)| key == b"offset" || key == b"numbytes");
            both.map(|(_, value)| unsigned(value)).collect()
        }
    };
    pairs(&numbers?)
}

fn pairs(numbers: &[u64]) -> Map {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > SEGMENTS_MAX {
        return None;
    }
    Some(numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
}

fn unsigned(value: &[u8]) -> Option<u64> {
    u64::try_from(decimal(value)?).ok()
}

/// 1.0: the data begin with lines of numbers: how many pieces, then offset and length of each, filled up to a block.
fn in_data<R: BufRead>(reader: &mut Reader<R>) -> Result<Map> {
    let mut read = 0;
    let Some(count) = line(reader, &mut read)?.and_then(|count| usize::try_from(count).ok()) else {
        return Ok(None);
    };
    if count > SEGMENTS_MAX {
        return Ok(None);
    }
    let mut map = Vec::new();
    for _ in 0..count {
        let (Some(offset), Some(length)) = (line(reader, &mut read)?, line(reader, &mut read)?) else {
            return Ok(None);
        };
        map.push(Segment { offset, length });
    }
    let mut rest = (BLOCK - read % BLOCK) % BLOCK;
    while rest > 0 {
        let length = reader.data()?.len().min(rest);
        if length == 0 {
            return Ok(None);
        }
        reader.consume(length);
        rest -= length;
    }
    Ok(Some(map))
}

fn line<R: BufRead>(reader: &mut Reader<R>, read: &mut usize) -> Result<Option<u64>> {
    let mut digits = Vec::new();
    while digits.len() <= DIGITS_MAX {
        let Some(byte) = reader.data()?.first().copied() else {
            return Ok(None);
        };
        reader.consume(1);
        *read += 1;
        if byte == b'\n' {
            return Ok(unsigned(&digits));
        }
        digits.push(byte);
    }
    Ok(None)
}
