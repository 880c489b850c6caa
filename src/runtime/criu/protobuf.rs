//! Protocol buffers, as far as CRIU's messages need them (protobuf.dev, "Encoding"): numbers and bytes, each behind a key
//! that has the field's number and how it is written.

use crate::bail;
use crate::error::Result;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A message in the making.
#[derive(Debug, Default, Clone)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value);
        self
    }

    /// int32: a negative one is written as 64 bits.
    pub(super) fn int(&mut self, field: u32, value: i32) -> &mut Self {
        self.number(field, i64::from(value) as u64)
    }

    pub(super) fn flag(&mut self, field: u32, value: bool) -> &mut Self {
        self.number(field, value.into())
    }

    pub(super) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(&mut self, field: u32, value: &Writer) -> &mut Self {
        self.bytes(field, &value.bytes)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.varint(u64::from(field) << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> u64 {
        match self {
            Value::Number(number) => number,
            Value::Bytes(_) => 0,
        }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Value::Number(_) => &[],
            Value::Bytes(bytes) => bytes,
        }
    }
}

/// The fields of a message with their numbers, in the order in which they come.
pub(super) fn read(mut bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            VARINT => Value::Number(varint(&mut bytes)?),
            LENGTH => {
                let length = varint(&mut bytes)?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            FIXED64 => Value::Bytes(take(&mut bytes, 8)?),
            FIXED32 => Value::Bytes(take(&mut bytes, 4)?),
            kind => bail!("a message with a field of kind {kind}"),
        };
        fields.push((key >> 3, value));
    }
    Ok(fields)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?.first().copied().unwrap_or_default();
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a message with a number of more than 64 bits")
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let taken = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let Some((taken, rest)) = taken else { bail!("a message that is cut off") };
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_text_and_messages() {
        let mut inner = Writer::default();
        inner.int(1, -1);
        let mut outer = Writer::default();
        outer.number(1, 150).text(2, "testing").flag(60, true).message(3, &inner);
        let bytes = outer.finish();
        // The specification's own examples.
        assert_eq!(bytes[..3], [0x08, 0x96, 0x01]);
        assert_eq!(bytes[3..12], [0x12, 0x07, b't', b'e', b's', b't', b'i', b'n', b'g']);
        let fields = read(&bytes).unwrap();
        let numbers: Vec<u64> = fields.iter().map(|field| field.0).collect();
        assert_eq!(numbers, [1, 2, 60, 3]);
        assert_eq!((fields[0].1.number(), fields[1].1.bytes(), fields[2].1.number()), (150, &b"testing"[..], 1));
        assert_eq!(read(fields[3].1.bytes()).unwrap(), [(1, Value::Number(u64::MAX))]);
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [&[0x08][..], &[0x12, 5, b'x'], &[0x0b], &[0xff; 11], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
