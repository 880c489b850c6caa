//! PAX extended headers: records of `LENGTH KEY=VALUE\n`.

use super::number::time;
use crate::bail;
use crate::error::Result;
use crate::sys::tree::Time;

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

#[derive(Debug, Default)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    pub size: Option<i64>,
    pub modified: Option<Time>,
    pub accessed: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// What stands behind `GNU.sparse.`, in order: `offset` and `numbytes` come again and again.
    pub sparse: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Pax> {
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let Some((key, value, rest)) = record(bytes) else {
                bail!("PAX header: broken record");
            };
            pax.take(key, value)?;
            bytes = rest;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if let Some(name) = key.strip_prefix(XATTR) {
            self.xattrs.retain(|(old, _)| old != name);
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if let Some(name) = key.strip_prefix(SPARSE) {
            self.sparse.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        // An empty value takes back what was said before; the header's own field counts.
        let some = !value.is_empty();
        match key {
            b"path" => self.path = some.then(|| value.to_vec()),
            b"linkpath" => self.link = some.then(|| value.to_vec()),
            b"uid" => self.uid = whole(key, value)?,
            b"gid" => self.gid = whole(key, value)?,
            b"size" => self.size = whole(key, value)?,
            b"mtime" => self.modified = moment(key, value)?,
            b"atime" => self.accessed = moment(key, value)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn sparse(&self, key: &str) -> Option<&[u8]> {
        self.sparse.iter().rev().find(|(name, _)| name == key.as_bytes()).map(|(_, value)| value.as_slice())
    }
}

/// Key, value, and what comes behind the record.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty()).then_some((key, value, &bytes[length..]))
}

pub(super) fn decimal(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn whole(key: &[u8], value: &[u8]) -> Result<Option<i64>> {
    match decimal(value) {
        None if !value.is_empty() => bail!("PAX header: {} is no number", String::from_utf8_lossy(key)),
        number => Ok(number),
    }
}

fn moment(key: &[u8], value: &[u8]) -> Result<Option<Time>> {
    match time(value) {
        None if !value.is_empty() => bail!("PAX header: {} is no time", String::from_utf8_lossy(key)),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let pax = Pax::parse(b"14 path=a b=c\n13 uid=70000\n24 SCHILY.xattr.user.x=\n8 foo=x\n").unwrap();
        assert_eq!(pax.path.unwrap(), b"a b=c");
        assert_eq!(pax.uid, Some(70000));
        assert_eq!(pax.xattrs, [(b"user.x".to_vec(), vec![])]);
    }

    #[test]
    fn an_empty_value_takes_back() {
        let pax = Pax::parse(b"9 path=a\n8 path=\n").unwrap();
        assert_eq!(pax.path, None);
    }

    #[test]
    fn broken_records_are_refused() {
        for bytes in [
            &b"9 path=a"[..],
            b"99 path=a\n",
            b"1 path=a\n",
            b"x path=a\n",
            b"-9 path=a\n",
            b"8 patha\n\n",
            b"5 =a\n",
            b"9 size=xx\n",
            b"0 path=a\n",
        ] {
            assert!(Pax::parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
