//! Algorithms of keys and signatures in certificates.
//!
//! What is supported is one list for every program; the code for P-521 and for ECDSA with SHA-512 is behind a feature, for those that
//! must be small and only ask whether others will believe a certificate.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::{
    asn1_rs::Oid,
    oid_registry as oids,
    prelude::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

use crate::der::{self, INTEGER, SEQUENCE};

/// The algorithm of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA over P-256.
    P256,
    /// ECDSA over P-384.
    P384,
    /// ECDSA over P-521.
    P521,
    /// RSA.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// Anything else, by its name, or else its object identifier; of a key on a curve, the curve's.
    Other(String),
}

impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl KeyAlgorithm {
    /// Whether signatures of such a key can be checked.
    pub fn is_supported(&self) -> bool {
        use KeyAlgorithm::{P256, P384, P521, Rsa};
        matches!(self, P256 | P384 | P521 | Rsa { bits: 2048..=8192 })
    }
}

/// The algorithm of a certificate's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256.
    EcdsaSha256,
    /// ecdsa-with-SHA384.
    EcdsaSha384,
    /// ecdsa-with-SHA512.
    EcdsaSha512,
    /// sha256WithRSAEncryption.
    RsaSha256,
    /// sha384WithRSAEncryption.
    RsaSha384,
    /// sha512WithRSAEncryption.
    RsaSha512,
    /// Anything else, by its name, or else its object identifier.
    Other(String),
}

impl std::fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EcdsaSha256 => "ECDSA-SHA256",
            Self::EcdsaSha384 => "ECDSA-SHA384",
            Self::EcdsaSha512 => "ECDSA-SHA512",
            Self::RsaSha256 => "RSA-SHA256",
            Self::RsaSha384 => "RSA-SHA384",
            Self::RsaSha512 => "RSA-SHA512",
            Self::Other(name) => name,
        })
    }
}

/// The parameters of an AlgorithmIdentifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameters {
    /// There are none.
    Absent,
    /// NULL.
    Null,
    /// Something else.
    Other,
}

impl SignatureAlgorithm {
    /// What an AlgorithmIdentifier names, by the content of its object identifier, if it is checked here.
    ///
    /// With RSA the parameters are NULL, and are read where they are missing (RFC 4055 5: "MUST accept"); with ECDSA there are
    /// none (RFC 5758 3.2).
    pub fn from_identifier(oid: &[u8], parameters: Parameters) -> Option<Self> {
        use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, EcdsaSha512, RsaSha256, RsaSha384, RsaSha512};
        let (algorithm, is_rsa) = match oid {
            b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => (EcdsaSha256, false),
            b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => (EcdsaSha384, false),
            b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => (EcdsaSha512, false),
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" => (RsaSha256, true),
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" => (RsaSha384, true),
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" => (RsaSha512, true),
            _ => return None,
        };
        let fits = parameters == Parameters::Absent || (is_rsa && parameters == Parameters::Null);
        fits.then_some(algorithm)
    }

    fn is_ecdsa(&self) -> bool {
        use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, EcdsaSha512};
        matches!(self, EcdsaSha256 | EcdsaSha384 | EcdsaSha512)
    }
}

/// What a signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    /// The key made it.
    Good,
    /// The key did not make it.
    Bad,
    /// No verifier checks such signatures.
    Unsupported,
}

/// Checks a signature. `key` is the content of the public key's BIT STRING; ECDSA signatures are DER.
pub(crate) fn verify(
    algorithm: &KeyAlgorithm,
    key: &[u8],
    signature_algorithm: &SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Verified {
    use KeyAlgorithm::{P256, P384, P521, Rsa};
    use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, EcdsaSha512, Other, RsaSha256, RsaSha384, RsaSha512};
    let by_ring: &dyn VerificationAlgorithm = match (algorithm, signature_algorithm) {
        (_, Other(_)) | (KeyAlgorithm::Other(_), _) => return Verified::Unsupported,
        // No key of the one kind makes signatures of the other.
        (P256 | P384 | P521, signature) if !signature.is_ecdsa() => return Verified::Bad,
        (Rsa { .. }, signature) if signature.is_ecdsa() => return Verified::Bad,
        (P256, EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (P256, EcdsaSha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (P384, EcdsaSha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (P384, EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (Rsa { bits: 2048..=8192 }, RsaSha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (Rsa { bits: 2048..=8192 }, RsaSha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (Rsa { bits: 2048..=8192 }, RsaSha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (P521, _) | (_, EcdsaSha512) => {
            return beyond_ring(algorithm, key, signature_algorithm, message, signature);
        }
        _ => return Verified::Unsupported,
    };
    match UnparsedPublicKey::new(by_ring, key).verify(message, signature) {
        Ok(()) => Verified::Good,
        Err(_) => Verified::Bad,
    }
}

/// A program without the code asks only whether others, which have it, will believe a certificate, and takes the word of the one that
/// gave it.
#[cfg(not(feature = "every-algorithm"))]
fn beyond_ring(_: &KeyAlgorithm, _: &[u8], _: &SignatureAlgorithm, _: &[u8], _: &[u8]) -> Verified {
    Verified::Good
}

/// P-521, and SHA-512 with the smaller curves, which use its leftmost bits (FIPS 186-5 6.4).
#[cfg(feature = "every-algorithm")]
fn beyond_ring(
    algorithm: &KeyAlgorithm,
    key: &[u8],
    signature_algorithm: &SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Verified {
    use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
    use ring::digest::{SHA256, SHA384, SHA512, digest};
    let hash = match signature_algorithm {
        SignatureAlgorithm::EcdsaSha256 => digest(&SHA256, message),
        SignatureAlgorithm::EcdsaSha384 => digest(&SHA384, message),
        _ => digest(&SHA512, message),
    };
    // The number that the digest stands for, in 64 bytes: the crate takes no digest below half the length of a P-521 scalar.
    let mut padded = [0; 64];
    padded[64 - hash.as_ref().len()..].copy_from_slice(hash.as_ref());
    macro_rules! is_good {
        ($curve:ident) => {{
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(key);
            let signature = $curve::ecdsa::Signature::from_der(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(&padded, &signature).is_ok())
        }};
    }
    let is_good = match algorithm {
        KeyAlgorithm::P256 => is_good!(p256),
        KeyAlgorithm::P384 => is_good!(p384),
        _ => is_good!(p521),
    };
    if is_good { Verified::Good } else { Verified::Bad }
}

pub(crate) fn of_key(spki: &SubjectPublicKeyInfo<'_>, key: &[u8]) -> KeyAlgorithm {
    let oid = &spki.algorithm.algorithm;
    if *oid == oids::OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let Some(curve) = curve else { return KeyAlgorithm::Other("EC with curve parameters".to_owned()) };
        let known = [
            (oids::OID_EC_P256, KeyAlgorithm::P256, 65),
            (oids::OID_NIST_EC_P384, KeyAlgorithm::P384, 97),
            (oids::OID_NIST_EC_P521, KeyAlgorithm::P521, 133),
        ];
        return match known.into_iter().find(|(oid, ..)| *oid == curve) {
            // Uncompressed points only (RFC 5480 2.2): 4, x, y.
            Some((_, algorithm, length)) if key.first() == Some(&4) && key.len() == length => algorithm,
            Some((_, algorithm, _)) => KeyAlgorithm::Other(format!("{algorithm} with a compressed point")),
            None => KeyAlgorithm::Other(name(&curve)),
        };
    }
    if *oid == oids::OID_PKCS1_RSAENCRYPTION {
        return match rsa_modulus_bits(key) {
            Some(bits) => KeyAlgorithm::Rsa { bits },
            None => KeyAlgorithm::Other("RSA with an unusual exponent".to_owned()),
        };
    }
    KeyAlgorithm::Other(name(oid))
}

pub(super) fn of_signature(algorithm: &AlgorithmIdentifier<'_>) -> SignatureAlgorithm {
    let parameters = match &algorithm.parameters {
        None => Parameters::Absent,
        Some(parameters) if parameters.clone().null().is_ok() => Parameters::Null,
        Some(_) => Parameters::Other,
    };
    let oid = &algorithm.algorithm;
    SignatureAlgorithm::from_identifier(oid.as_bytes(), parameters)
        .unwrap_or_else(|| SignatureAlgorithm::Other(name(oid)))
}

/// What people call it, for those that are met in practice.
pub(crate) fn name(oid: &Oid<'_>) -> String {
    let text = oid.to_id_string();
    let known = [
        ("1.2.840.113549.1.1.10", "RSA-PSS"),
        ("1.2.840.113549.1.1.5", "RSA-SHA1"),
        ("1.2.840.113549.1.1.4", "RSA-MD5"),
        ("1.2.840.10045.4.1", "ECDSA-SHA1"),
        ("1.2.840.10040.4.1", "DSA"),
        ("1.3.101.112", "Ed25519"),
        ("1.3.101.113", "Ed448"),
        ("1.3.132.0.10", "secp256k1"),
        ("1.3.132.0.33", "P-224"),
        ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
        ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
        ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
    ];
    known.iter().find(|(oid, _)| *oid == text).map_or(text, |(_, name)| (*name).to_owned())
}

/// Length of the modulus of an RSAPublicKey (RFC 8017 A.1.1) whose exponent is one that signatures are checked with: odd, of at
/// most 33 bits, and not 1.
fn rsa_modulus_bits(key: &[u8]) -> Option<usize> {
    let outer = der::read_only(key)?;
    let numbers = der::read_all(outer.content)?;
    let [modulus, exponent] = numbers.as_slice() else { return None };
    if outer.tag != SEQUENCE || modulus.tag != INTEGER || exponent.tag != INTEGER {
        return None;
    }
    let exponent = exponent
        .content
        .iter()
        .try_fold(0u64, |number, digit| (number < 1 << 33).then_some(number << 8 | u64::from(*digit)))?;
    if exponent < 3 || exponent % 2 == 0 || exponent >= 1 << 33 {
        return None;
    }
    let start = modulus.content.iter().position(|byte| *byte != 0)?;
    let (first, rest) = modulus.content[start..].split_first()?;
    usize::try_from(first.ilog2()).ok().map(|bits| rest.len() * 8 + bits + 1)
}
