//! Durations as Go writes them: `1h15m30.918s`, `100ms`, `0`.

use crate::bail;
use crate::error::Result;

const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// More digits than any duration that fits has.
const DIGITS_MAX: usize = 18;

/// Nanoseconds.
pub fn parse(text: &str) -> Result<i64> {
    let Some(nanoseconds) = parse_checked(text) else {
        bail!("{text:?} is no duration; want numbers with units: 30s, 1m30s, 500ms");
    };
    Ok(nanoseconds)
}

fn parse_checked(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let unit_end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *scale)?)?;
        rest = next;
    }
    i64::try_from(total.checked_mul(sign)?).ok()
}

fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > DIGITS_MAX || fraction.contains('.') {
        return None;
    }
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
    let fraction = fraction.get(..DIGITS_MAX).unwrap_or(fraction);
    let below = parse(fraction)?.checked_mul(scale)? / 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    parse(whole)?.checked_mul(scale)?.checked_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_reads_them() {
        for (text, want) in [
            ("0", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("1h15m30.918s", Some(4_530_918_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("100ms", Some(100_000_000)),
            ("10us", Some(10_000)),
            ("10\u{b5}s", Some(10_000)),
            ("-3s", Some(-3_000_000_000)),
            ("+3s", Some(3_000_000_000)),
            ("9223372036854775807ns", None),
            ("922337203685477580ns", Some(922_337_203_685_477_580)),
            ("999999999999h", None),
            ("3", None),
            ("", None),
            ("-", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("3 s", None),
            ("3d", None),
            ("3S", None),
        ] {
            assert_eq!(parse(text).ok(), want, "{text:?}");
        }
    }
}
