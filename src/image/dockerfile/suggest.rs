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
        // Half of a short word is another word.
        let near = distance <= DISTANCE_MAX && 2 * distance < lower.chars().count();
        if near && best.is_none_or(|(known, _)| distance < known) {
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

/// How many letters were added, left out, replaced or swapped with their neighbour; anything above the limit for words
/// that differ much in length.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > DISTANCE_MAX {
        return DISTANCE_MAX + 1;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let at = |rows: &[Vec<usize>], i: usize, j: usize| rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(i + j);
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&rows, i, j) + usize::from(x != y);
            let left = row.last().copied().unwrap_or_default() + 1;
            let mut best = replaced.min(left).min(at(&rows, i, j + 1) + 1);
            let before = i.checked_sub(1).zip(j.checked_sub(1));
            if let Some((p, q)) = before.filter(|(p, q)| a.get(*p) == Some(y) && b.get(*q) == Some(x)) {
                best = best.min(at(&rows, p, q) + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    at(&rows, a.len(), b.len())
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
        assert_eq!(nearest("NOPE", names), None);
        assert_eq!(hint("fron", ["from", "mount"]), " (did you mean from?)");
    }

    #[test]
    fn distances() {
        for (a, b, n) in [
            ("", "", 0),
            ("", "ab", 2),
            ("kitten", "kittin", 1),
            ("abc", "cab", 2),
            ("abc", "xyz", 3),
            ("chwon", "chown", 1),
        ] {
            assert_eq!(distance(a, b), n, "{a} {b}");
        }
        assert!(distance("a", &"b".repeat(10)) > DISTANCE_MAX);
    }
}
