//! What a call of the runtime gave, and what a test expects of it.

use super::Value;
use std::cell::Cell;
use std::path::PathBuf;

pub struct Output {
    pub command: String,
    /// The exit code; 1000 plus the signal where a signal ended the runtime itself.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub(super) files: [PathBuf; 2],
    /// A test that asked for an exit code has said what it expects; otherwise success is expected.
    pub(super) code_expected: Cell<bool>,
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Output { command, code, stdout, stderr, .. } = self;
        write!(f, "\n{command}\nexit code {code}\n--- stdout:\n{stdout}\n--- stderr:\n{stderr}\n---")
    }
}

impl Output {
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code_is(0)
    }

    #[track_caller]
    pub fn code_is(self, code: i32) -> Self {
        self.code_expected.set(true);
        assert_eq!(self.code, code, "exit code: {self}");
        self
    }

    /// The runtime refused, in words, without having crashed.
    #[track_caller]
    pub fn fails(self) -> Self {
        self.code_expected.set(true);
        assert!(self.code != 0, "should have failed: {self}");
        // 255 is what `exec` fails with; 101 and signals are a crash.
        assert!(self.code < 128 && self.code != 101 || self.code == 255, "crashed or was killed: {self}");
        assert!(!self.stderr.contains("panicked at"), "panic: {self}");
        self
    }

    #[track_caller]
    fn expected(&self) {
        if !self.code_expected.get() {
            assert_eq!(self.code, 0, "exit code: {self}");
        }
    }

    /// Without the line end.
    #[track_caller]
    pub fn stdout_is(self, text: &str) -> Self {
        self.expected();
        assert_eq!(self.stdout.trim_end_matches('\n'), text, "stdout of {self}");
        self
    }

    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        self.expected();
        assert!(self.stdout.contains(text), "{text:?} is not in stdout: {self}");
        self
    }

    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Self {
        self.expected();
        assert!(!self.stdout.contains(text), "{text:?} is in stdout: {self}");
        self
    }

    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in stderr: {self}");
        self
    }

    /// Like `stderr_has`, for the words that only bolo chooses: other runtimes say it differently.
    #[track_caller]
    pub fn bolo_says(self, text: &str) -> Self {
        if super::peer::RUNTIME.name == "bolo" { self.stderr_has(text) } else { self }
    }

    #[track_caller]
    pub fn stderr_is_empty(self) -> Self {
        assert!(self.stderr.is_empty(), "stderr: {self}");
        self
    }

    /// Success, and what it printed.
    #[track_caller]
    pub fn text(self) -> String {
        self.expected();
        self.stdout.trim_end_matches('\n').to_owned()
    }

    #[track_caller]
    pub fn lines(self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn json(self) -> Value {
        self.expected();
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self}"))
    }
}
