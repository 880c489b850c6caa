//! What a program says at its end, after it has told how far it came.

use super::kit::Output;

pub trait LastWords {
    /// Fails, and the last line has all these words.
    fn gives_up(self, words: &[&str]) -> Output;
}

impl LastWords for Output {
    #[track_caller]
    fn gives_up(self, words: &[&str]) -> Output {
        assert_ne!(self.code, 0, "{self:#?}");
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("forno: "), "{self:#?}");
        for word in words {
            assert!(last.contains(word), "no {word:?} in {self:#?}");
        }
        self
    }
}
