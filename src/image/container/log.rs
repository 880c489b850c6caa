//! What a container said: docker's json-file format, one object a line, `{"log":"text\n","stream":"stdout","time":"..."}`.
//! A line that is longer than a piece, or not finished at the end, has no newline in `log`.

use super::config::LogOptions;
use super::state::now;
use crate::error::{Context, Result};
use crate::image::time;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub const LOG: &str = "log.json";
/// docker cuts lines into pieces of this size too.
const PIECE_MAX: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    pub log: String,
    pub stream: Stream,
    pub time: String,
}

/// Writes the log, and turns it over when it has grown.
pub struct Writer {
    directory: PathBuf,
    options: LogOptions,
    file: Option<File>,
    size: u64,
    /// The unfinished lines of both streams.
    unfinished: [Vec<u8>; 2],
}

impl Writer {
    pub fn open(directory: &Path, options: &LogOptions) -> Result<Writer> {
        let mut writer = Writer {
            directory: directory.to_owned(),
            options: options.clone(),
            file: None,
            size: 0,
            unfinished: [Vec::new(), Vec::new()],
        };
        if options.driver != "none" {
            writer.open_file()?;
        }
        Ok(writer)
    }

    fn open_file(&mut self) -> Result<()> {
        let path = self.directory.join(LOG);
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&path);
        let file = file.with(|| format!("open {}", path.display()))?;
        self.size = file.metadata().with(|| format!("stat {}", path.display()))?.len();
        self.file = Some(file);
        Ok(())
    }

    pub fn write(&mut self, stream: Stream, mut data: &[u8]) -> Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let mut out = Vec::new();
        let unfinished = &mut self.unfinished[stream as usize];
        while let Some(end) = data.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = data.split_at(end + 1);
            unfinished.extend_from_slice(line);
            entry(&mut out, stream, unfinished)?;
            unfinished.clear();
            data = rest;
        }
        unfinished.extend_from_slice(data);
        while unfinished.len() >= PIECE_MAX {
            let piece: Vec<u8> = unfinished.drain(..whole_characters(unfinished, PIECE_MAX)).collect();
            entry(&mut out, stream, &piece)?;
        }
        self.append(&out)
    }

    /// Writes what has no newline: the container has ended.
    pub fn finish(&mut self) -> Result<()> {
        let mut out = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.unfinished[stream as usize]);
            if !rest.is_empty() {
                entry(&mut out, stream, &rest)?;
            }
        }
        self.append(&out)
    }

    /// Writes whole lines, as many into one file as it may hold.
    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = match self.options.max_size {
                0 => u64::MAX,
                bound => bound.saturating_sub(self.size),
            };
            let count = match lines_within(bytes, room) {
                0 if self.size > 0 => {
                    self.rotate()?;
                    continue;
                }
                // A line that is longer than a file may be has one of its own.
                0 => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1),
                count => count,
            };
            let (now, later) = bytes.split_at(count);
            if let Some(file) = &mut self.file {
                file.write_all(now).with(|| format!("write {LOG}"))?;
                self.size = self.size.saturating_add(now.len() as u64);
            }
            bytes = later;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        let path = |number: u32| rotated(&self.directory, number);
        if self.options.max_file < 2 {
            std::fs::remove_file(path(0)).with(|| format!("remove {LOG}"))?;
            return self.open_file();
        }
        for number in (0..self.options.max_file - 1).rev() {
            match std::fs::rename(path(number), path(number + 1)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with(|| format!("turn over {LOG}"));
                }
                _ => {}
            }
        }
        self.open_file()
    }
}

/// The bytes of as many whole lines as have room.
fn lines_within(bytes: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..room).unwrap_or(bytes).iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// As many bytes of the first `length` as do not end inside a character.
fn whole_characters(bytes: &[u8], length: usize) -> usize {
    let is_start = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    (length.saturating_sub(3)..=length).rev().find(is_start).unwrap_or(length)
}

fn entry(out: &mut Vec<u8>, stream: Stream, text: &[u8]) -> Result<()> {
    let entry = Entry { log: String::from_utf8_lossy(text).into_owned(), stream, time: now() };
    serde_json::to_writer(&mut *out, &entry).with(|| format!("write {LOG}"))?;
    out.push(b'\n');
    Ok(())
}

fn rotated(directory: &Path, number: u32) -> PathBuf {
    match number {
        0 => directory.join(LOG),
        number => directory.join(format!("{LOG}.{number}")),
    }
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// The last so many lines.
    pub tail: Option<usize>,
    /// Seconds since the epoch.
    pub since: Option<i64>,
    pub until: Option<i64>,
}

impl Range {
    pub fn has(&self, entry: &Entry) -> bool {
        let time = time::parse_rfc3339(&entry.time);
        self.since.is_none_or(|since| time.is_none_or(|time| time >= since)) && !self.is_past(entry)
    }

    /// Nothing of what follows is wanted.
    pub fn is_past(&self, entry: &Entry) -> bool {
        let time = time::parse_rfc3339(&entry.time);
        self.until.is_some_and(|until| time.is_some_and(|time| time > until))
    }
}

/// Reads a log from its oldest file on, and what is added to it while it is read.
pub struct Reader {
    directory: PathBuf,
    /// Older files, the next one last.
    older: Vec<BufReader<File>>,
    current: Option<BufReader<File>>,
    line: Vec<u8>,
}

impl Reader {
    pub fn open(directory: &Path) -> Result<Reader> {
        let mut older = Vec::new();
        for number in 1.. {
            match File::open(rotated(directory, number)) {
                Ok(file) => older.push(BufReader::new(file)),
                Err(_) => break,
            }
        }
        let mut reader = Reader { directory: directory.to_owned(), older, current: None, line: Vec::new() };
        reader.reopen()?;
        Ok(reader)
    }

    fn reopen(&mut self) -> Result<()> {
        match File::open(self.directory.join(LOG)) {
            Ok(file) => self.current = Some(BufReader::new(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with(|| format!("open {LOG}")),
        }
        Ok(())
    }

    /// The next entry; `None` where nothing more has been written yet.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(reader) = self.older.last_mut() {
                if reader.read_until(b'\n', &mut self.line).with(|| format!("read {LOG}"))? == 0 {
                    self.older.pop();
                    self.line.clear();
                    continue;
                }
            } else if let Some(reader) = &mut self.current {
                if reader.read_until(b'\n', &mut self.line).with(|| format!("read {LOG}"))? == 0 {
                    if self.was_turned_over() {
                        self.reopen()?;
                        continue;
                    }
                    return Ok(None);
                }
            } else {
                self.reopen()?;
                if self.current.is_none() {
                    return Ok(None);
                }
                continue;
            }
            if self.line.last() == Some(&b'\n') {
                let entry = serde_json::from_slice(&self.line);
                self.line.clear();
                // What is no entry was cut off when the machine or the disk gave out.
                if let Ok(entry) = entry {
                    return Ok(Some(entry));
                }
            }
        }
    }

    fn was_turned_over(&self) -> bool {
        let inode = |metadata: std::io::Result<std::fs::Metadata>| metadata.ok().map(|metadata| metadata.ino());
        let held = self.current.as_ref().and_then(|reader| inode(reader.get_ref().metadata()));
        let named = inode(self.directory.join(LOG).metadata());
        named.is_some() && held != named
    }

    /// Goes back to where the last `lines` entries begin.
    pub fn tail(&mut self, lines: usize) -> Result<()> {
        let mut all = Reader::open(&self.directory)?;
        let mut count: usize = 0;
        while all.next_entry()?.is_some() {
            count += 1;
        }
        let mut again = Reader::open(&self.directory)?;
        for _ in 0..count.saturating_sub(lines) {
            again.next_entry()?;
        }
        *self = again;
        Ok(())
    }

    /// The file that is being written, to be watched.
    pub fn path(&self) -> PathBuf {
        self.directory.join(LOG)
    }

    /// Only what comes from now on.
    pub fn skip_all(&mut self) -> Result<()> {
        self.older.clear();
        match &mut self.current {
            Some(reader) => reader.seek(SeekFrom::End(0)).map(drop).with(|| format!("seek {LOG}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn texts(reader: &mut Reader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_entry().unwrap()).map(|entry| entry.log).collect()
    }

    #[test]
    fn lines_are_entries_and_a_rest_is_one_at_the_end() {
        let directory = directory("lines");
        let mut writer = Writer::open(&directory, &LogOptions::default()).unwrap();
        writer.write(Stream::Stdout, b"one\ntwo").unwrap();
        let mut reader = Reader::open(&directory).unwrap();
        assert_eq!(texts(&mut reader), ["one\n"]);
        writer.write(Stream::Stderr, b"err\n").unwrap();
        writer.write(Stream::Stdout, b"!\n\xff").unwrap();
        writer.finish().unwrap();
        assert_eq!(texts(&mut reader), ["err\n", "two!\n", "\u{fffd}"]);
        reader.tail(2).unwrap();
        assert_eq!(texts(&mut reader), ["two!\n", "\u{fffd}"]);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let directory = directory("long");
        let mut writer = Writer::open(&directory, &LogOptions::default()).unwrap();
        let line = format!("{}é{}\n", "x".repeat(PIECE_MAX - 1), "y".repeat(PIECE_MAX));
        writer.write(Stream::Stdout, &line.as_bytes()[..PIECE_MAX + 5]).unwrap();
        writer.write(Stream::Stdout, &line.as_bytes()[PIECE_MAX + 5..]).unwrap();
        let pieces = texts(&mut Reader::open(&directory).unwrap());
        assert!(pieces.len() > 1 && pieces.concat() == line);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_log_is_turned_over_and_read_in_order() {
        let directory = directory("rotate");
        let options = LogOptions { max_size: 200, max_file: 3, ..LogOptions::default() };
        let mut writer = Writer::open(&directory, &options).unwrap();
        let mut reader = Reader::open(&directory).unwrap();
        let mut followed = Vec::new();
        for number in 0..12 {
            writer.write(Stream::Stdout, format!("line {number}\n").as_bytes()).unwrap();
            followed.extend(texts(&mut reader));
        }
        assert_eq!(followed.len(), 12);
        let kept = texts(&mut Reader::open(&directory).unwrap());
        assert_eq!(kept, followed[12 - kept.len()..]);
        assert!(kept.len() < 12 && rotated(&directory, 2).exists() && !rotated(&directory, 3).exists());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
