//! `null` as Go reads it.

use serde::{Deserialize, Deserializer};

/// Go writes an empty list as `null` where a field has no `omitempty`, and reads `null` as nothing.
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
