//! Signals by name and number, as the user writes them (signal(7)).

use crate::bail;
use crate::error::Result;

const NAMES: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];
pub const INT: i32 = 2;
pub const HUP: i32 = 1;
pub const KILL: i32 = 9;
pub const TERM: i32 = 15;
pub const CHLD: i32 = 17;
pub const CONT: i32 = 18;
pub const PIPE: i32 = 13;
pub const URG: i32 = 23;
pub const WINCH: i32 = 28;
/// As programs see them: the C library keeps the first two of the kernel's for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`.
pub fn parse(text: &str) -> Result<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |base: i32, offset: &str| -> Option<i32> {
        if offset.is_empty() { Some(base) } else { base.checked_add(offset.parse().ok()?) }
    };
    let number = if let Some(offset) = name.strip_prefix("RTMIN") {
        real_time(RTMIN, offset).filter(|number| *number >= RTMIN)
    } else if let Some(offset) = name.strip_prefix("RTMAX") {
        real_time(RTMAX, offset)
    } else if let Ok(number) = name.parse() {
        Some(number)
    } else {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    };
    match number {
        Some(number) if (1..=RTMAX).contains(&number) => Ok(number),
        _ => bail!("signal {text:?}: want a name such as TERM or a number from 1 to {RTMAX}"),
    }
}

/// `SIGTERM`
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => format!("SIG{name}"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("1", 1),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in ["", "0", "65", "-1", "SIG", "TERMX", "RTMIN+31", "RTMIN-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(name(15), "SIGTERM");
    }
}
