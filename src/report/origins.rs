//! Where the authorities that were trusted are from.

use std::collections::HashMap;

/// Where an authority is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Its URI, or what else it is called by.
    pub(crate) name: String,
    /// The first file that it is in.
    pub(crate) file: String,
}

/// Origins by the SHA-256 of the authority's certificate, hexadecimal.
pub(crate) type Origins = HashMap<String, Origin>;
