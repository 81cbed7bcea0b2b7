//! A public key by itself (RFC 5280 4.1.2.7, SubjectPublicKeyInfo), as `openssl pkey -pubout` writes it.

use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use crate::certificate::{KeyAlgorithm, SignatureAlgorithm, Verified, key_algorithm, verify_signature};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    bits: Vec<u8>,
}

/// Why bytes are not a public key that is of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not the DER of one SubjectPublicKeyInfo.
    #[error("it is not a public key (SubjectPublicKeyInfo in DER)")]
    Malformed,
    /// Of an algorithm that is not checked here.
    #[error(
        "it is a key of the algorithm {0}; keys on P-256, P-384 and P-521, and of RSA with 2048 to 8192 bits are of use"
    )]
    Unsupported(KeyAlgorithm),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    pub fn parse(der: &[u8]) -> Result<Self, PublicKeyError> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|_| PublicKeyError::Malformed)?;
        let bits = &spki.subject_public_key;
        if !rest.is_empty() || bits.unused_bits != 0 {
            return Err(PublicKeyError::Malformed);
        }
        let algorithm = key_algorithm(&spki, &bits.data);
        if !algorithm.is_supported() {
            return Err(PublicKeyError::Unsupported(algorithm));
        }
        Ok(Self { algorithm, bits: bits.data.to_vec() })
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> &KeyAlgorithm {
        &self.algorithm
    }

    /// The key itself: of a curve the uncompressed point, of RSA `RSAPublicKey` in DER.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Whether it made the signature over the SHA-256 of `message`; of ECDSA in DER, of RSA with PKCS #1 v1.5.
    pub fn made_with_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match self.algorithm {
            KeyAlgorithm::Rsa { .. } => SignatureAlgorithm::RsaSha256,
            _ => SignatureAlgorithm::EcdsaSha256,
        };
        verify_signature(&self.algorithm, &self.bits, &algorithm, message, signature) == Verified::Good
    }
}
