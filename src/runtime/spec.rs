//! config.json as the runtime specification defines it, for Linux.

pub mod seccomp;

use serde::Deserialize;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// JSON's null is as good as nothing, as it is for Go's decoder.
fn null_as_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}
