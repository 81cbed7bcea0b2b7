//! Digests of content in a registry (OCI image-spec `descriptor.md`, "Digests"). Only SHA-256: it is what Tekton Chains records, and
//! what tools that write attestations use.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, digest};

/// A SHA-256 digest, `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

/// Why a text is not a digest that is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest of the form sha256: and 64 lower-case hexadecimal digits")]
pub struct DigestError(String);

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(is_hex) => Ok(Self(hex.to_owned())),
            _ => Err(DigestError(text.chars().take(100).collect())),
        }
    }
}

impl Digest {
    /// The digest of this content.
    pub(super) fn of(content: &[u8]) -> Self {
        let bytes = digest(&SHA256, content);
        Self(bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its 64 digits.
    pub(super) fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}
