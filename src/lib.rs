pub mod error;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
#[cfg(feature = "image")]
pub mod image;
pub mod runtime;
pub mod sys;
