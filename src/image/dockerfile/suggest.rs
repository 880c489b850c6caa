//! "Did you mean ...?"

/// How many edits away a word may be to be the one that was meant.
const DISTANCE_MAX: usize = 2;

/// The nearest of the words, where one is near; letter case is ignored and the case of `word` is kept.
pub fn nearest<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for option in options {
        let distance = distance(&lower, &option.to_lowercase());
        if distance == 0 {
            return None;
        }
        if distance <= DISTANCE_MAX && best.is_none_or(|(known, _)| distance < known) {
            best = Some((distance, option));
        }
    }
    let (_, option) = best?;
    Some(match word {
        _ if word == lower => option.to_lowercase(),
        _ if word == word.to_uppercase() => option.to_uppercase(),
        _ => option.to_owned(),
    })
}

/// ` (did you mean X?)`, or nothing.
pub fn hint<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, options).map(|word| format!(" (did you mean {word}?)")).unwrap_or_default()
}

/// Levenshtein's distance; anything above the limit for words that differ much in length.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > DISTANCE_MAX {
        return DISTANCE_MAX + 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_keeps_the_case_of_what_was_written() {
        let names = ["RUN", "COPY", "ADD"];
        assert_eq!(nearest("RUNN", names).as_deref(), Some("RUN"));
        assert_eq!(nearest("cpy", names).as_deref(), Some("copy"));
        assert_eq!(nearest("CHMOD", ["chmod", "chown"]), None);
        assert_eq!(nearest("XPOSED", ["expose"]).as_deref(), Some("EXPOSE"));
        assert_eq!(nearest("something", names), None);
        assert_eq!(hint("fron", ["from", "mount"]), " (did you mean from?)");
    }

    #[test]
    fn distances() {
        for (a, b, n) in [("", "", 0), ("", "ab", 2), ("kitten", "kittin", 1), ("abc", "cab", 2), ("abc", "xyz", 3)] {
            assert_eq!(distance(a, b), n, "{a} {b}");
        }
        assert!(distance("a", &"b".repeat(10)) > DISTANCE_MAX);
    }
}
