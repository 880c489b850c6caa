//! Values, and their form on the wire ("Type System" and "Marshaling" of the specification).

use crate::bail;
use crate::error::Result;

/// Deeper than anything that is answered; the specification's own limit is 64.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Byte(u8),
    Bool(bool),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    String(String),
    Path(String),
    Signature(String),
    /// With the signature of an element: there may be none.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub fn variant(self) -> Value {
        Value::Variant(Box::new(self))
    }

    pub fn strings(strings: Vec<String>) -> Value {
        Value::Array("s".to_owned(), strings.into_iter().map(Value::String).collect())
    }

    pub fn signature(&self) -> String {
        let letter = match self {
            Value::Byte(_) => "y",
            Value::Bool(_) => "b",
            Value::Int16(_) => "n",
            Value::Uint16(_) => "q",
            Value::Int32(_) => "i",
            Value::Uint32(_) => "u",
            Value::Int64(_) => "x",
            Value::Uint64(_) => "t",
            Value::Double(_) => "d",
            Value::String(_) => "s",
            Value::Path(_) => "o",
            Value::Signature(_) => "g",
            Value::Variant(_) => "v",
            Value::Array(element, _) => return format!("a{element}"),
            Value::Struct(members) => {
                return format!("({})", members.iter().map(Value::signature).collect::<String>());
            }
        };
        letter.to_owned()
    }

    /// Appends the value; alignment counts from the start of `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        pad(out, alignment(self.signature().as_bytes().first().copied().unwrap_or(b'y')));
        match self {
            Value::Byte(value) => out.push(*value),
            Value::Bool(value) => out.extend(u32::from(*value).to_le_bytes()),
            Value::Int16(value) => out.extend(value.to_le_bytes()),
            Value::Uint16(value) => out.extend(value.to_le_bytes()),
            Value::Int32(value) => out.extend(value.to_le_bytes()),
            Value::Uint32(value) => out.extend(value.to_le_bytes()),
            Value::Int64(value) => out.extend(value.to_le_bytes()),
            Value::Uint64(value) => out.extend(value.to_le_bytes()),
            Value::Double(value) => out.extend(value.to_le_bytes()),
            Value::String(text) | Value::Path(text) => {
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
                out.push(0);
            }
            Value::Signature(text) => write_signature(text, out),
            Value::Array(element, values) => {
                let length_at = out.len();
                out.extend([0; 4]);
                // The length does not count the padding before the first element, which is there without one too.
                pad(out, alignment(element.as_bytes().first().copied().unwrap_or(b'y')));
                let start = out.len();
                values.iter().for_each(|value| value.write(out));
                let length = ((out.len() - start) as u32).to_le_bytes();
                out.splice(length_at..length_at + 4, length);
            }
            Value::Struct(members) => members.iter().for_each(|member| member.write(out)),
            Value::Variant(value) => {
                write_signature(&value.signature(), out);
                value.write(out);
            }
        }
    }
}

fn write_signature(text: &str, out: &mut Vec<u8>) {
    out.push(text.len() as u8);
    out.extend(text.as_bytes());
    out.push(0);
}

pub(super) fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}

fn alignment(letter: u8) -> usize {
    match letter {
        b'n' | b'q' => 2,
        b'b' | b'i' | b'u' | b's' | b'o' | b'a' => 4,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 1,
    }
}

/// Reads values; whatever the bytes say, it neither panics nor asks for more memory than they are long.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) big_endian: bool,
}

impl<'a> Reader<'a> {
    /// A value for each complete type of the signature.
    pub(super) fn read_all(&mut self, signature: &str) -> Result<Vec<Value>> {
        let (mut values, mut rest) = (Vec::new(), signature.as_bytes());
        while !rest.is_empty() {
            let (one, more) = split_type(rest, 0)?;
            values.push(self.read(one, 0)?);
            rest = more;
        }
        Ok(values)
    }

    fn read(&mut self, kind: &[u8], depth: usize) -> Result<Value> {
        let Some(letter) = kind.first().copied().filter(|_| depth < DEPTH_MAX) else {
            bail!("a D-Bus message nests too deep");
        };
        self.align(alignment(letter))?;
        Ok(match letter {
            b'y' => Value::Byte(self.number::<1>()? as u8),
            b'b' => Value::Bool(self.number::<4>()? != 0),
            b'n' => Value::Int16(self.number::<2>()? as i16),
            b'q' => Value::Uint16(self.number::<2>()? as u16),
            b'i' => Value::Int32(self.number::<4>()? as i32),
            b'u' => Value::Uint32(self.number::<4>()? as u32),
            // A descriptor's index: we never ask for one.
            b'h' => Value::Uint32(self.number::<4>()? as u32),
            b'x' => Value::Int64(self.number::<8>()? as i64),
            b't' => Value::Uint64(self.number::<8>()?),
            b'd' => Value::Double(f64::from_bits(self.number::<8>()?)),
            b's' => Value::String(self.text::<4>()?),
            b'o' => Value::Path(self.text::<4>()?),
            b'g' => Value::Signature(self.text::<1>()?),
            b'v' => {
                let signature = self.text::<1>()?;
                let (one, more) = split_type(signature.as_bytes(), 0)?;
                if !more.is_empty() {
                    bail!("a D-Bus variant of {signature:?}");
                }
                self.read(one, depth + 1)?.variant()
            }
            b'a' => self.array(kind.get(1..).unwrap_or_default(), depth)?,
            b'(' | b'{' => {
                let (mut members, mut rest) = (Vec::new(), kind.get(1..kind.len() - 1).unwrap_or_default());
                while !rest.is_empty() {
                    let (one, more) = split_type(rest, depth)?;
                    members.push(self.read(one, depth + 1)?);
                    rest = more;
                }
                Value::Struct(members)
            }
            other => bail!("a D-Bus message has type {:?}", char::from(other)),
        })
    }

    fn array(&mut self, element: &[u8], depth: usize) -> Result<Value> {
        let length = self.number::<4>()? as usize;
        self.align(alignment(element.first().copied().unwrap_or(b'y')))?;
        let end = self.at.saturating_add(length);
        if end > self.bytes.len() {
            bail!("a D-Bus message ends within an array");
        }
        let mut values = Vec::new();
        while self.at < end {
            let before = self.at;
            values.push(self.read(element, depth + 1)?);
            if self.at == before {
                bail!("a D-Bus array has elements of no length");
            }
        }
        Ok(Value::Array(String::from_utf8_lossy(element).into_owned(), values))
    }

    pub(super) fn align(&mut self, alignment: usize) -> Result<()> {
        let at = self.at.next_multiple_of(alignment);
        self.take(at - self.at).map(drop)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.saturating_add(count);
        let Some(bytes) = self.bytes.get(self.at..end) else { bail!("a D-Bus message is cut off") };
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn number<const N: usize>(&mut self) -> Result<u64> {
        let bytes = self.take(N)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Ok(if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// A length of N bytes, the text, a zero byte.
    fn text<const N: usize>(&mut self) -> Result<String> {
        let length = self.number::<N>()? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }
}

/// The first complete type of a signature, and what is behind it.
fn split_type(signature: &[u8], depth: usize) -> Result<(&[u8], &[u8])> {
    let length = match signature.first() {
        Some(b'a') if depth < DEPTH_MAX => 1 + split_type(signature.get(1..).unwrap_or_default(), depth + 1)?.0.len(),
        Some(b'(' | b'{') => {
            let mut open = 0_usize;
            let end = signature.iter().position(|letter| {
                open += usize::from(matches!(letter, b'(' | b'{'));
                open -= usize::from(matches!(letter, b')' | b'}'));
                open == 0
            });
            match end {
                Some(end) => end + 1,
                None => bail!("a D-Bus signature has no end"),
            }
        }
        Some(letter) if b"ybnqiuhxtdsogv".contains(letter) => 1,
        _ => bail!("a D-Bus signature is wrong: {:?}", String::from_utf8_lossy(signature)),
    };
    Ok(signature.split_at(length))
}
