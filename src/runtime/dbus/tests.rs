use super::message::{self, Kind};
use super::*;

const METHOD: Method<'static> = Method { destination: "a.b", path: "/a", interface: "a.b", member: "M" };

/// What a call looks like on the wire, read back: a call and a signal differ in one byte.
fn there_and_back(arguments: &[Value]) -> message::Message {
    let mut bytes = message::call(METHOD, arguments, 7, true, false);
    assert_eq!(message::length(&bytes).unwrap(), Some(bytes.len()));
    assert_eq!(message::length(&bytes[..15]).unwrap(), None);
    bytes[1] = 4;
    message::read(&bytes).unwrap()
}

#[test]
fn values_come_back_as_they_went() {
    let property = |name: &str, value: Value| Value::Struct(vec![Value::String(name.to_owned()), value.variant()]);
    let properties = vec![
        property("PIDs", Value::Array("u".to_owned(), vec![Value::Uint32(42)])),
        property("Slice", Value::String("a.slice".to_owned())),
        property("MemoryMax", Value::Uint64(u64::MAX)),
        property("Delegate", Value::Bool(true)),
        property("AllowedCPUs", Value::Array("y".to_owned(), vec![Value::Byte(5)])),
        property("DeviceAllow", Value::Array("(ss)".to_owned(), Vec::new())),
        property("Double", Value::Double(0.5)),
    ];
    let arguments =
        [Value::Byte(1), Value::Array("(sv)".to_owned(), properties), Value::Int16(-3), Value::Path("/x".to_owned())];
    let message = there_and_back(&arguments);
    assert_eq!(message.kind, Kind::Signal);
    assert_eq!(message.member, "M");
    assert_eq!(message.body, arguments);
}

/// The example that everybody's first packet is: bytes written down by hand from the specification.
#[test]
fn bytes_of_a_call() {
    let bytes = message::call(METHOD, &[Value::Uint16(1), Value::String("é".to_owned())], 1, true, true);
    let mut expected = b"l\x01\0\x01\x0b\0\0\0\x01\0\0\0".to_vec();
    let fields: &[u8] = b"\x01\x01o\0\x02\0\0\0/a\0\0\0\0\0\0\x02\x01s\0\x03\0\0\0a.b\0\0\0\0\0\
        \x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0\x08\x01g\0\x02qs\0";
    expected.extend((fields.len() as u32).to_le_bytes());
    expected.extend(fields);
    expected.resize(expected.len().next_multiple_of(8), 0);
    expected.extend(b"\x01\0\0\0\x02\0\0\0\xc3\xa9\0");
    assert_eq!(bytes, expected);
}

#[test]
fn broken_messages_are_errors() {
    let arguments = [Value::strings(vec!["x".to_owned(), "yy".to_owned()]), Value::Uint64(1).variant()];
    let whole = message::call(METHOD, &arguments, 1, true, false);
    for length in 0..whole.len() {
        assert!(message::read(&whole[..length]).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for byte in [0, 1, b'a', b'(', b'v', 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            // An error or a message: no panic, no endless loop.
            let _ = message::read(&bytes);
            let _ = message::length(&bytes);
        }
    }
}

#[test]
fn text_of_values() {
    let string = |text: &str| Value::String(text.to_owned());
    for (text, value) in [
        ("true", Value::Bool(true)),
        ("-5", Value::Int32(-5)),
        ("1.5", Value::Double(1.5)),
        ("uint64 1000000", Value::Uint64(1_000_000)),
        ("byte 0x41", Value::Byte(0x41)),
        ("'it\\'s'", string("it's")),
        (" \"x\" ", string("x")),
        ("@s 'x'", string("x")),
        ("['a', \"b\"]", Value::strings(vec!["a".to_owned(), "b".to_owned()])),
        ("@as []", Value::strings(Vec::new())),
        ("[uint32 1, 2]", Value::Array("u".to_owned(), vec![Value::Uint32(1), Value::Uint32(2)])),
        (
            "@a(st) [('/x', 9)]",
            Value::Array("(st)".to_owned(), vec![Value::Struct(vec![string("/x"), Value::Uint64(9)])]),
        ),
        ("('a', <true>)", Value::Struct(vec![string("a"), Value::Bool(true).variant()])),
    ] {
        assert_eq!(parse_text(text).map_err(|error| format!("{text}: {error}")), Ok(value), "{text}");
    }
    for text in
        ["", "[]", "[1, 'a']", "'x", "uint32 -1", "byte 256", "true false", "(1", "<1", "@", "inf x", "[[[[[[[[[[1"]
    {
        assert!(parse_text(text).is_err(), "{text}");
    }
}

#[test]
fn escapes_of_addresses() {
    assert_eq!(unescape("/run/%75ser%2f1%zz%"), "/run/user/1%zz%");
    for address in ["", "tcp:host=x", "unix:", "unix:path=/nowhere/at/all"] {
        assert!(Bus::connect(address).is_err(), "{address}");
    }
}
