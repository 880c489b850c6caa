//! Lists of numbers, as config.json has them for CPUs and memory nodes.

use crate::bail;
use crate::error::Result;

/// More nodes or CPUs than any kernel is built for.
const LIST_MAX: usize = 8192;

/// "0-3,7" as bits (cpuset(7), "List format").
pub fn bits(text: &str, field: &str) -> Result<Vec<u64>> {
    let mut bits = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>()) else {
            bail!("{field}: {part:?} is no number and no range like 0-3");
        };
        if first > last || last >= LIST_MAX {
            bail!("{field}: {part:?} is no range below {LIST_MAX}");
        }
        bits.resize(bits.len().max(last / 64 + 1), 0u64);
        for bit in first..=last {
            if let Some(word) = bits.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges() {
        assert_eq!(bits("0-3,7", "x").unwrap(), [0b1000_1111]);
        assert_eq!(bits(" 64 , 0 ", "x").unwrap(), [1, 1]);
        assert_eq!(bits("", "x").unwrap(), [0; 0]);
        for (text, why) in
            [("a", "no number"), ("3-1", "no range below"), ("8192", "no range below"), ("1-", "no number")]
        {
            assert!(bits(text, "x").unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
