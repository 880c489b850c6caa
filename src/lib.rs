pub mod error;
#[cfg(feature = "image")]
pub mod image;
pub mod runtime;
pub mod sys;
