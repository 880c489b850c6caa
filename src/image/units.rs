//! Sizes and times as people read them, in docker's words.

const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// `72.8MB`: three digits that count, and thousands, not 1024s.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be rounded up to a thousand is one of the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let mut text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + UNITS[unit]
}

/// `1.5MiB`: four digits that count, and 1024s.
pub fn binary(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let whole = (value as u64).to_string().len();
    let decimals = 4usize.saturating_sub(whole);
    let mut text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + UNITS[unit]
}

/// `About an hour`, `3 weeks`.
pub fn duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    // Up to this many seconds, said by this unit: two of a unit are still told in the smaller one.
    const STEPS: [(i64, i64, &str); 6] = [
        (MINUTE, 1, "seconds"),
        (HOUR, MINUTE, "minutes"),
        (2 * DAY, HOUR, "hours"),
        (14 * DAY, DAY, "days"),
        (60 * DAY, 7 * DAY, "weeks"),
        (730 * DAY, 30 * DAY, "months"),
    ];
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        60..120 => "About a minute".to_owned(),
        3600..5400 => "About an hour".to_owned(),
        _ => {
            let (unit, word) = STEPS
                .iter()
                .find(|(below, ..)| seconds < *below)
                .map_or((365 * DAY, "years"), |(_, unit, word)| (*unit, *word));
            let half = if unit == HOUR { HOUR / 2 } else { 0 };
            format!("{} {word}", seconds.saturating_add(half) / unit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1234, "1.23kB"),
            (72_800_000, "72.8MB"),
            (999_949, "1MB"),
            (120_000_000, "120MB"),
            (1_500_000_000, "1.5GB"),
            (u64::MAX, "18447PB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn four_digits_and_a_binary_unit() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (64 << 20, "64MiB"), (12_345_678, "11.77MiB")]
        {
            assert_eq!(binary(bytes), text);
        }
    }

    #[test]
    fn durations_in_words() {
        for (seconds, text) in [
            (-5, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (120, "2 minutes"),
            (4000, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (15 * 86400, "2 weeks"),
            (61 * 86400, "2 months"),
            (731 * 86400, "2 years"),
            (i64::MAX, "292471208677 years"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
