//! Where the authorities that were trusted are from.

use std::{collections::HashMap, fmt};

use unixtime::UnixSeconds;

/// Where an authority is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorityOrigin {
    /// Its URI, or what else it is called by.
    pub(crate) name: String,
    /// The first file or address that it is from.
    pub(crate) file: String,
    /// When it was in a bundle, if a store has kept that.
    pub(crate) seen: Option<AuthoritySeen>,
}

impl AuthorityOrigin {
    /// Where it is from and when it was there, for people.
    pub(crate) fn place(&self) -> String {
        let seen = self.seen.map(|seen| format!(", {seen}")).unwrap_or_default();
        format!("{}{seen}", self.file)
    }
}

/// When an authority was in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthoritySeen {
    /// For the first time.
    pub(crate) first: UnixSeconds,
    /// For the last time.
    pub(crate) last: UnixSeconds,
}

impl fmt::Display for AuthoritySeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seen from {} to {}", self.first, self.last)
    }
}

/// Origins by the SHA-256 of the authority's certificate, hexadecimal.
pub(crate) type Origins = HashMap<String, AuthorityOrigin>;
