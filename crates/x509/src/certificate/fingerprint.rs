//! The SHA-256 of a certificate, by which an operator names it.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::Certificate;
use crate::{digest::sha256, text::hex};

/// SHA-256 of a certificate's DER, as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Fingerprint([u8; 32]);

/// Why a text is not a [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the SHA-256 of a certificate, which is 64 hexadecimal digits: `openssl x509 -in FILE -noout -fingerprint -sha256`"
)]
pub struct FingerprintError;

impl Fingerprint {
    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Certificate {
    /// The SHA-256 of its DER.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(*self.0.digest.get_or_init(|| sha256(self.der())))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Digits of any case, with or without colons between the bytes.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let joined: String = match text.len() {
            95 => text.split(':').filter(|byte| byte.len() == 2).collect(),
            _ => text.to_owned(),
        };
        let mut digest = [0; 32];
        if joined.len() != 64 || !joined.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(FingerprintError);
        }
        for (i, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&joined[2 * i..2 * i + 2], 16).map_err(|_| FingerprintError)?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}
