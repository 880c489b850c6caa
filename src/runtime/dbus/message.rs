//! Messages ("Message Format" of the specification): a header of 16 bytes, an array of header fields, the body.

use super::Method;
use super::value::{Reader, Value, pad};
use crate::bail;
use crate::error::Result;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
const NO_REPLY_EXPECTED: u8 = 1;
const VERSION: u8 = 1;
const HEADER: usize = 16;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    Signal,
    /// A call: nobody has reason to make one to us.
    Other,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) reply_to: u32,
    pub(super) member: String,
    pub(super) error: String,
    pub(super) body: Vec<Value>,
}

pub(super) fn call(method: Method, arguments: &[Value], serial: u32, answer: bool, direct: bool) -> Vec<u8> {
    let mut body = Vec::new();
    arguments.iter().for_each(|argument| argument.write(&mut body));
    let text = |text: &str| Value::String(text.to_owned());
    let mut fields = vec![
        (PATH, Value::Path(method.path.to_owned())),
        (INTERFACE, text(method.interface)),
        (MEMBER, text(method.member)),
    ];
    if !direct {
        fields.push((DESTINATION, text(method.destination)));
    }
    if !arguments.is_empty() {
        fields.push((SIGNATURE, Value::Signature(arguments.iter().map(Value::signature).collect())));
    }
    let flags = if answer { 0 } else { NO_REPLY_EXPECTED };
    let mut bytes = vec![b'l', METHOD_CALL, flags, VERSION];
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(serial.to_le_bytes());
    let fields = fields.into_iter().map(|(code, value)| Value::Struct(vec![Value::Byte(code), value.variant()]));
    Value::Array("(yv)".to_owned(), fields.collect()).write(&mut bytes);
    pad(&mut bytes, 8);
    bytes.extend(body);
    bytes
}

/// How long the message is that `bytes` begins with. None: more bytes are needed to know.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(header) = bytes.get(..HEADER) else { return Ok(None) };
    let mut reader = Reader { bytes: header, at: 4, big_endian: is_big_endian(header)? };
    let body = reader.number::<4>()? as usize;
    reader.number::<4>()?;
    let fields = reader.number::<4>()? as usize;
    Ok(Some(HEADER.saturating_add(fields).next_multiple_of(8).saturating_add(body)))
}

fn is_big_endian(bytes: &[u8]) -> Result<bool> {
    match bytes.first() {
        Some(b'l') => Ok(false),
        Some(b'B') => Ok(true),
        _ => bail!("what the bus sends is no D-Bus message"),
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Message> {
    let mut reader = Reader { bytes, at: 0, big_endian: is_big_endian(bytes)? };
    let start = reader.read_all("yyyyuua(yv)")?;
    reader.align(8)?;
    let kind = match start.get(1) {
        Some(Value::Byte(METHOD_RETURN)) => Kind::Return,
        Some(Value::Byte(ERROR)) => Kind::Error,
        Some(Value::Byte(SIGNAL)) => Kind::Signal,
        _ => Kind::Other,
    };
    let mut message = Message { kind, reply_to: 0, member: String::new(), error: String::new(), body: Vec::new() };
    let mut signature = String::new();
    let Some(Value::Array(_, fields)) = start.into_iter().nth(6) else { return Ok(message) };
    for field in fields {
        let Value::Struct(mut pair) = field else { continue };
        let (Some(Value::Variant(value)), Some(Value::Byte(code))) = (pair.pop(), pair.pop()) else { continue };
        match (code, *value) {
            (MEMBER, Value::String(text)) => message.member = text,
            (ERROR_NAME, Value::String(text)) => message.error = text,
            (REPLY_SERIAL, Value::Uint32(serial)) => message.reply_to = serial,
            (SIGNATURE, Value::Signature(text)) => signature = text,
            _ => {}
        }
    }
    message.body = reader_for_body(bytes, reader.at, reader.big_endian).read_all(&signature)?;
    Ok(message)
}

/// Alignment in the body counts from its start, which is aligned to 8 already.
fn reader_for_body(bytes: &[u8], at: usize, big_endian: bool) -> Reader<'_> {
    Reader { bytes: bytes.get(at..).unwrap_or_default(), at: 0, big_endian }
}
