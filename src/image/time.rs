//! Points in time as images write them: RFC 3339.

use crate::bail;
use crate::error::Result;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// Seconds since the epoch.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// $SOURCE_DATE_EPOCH: what the time is for whoever wants the same bytes twice.
pub fn source_date_epoch() -> Result<Option<i64>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match text.to_str().and_then(|text| text.parse::<i64>().ok()).filter(|epoch| *epoch >= 0) {
        Some(epoch) => Ok(Some(epoch)),
        None => bail!("SOURCE_DATE_EPOCH is {text:?}, want seconds since 1970"),
    }
}

/// `2024-02-29T12:00:00Z`
pub fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let (hour, minute, second) = clock(seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2024-02-29 12:00:00 +0000 UTC`: how Go prints a time, and so how docker's lists do.
pub fn printed(seconds: i64) -> String {
    rfc3339(seconds).replace('T', " ").replace('Z', " +0000 UTC")
}

/// Seconds since the epoch of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers write (RFC 9110, 5.6.7).
pub fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let [day, month, year, clock, "GMT"] = date.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    parse_rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

/// Seconds since the epoch of `2024-02-29T12:00:00.123456789+02:00`.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(zone)?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let in_range = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        // A leap second.
        && second <= 60;
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, zone) => {
            let (hours, minutes) = zone.split_once(':')?;
            let minutes = number(hours)? * 60 + number(minutes)?;
            if sign == "-" { -minutes * 60 } else { minutes * 60 }
        }
    };
    in_range.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset)
}

/// Seconds since the epoch of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
pub fn parse_http(text: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let at = MONTHS.find(month).filter(|at| month.len() == 3 && at % 3 == 0)?;
    parse_rfc3339(&format!("{year}-{}-{day}T{time}Z", at / 3 + 1))
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn clock(seconds: i64) -> (i64, i64, i64) {
    let second = seconds.rem_euclid(DAY);
    (second / 3600, second / 60 % 60, second % 60)
}

/// Days since 1970 of a date in the Gregorian calendar. Years begin in March here, so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The date of a day since 1970.
fn civil(day: i64) -> (i64, i64, i64) {
    // The average year is the first guess, and never more than one off.
    let mut year = (day.saturating_add(719_468)).div_euclid(146_097) * 400
        + (day.saturating_add(719_468)).rem_euclid(146_097) * 400 / 146_097;
    while days(year + 1, 3, 1) <= day {
        year += 1;
    }
    while days(year, 3, 1) > day {
        year -= 1;
    }
    let day_of_year = day - days(year, 3, 1);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dates_of_http_are_read() {
        assert_eq!(parse_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for text in ["", "Sun, 06 anF 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT"] {
            assert_eq!(parse_http(text), None, "{text}");
        }
    }

    #[test]
    fn there_and_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(parse_rfc3339(text), Some(seconds));
        }
        for day in -200_000..200_000 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }

    #[test]
    fn fractions_and_zones_are_understood() {
        assert_eq!(parse_rfc3339("1970-01-01T02:00:00.999999999+02:00"), Some(0));
        assert_eq!(parse_rfc3339("1969-12-31T22:30:00-01:30"), Some(0));
        assert_eq!(printed(0), "1970-01-01 00:00:00 +0000 UTC");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "1970",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00Z",
            "x-01-01T00:00:00Z",
            "1970-01-01T00:00:00Q",
            "1970-01-01T00:00:00+1",
            "1970-01-01T25:00:00Z",
            "é",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
