//! The numbers of a tar header.

use crate::sys::tree::Time;

/// Octal digits between spaces and NULs (none: 0), or, where the first bit is set, a big-endian two's complement.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let end = field.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let digits = field.get(start..end)?.split(|byte| *byte == 0).next()?;
    digits.iter().try_fold(0i64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        number.checked_mul(8)?.checked_add(i64::from(digit))
    })
}

fn binary(field: &[u8]) -> Option<i64> {
    // The first bit is the mark, the second one is the sign.
    let negative = field.first()? & 0x40 != 0;
    let mut number: i128 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        number = (number << 8) | i128::from(byte);
    }
    i64::try_from(number).ok()
}

/// `1700000000.123456789`, as PAX writes it; digits below a nanosecond are dropped.
pub(super) fn time(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    if !whole.starts_with('-') || nanoseconds == 0 {
        return Some(Time { seconds, nanoseconds });
    }
    // -1.25 is -2 seconds and 0.75.
    Some(Time { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"644\0junk", Some(0o644)),
            (b"0000648\0", None),
            (b"-0000001", None),
        ] {
            assert_eq!(number(field), want, "{field:?}");
        }
    }

    #[test]
    fn binary_numbers_have_a_sign_and_must_fit() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(number(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn times() {
        let time_of = |text: &str| time(text.as_bytes()).map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(time_of("12"), Some((12, 0)));
        assert_eq!(time_of("12.5"), Some((12, 500_000_000)));
        assert_eq!(time_of("12.1234567899"), Some((12, 123_456_789)));
        assert_eq!(time_of("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time_of("-0.25"), Some((-1, 750_000_000)));
        assert_eq!((time_of("x"), time_of("1.-5"), time_of("")), (None, None, None));
    }
}
