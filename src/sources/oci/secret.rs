//! Passwords and tokens: sent to those that they are for, and never shown.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::sources::token;

/// Something that is never shown.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// What a server says, in one line and not too long, without these: some servers repeat what they were sent.
pub(super) fn quote(text: &str, secrets: &[Secret]) -> String {
    let known = secrets.iter().filter(|secret| !secret.text().is_empty());
    let without = known.fold(text.to_owned(), |text, secret| text.replace(secret.text(), "(not shown)"));
    token::quote(&without, None)
}
