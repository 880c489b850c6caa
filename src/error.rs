//! One error type for both programs: what was being done (outermost first), the operating system's word where there
//! is one, and the exit code.
//!
//! Messages are lower case, verb and object, cause last: `open /b/config.json: no such file or directory`.

use nix::errno::Errno;
use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

pub struct Error {
    /// Innermost first, so that adding a context is a push.
    contexts: Vec<String>,
    errno: Option<Errno>,
    exit: u8,
}

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Error { contexts: vec![message.into()], errno: None, exit: 1 }
    }

    /// Says what else was going on: the outer part of the message.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.contexts.push(context.into());
        self
    }

    /// The exit code of the program when this error ends it; 1 where nobody says otherwise.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.exit = code;
        self
    }

    pub fn exit_code(&self) -> u8 {
        self.exit
    }

    pub fn errno(&self) -> Option<Errno> {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut parts = self.contexts.iter().rev();
        if let Some(first) = parts.next() {
            f.write_str(first)?;
        }
        for part in parts {
            write!(f, ": {part}")?;
        }
        match self.errno {
            Some(errno) if self.contexts.is_empty() => f.write_str(&errno_text(errno)),
            Some(errno) => write!(f, ": {}", errno_text(errno)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// The kernel's words as Go programs print them, because engines recognise errors by these texts.
pub fn errno_text(errno: Errno) -> String {
    let mut text = errno.desc().to_owned();
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    text
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Error { contexts: Vec::new(), errno: Some(errno), exit: 1 }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Errno::from_raw(number).into(),
            None => Error::new(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::new(error.to_string())
    }
}

/// `open(path).with(|| format!("open {path}"))?`
pub trait Context<T> {
    fn context(self, context: impl Into<String>) -> Result<T>;
    fn with<S: Into<String>>(self, context: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().context(context))
    }

    fn with<S: Into<String>>(self, context: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}

/// Returns from the function with an error made of a format string.
#[macro_export]
macro_rules! bail {
    ($($word:tt)*) => { return Err($crate::error::Error::new(format!($($word)*))) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outermost_context_first_and_the_kernels_word_last() {
        let error = Err::<(), _>(Errno::ENOENT).context("open config.json").context("bundle /b").unwrap_err();
        assert_eq!(error.to_string(), "bundle /b: open config.json: no such file or directory");
        assert_eq!(error.errno(), Some(Errno::ENOENT));
        assert_eq!(error.exit(255).exit_code(), 255);
    }

    #[test]
    fn an_error_without_context_is_the_errno_alone() {
        assert_eq!(Error::from(Errno::EPERM).to_string(), "operation not permitted");
    }
}
