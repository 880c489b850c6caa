//! The names that STOPSIGNAL may have.

use crate::bail;
use crate::error::Result;

/// Linux on all processors that images are made for; RTMIN and RTMAX take an offset.
const NAMES: [&str; 35] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN",
];
const HIGHEST: u32 = 64;
/// How far RTMIN+n and RTMAX-n can be apart.
const REALTIME: u32 = 30;

/// A number from 1, or a name with or without SIG, in any case.
pub fn check(text: &str) -> Result<()> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u32>() {
            Ok(1..=HIGHEST) => Ok(()),
            _ => bail!("{text:?} is no signal; want a name, or a number from 1 to {HIGHEST}"),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: &str| matches!(text.parse::<u32>(), Ok(0..=REALTIME));
    let realtime = name == "RTMAX"
        || name.strip_prefix("RTMIN+").is_some_and(offset)
        || name.strip_prefix("RTMAX-").is_some_and(offset);
    if !realtime && !NAMES.contains(&name) {
        bail!("{text:?} is no signal; want a name, or a number from 1 to {HIGHEST}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        for good in ["9", "SIGTERM", "term", "Sigkill", "SIGRTMIN+3", "RTMAX-14", "SIGRTMIN", "RTMAX", "64"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "0", "65", "-1", "SIG", "FOO", "RTMIN+31", "RTMIN-1", "TERM ", "99999999999"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
