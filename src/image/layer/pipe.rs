//! One pass over a layer's bytes on two threads: one reads, hashes, keeps the bytes and inflates them, the other uses
//! the plain archive.

use super::Limits;
use crate::bail;
use crate::error::{Context, Error, Result};
use crate::image::digest::{Digest, Hasher};
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Large enough that few system calls and wake-ups are made, small enough for the processor's cache.
const CHUNK: usize = 256 << 10;
/// Chunks that the reading thread may be ahead.
const AHEAD: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// What the bytes are, whatever anybody said that they are.
    pub fn of(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A skippable frame comes first in what zstd's chunking programs write.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// What went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    pub compression: Compression,
    /// Of the bytes as they came.
    pub digest: Digest,
    pub size: u64,
    /// Of the plain archive: the layer's diff id.
    pub diff_id: Digest,
    pub plain_size: u64,
}

/// Gives `consume` the plain archive that `source` carries, while everything that `source` gives is written to `keep`.
/// All of `source` is read, also what `consume` leaves.
pub fn stream<T>(
    source: impl Read + Send,
    keep: impl Write + Send,
    limits: Limits,
    consume: impl FnOnce(&mut Plain) -> Result<T>,
) -> Result<(T, Streamed)> {
    let (full, chunks) = sync_channel(AHEAD);
    let (used, empty) = channel();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || inflate(source, keep, limits, &Pool { full, empty }));
        let mut plain = Plain { chunks, used, chunk: Vec::new(), at: 0 };
        let consumed = consume(&mut plain).inspect(|_| plain.drain());
        // An error here hangs up, which the other thread takes as a wish to stop.
        drop(plain);
        let streamed = reading.join().unwrap_or_else(|_| Err(Error::new("layer: reading thread died")));
        match (streamed, consumed) {
            // What the reader could not give is the cause of what the consumer missed.
            (Err(error), _) => Err(error),
            (Ok(_), Err(error)) => Err(error),
            (Ok(Some(streamed)), Ok(value)) => Ok((value, streamed)),
            (Ok(None), Ok(_)) => bail!("layer: not read to its end"),
        }
    })
}

/// The plain archive on the consumer's side.
pub struct Plain {
    chunks: Receiver<Vec<u8>>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Plain {
    fn drain(&mut self) {
        for chunk in &self.chunks {
            // The reader may be done and gone.
            let _ = self.used.send(chunk);
        }
    }
}

impl BufRead for Plain {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.chunk.len() {
            self.at = 0;
            let next = self.chunks.recv().unwrap_or_default();
            let _ = self.used.send(std::mem::replace(&mut self.chunk, next));
        }
        Ok(self.chunk.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.chunk.len());
    }
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

struct Pool {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

impl Pool {
    fn chunk(&self) -> Vec<u8> {
        let mut chunk = self.empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        chunk
    }
}

/// The reading thread; `None` where the other one wanted no more.
fn inflate(source: impl Read, keep: impl Write, limits: Limits, pool: &Pool) -> Result<Option<Streamed>> {
    let mut kept = Kept { source, keep, buffer: vec![0; CHUNK], at: 0, end: 0, size: 0, hasher: None };
    let compression = Compression::of(kept.fill_buf().context("read layer")?);
    if compression != Compression::None {
        // A plain archive's digest is its diff id; nothing is hashed twice.
        kept.hash_from_here();
    }
    let plain = match compression {
        Compression::None => copy_plain(&mut kept, limits, pool),
        Compression::Gzip => copy_plain(flate2::bufread::MultiGzDecoder::new(&mut kept), limits, pool),
        // The library refuses windows of more than 128 MiB.
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&mut kept).context("inflate layer")?;
            copy_plain(decoder, limits, pool)
        }
    }?;
    let Some((diff_id, plain_size)) = plain else {
        return Ok(None);
    };
    // A descriptor's size counts what stands behind the compressed data too.
    while !kept.fill_buf().context("read layer")?.is_empty() {
        kept.at = kept.end;
    }
    let digest = kept.hasher.take().map_or_else(|| diff_id.clone(), Digest::from);
    kept.keep.flush().context("keep layer")?;
    Ok(Some(Streamed { compression, digest, size: kept.size, diff_id, plain_size }))
}

fn copy_plain(mut plain: impl Read, limits: Limits, pool: &Pool) -> Result<Option<(Digest, u64)>> {
    let (mut hasher, mut size) = (Hasher::new(), 0u64);
    loop {
        let mut chunk = pool.chunk();
        let length = read_full(&mut plain, &mut chunk).context("inflate layer")?;
        chunk.truncate(length);
        if length == 0 {
            return Ok(Some((hasher.into(), size)));
        }
        size += length as u64;
        if size > limits.bytes {
            bail!("layer is larger than {} bytes; a higher limit can be given", limits.bytes);
        }
        hasher.update(&chunk);
        if pool.full.send(chunk).is_err() {
            return Ok(None);
        }
    }
}

fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// The source, whose bytes are kept, counted and hashed as they are fetched.
struct Kept<R, W> {
    source: R,
    keep: W,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    size: u64,
    hasher: Option<Hasher>,
}

impl<R, W> Kept<R, W> {
    /// From the first byte on: only what is in the buffer has been fetched.
    fn hash_from_here(&mut self) {
        let mut hasher = Hasher::new();
        hasher.update(&self.buffer[..self.end]);
        self.hasher = Some(hasher);
    }
}

impl<R: Read, W: Write> BufRead for Kept<R, W> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            self.end = read_full(&mut self.source, &mut self.buffer)?;
            let bytes = &self.buffer[..self.end];
            self.keep.write_all(bytes)?;
            self.size += bytes.len() as u64;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(bytes);
            }
        }
        Ok(&self.buffer[self.at..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.end);
    }
}

impl<R: Read, W: Write> Read for Kept<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(plain: &mut Plain) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        plain.read_to_end(&mut bytes).context("read")?;
        Ok(bytes)
    }

    fn sample() -> Vec<u8> {
        (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn every_compression_gives_the_same_bytes_and_both_digests() {
        let plain = sample();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let forms = [
            (Compression::None, plain.clone()),
            (Compression::Gzip, gzip.finish().unwrap()),
            (Compression::Zstd, zstd::encode_all(&plain[..], 1).unwrap()),
        ];
        for (compression, bytes) in forms {
            let mut kept = Vec::new();
            let (got, streamed) = stream(&bytes[..], &mut kept, Limits::default(), all).unwrap();
            assert!(got == plain && kept == bytes, "{compression:?}");
            let (digest, diff_id) = (Digest::of(&bytes), Digest::of(&plain));
            let (size, plain_size) = (bytes.len() as u64, plain.len() as u64);
            assert_eq!(streamed, Streamed { compression, digest, size, diff_id, plain_size });
        }
    }

    #[test]
    fn what_the_consumer_leaves_is_hashed_too() {
        let plain = sample();
        let (first, streamed) = stream(&plain[..], io::sink(), Limits::default(), |plain| {
            let mut first = [0; 10];
            plain.read_exact(&mut first).context("read")?;
            Ok(first)
        })
        .unwrap();
        assert_eq!(first, plain[..10]);
        assert_eq!(streamed.diff_id, Digest::of(&plain));
    }

    #[test]
    fn the_cause_is_reported_and_not_what_follows_from_it() {
        let bytes = zstd::encode_all(&sample()[..], 1).unwrap();
        let error = stream(&bytes[..bytes.len() / 2], io::sink(), Limits::default(), |plain| -> Result<()> {
            all(plain)?;
            bail!("too short")
        });
        assert!(error.unwrap_err().to_string().starts_with("inflate layer"));
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        let error = stream(&bytes[..], io::sink(), limits, all).unwrap_err();
        assert!(error.to_string().contains("larger than 1048576 bytes"), "{error}");
    }

    #[test]
    fn an_error_of_the_consumer_stops_an_endless_source() {
        let endless = io::repeat(7);
        let error = stream(endless, io::sink(), Limits::default(), |_| -> Result<()> { bail!("enough") });
        assert_eq!(error.unwrap_err().to_string(), "enough");
    }
}
