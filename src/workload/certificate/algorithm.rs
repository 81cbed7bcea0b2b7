//! Algorithms of keys and signatures in certificates.

use ring::signature;
use x509_parser::oid_registry as oids;
use x509_parser::prelude::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::workload::der;

/// The algorithm of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA over P-256.
    P256,
    /// ECDSA over P-384.
    P384,
    /// RSA.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// Anything else, by its object identifier.
    Other(String),
}

impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyAlgorithm::P256 => f.write_str("P-256"),
            KeyAlgorithm::P384 => f.write_str("P-384"),
            KeyAlgorithm::Rsa { bits } => write!(f, "RSA-{bits}"),
            KeyAlgorithm::Other(oid) => f.write_str(oid),
        }
    }
}

impl KeyAlgorithm {
    /// Whether signatures of such a key can be checked here.
    pub fn is_supported(&self) -> bool {
        matches!(self, KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::Rsa { bits: 2048..=8192 })
    }
}

/// The algorithm of a certificate's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256.
    EcdsaSha256,
    /// ecdsa-with-SHA384.
    EcdsaSha384,
    /// sha256WithRSAEncryption.
    RsaSha256,
    /// sha384WithRSAEncryption.
    RsaSha384,
    /// sha512WithRSAEncryption.
    RsaSha512,
    /// Anything else, by its object identifier.
    Other(String),
}

impl std::fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SignatureAlgorithm::EcdsaSha256 => "ECDSA-SHA256",
            SignatureAlgorithm::EcdsaSha384 => "ECDSA-SHA384",
            SignatureAlgorithm::RsaSha256 => "RSA-SHA256",
            SignatureAlgorithm::RsaSha384 => "RSA-SHA384",
            SignatureAlgorithm::RsaSha512 => "RSA-SHA512",
            SignatureAlgorithm::Other(oid) => oid,
        })
    }
}

/// How a signature of this algorithm by a key of that one is checked, if it can be.
pub(super) fn verification(
    key: &KeyAlgorithm,
    signature: &SignatureAlgorithm,
) -> Option<&'static dyn signature::VerificationAlgorithm> {
    use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, RsaSha256, RsaSha384, RsaSha512};
    Some(match (key, signature) {
        (KeyAlgorithm::P256, EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (KeyAlgorithm::P256, EcdsaSha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (KeyAlgorithm::P384, EcdsaSha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (KeyAlgorithm::P384, EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (KeyAlgorithm::Rsa { bits: 2048..=8192 }, RsaSha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (KeyAlgorithm::Rsa { bits: 2048..=8192 }, RsaSha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (KeyAlgorithm::Rsa { bits: 2048..=8192 }, RsaSha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

pub(super) fn of_key(spki: &SubjectPublicKeyInfo<'_>, key: &[u8]) -> KeyAlgorithm {
    let oid = &spki.algorithm.algorithm;
    let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    // Uncompressed points only (RFC 5480 2.2): 4, x, y.
    if *oid == oids::OID_KEY_TYPE_EC_PUBLIC_KEY && key.first() == Some(&4) {
        if curve == Some(oids::OID_EC_P256) && key.len() == 65 {
            return KeyAlgorithm::P256;
        }
        if curve == Some(oids::OID_NIST_EC_P384) && key.len() == 97 {
            return KeyAlgorithm::P384;
        }
    }
    if *oid == oids::OID_PKCS1_RSAENCRYPTION
        && let Some(bits) = der::rsa_modulus_bits(key)
    {
        return KeyAlgorithm::Rsa { bits };
    }
    KeyAlgorithm::Other(oid.to_id_string())
}

pub(super) fn of_signature(algorithm: &AlgorithmIdentifier<'_>) -> SignatureAlgorithm {
    // RFC 5758 3.2: no parameters with ECDSA; RFC 4055 5: NULL with RSA.
    let bare = algorithm.parameters.is_none();
    let null = algorithm.parameters.as_ref().is_some_and(|parameters| parameters.clone().null().is_ok());
    let known = [
        (oids::OID_SIG_ECDSA_WITH_SHA256, bare, SignatureAlgorithm::EcdsaSha256),
        (oids::OID_SIG_ECDSA_WITH_SHA384, bare, SignatureAlgorithm::EcdsaSha384),
        (oids::OID_PKCS1_SHA256WITHRSA, null, SignatureAlgorithm::RsaSha256),
        (oids::OID_PKCS1_SHA384WITHRSA, null, SignatureAlgorithm::RsaSha384),
        (oids::OID_PKCS1_SHA512WITHRSA, null, SignatureAlgorithm::RsaSha512),
    ];
    match known.into_iter().find(|(oid, parameters, _)| *oid == algorithm.algorithm && *parameters) {
        Some((_, _, known)) => known,
        None => SignatureAlgorithm::Other(algorithm.algorithm.to_id_string()),
    }
}
