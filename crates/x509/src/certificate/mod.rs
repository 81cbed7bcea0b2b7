//! One X.509 certificate, parsed once, and the rules of RFC 5280 for it by itself.
//!
//! The parser used underneath ignores bytes after the last field of a SEQUENCE, takes UTF-8 where ASCII is due and
//! returns the first of two extensions of one kind. All of that is refused here, so that a certificate has one reading.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

#[cfg(not(feature = "every-algorithm"))]
use algorithm::Verified;
use extensions::Extensions;
use unixtime::UnixSeconds;
use x509_parser::{
    asn1_rs::BitString,
    nom::Parser as _,
    prelude::{FromDer as _, X509CertificateParser, X509Name, X509Version},
};

use crate::{der, validity::Validity};

mod algorithm;
mod constraints;
mod error;
mod extensions;
mod fingerprint;
mod rules;
mod shape;

pub(crate) use algorithm::name as algorithm_name;
pub use algorithm::{KeyAlgorithm, Parameters, SignatureAlgorithm};
#[cfg(feature = "every-algorithm")]
pub(crate) use algorithm::{Verified, of_key as key_algorithm, verify as verify_signature};
pub use constraints::{NameConstraints, NameError};
pub use error::CertificateError;
pub use extensions::{ExtKeyUsages, KeyPurpose, KeyUsage};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use rules::{check_end_entity, check_issuer};

/// One certificate: its DER and what was read from it. A clone shares both.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

/// All else follows from the DER.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

struct Contents {
    der: Vec<u8>,
    /// SHA-256 of it, once it was asked for.
    digest: OnceLock<[u8; 32]>,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    public_key: Range<usize>,
    signature: Range<usize>,
    validity: Validity,
    algorithm: KeyAlgorithm,
    signature_algorithm: SignatureAlgorithm,
    extensions: Extensions,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({:?}, {} bytes)", self.0.extensions.uris, self.0.der.len())
    }
}

/// A certificate of an RSA-8192 key has some 3000 bytes, and what is done for its extensions grows with their square.
const MAX_BYTES: usize = 64 << 10;

/// Longer than the name of any certificate that a person has made.
const MAX_LABEL: usize = 200;

const fn malformed(what: &'static str) -> CertificateError {
    CertificateError::Malformed { what }
}

impl Certificate {
    /// Parses the DER of exactly one certificate.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (certificate, rest) = Self::parse_first(der)?;
        if rest.is_empty() { Ok(certificate) } else { Err(CertificateError::Trailing { bytes: rest.len() }) }
    }

    fn parse_first(input: &[u8]) -> Result<(Self, &[u8]), CertificateError> {
        let (shape, rest) = shape::read(input).ok_or(malformed("it is not a SEQUENCE of three fields"))?;
        let der = shape.whole;
        if der.len() > MAX_BYTES {
            return Err(CertificateError::TooLarge { bytes: der.len() });
        }
        let (_, parsed) = X509CertificateParser::new()
            .with_deep_parse_extensions(false)
            .parse(der)
            .map_err(|_| malformed("its fields are not those of RFC 5280"))?;
        let tbs = &parsed.tbs_certificate;
        if tbs.as_ref() != shape.tbs || parsed.as_raw() != der {
            return Err(malformed("bytes follow the last field"));
        }
        // RFC 5280 4.1.1.2. By their bytes: the one outside is not signed.
        if shape.algorithm != shape.signed_algorithm {
            return Err(malformed("it states two signature algorithms"));
        }
        if tbs.version != X509Version::V3 {
            return Err(malformed("it is not of version 3"));
        }
        let signature = whole_bytes(&parsed.signature_value).ok_or(malformed("the signature"))?;
        let public_key =
            whole_bytes(&tbs.subject_pki.subject_public_key).ok_or(malformed("the public key"))?;
        let within = |part: &[u8], what| range_in(der, part).ok_or(malformed(what));
        let contents = Contents {
            tbs: within(shape.tbs, "the signed part")?,
            serial: within(tbs.raw_serial(), "the serial number")?,
            issuer: within(tbs.issuer().as_raw(), "the issuer")?,
            subject: within(tbs.subject().as_raw(), "the subject")?,
            spki: within(tbs.subject_pki.raw, "the public key")?,
            public_key: within(public_key, "the public key")?,
            signature: within(signature, "the signature")?,
            validity: Validity {
                not_before: UnixSeconds::new(tbs.validity.not_before.timestamp()),
                not_after: UnixSeconds::new(tbs.validity.not_after.timestamp()),
            },
            algorithm: algorithm::of_key(&tbs.subject_pki, public_key),
            signature_algorithm: algorithm::of_signature(&parsed.signature_algorithm),
            extensions: Extensions::read(tbs.extensions())?,
            der: der.to_vec(),
            digest: OnceLock::new(),
        };
        Ok((Self(Arc::new(contents)), rest))
    }

    /// The whole certificate.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The part that is signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.0.der[self.0.tbs.clone()]
    }

    /// Content of the serial number's INTEGER.
    pub fn serial(&self) -> &[u8] {
        &self.0.der[self.0.serial.clone()]
    }

    /// The issuer's name.
    pub fn issuer_der(&self) -> &[u8] {
        &self.0.der[self.0.issuer.clone()]
    }

    /// The subject's name.
    pub fn subject_der(&self) -> &[u8] {
        &self.0.der[self.0.subject.clone()]
    }

    /// SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.der[self.0.spki.clone()]
    }

    /// Content of the public key's BIT STRING: an uncompressed point, or the DER of RSAPublicKey.
    pub fn public_key_bits(&self) -> &[u8] {
        &self.0.der[self.0.public_key.clone()]
    }

    /// Content of the signature's BIT STRING.
    pub fn signature(&self) -> &[u8] {
        &self.0.der[self.0.signature.clone()]
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// Algorithm of the public key.
    pub fn algorithm(&self) -> &KeyAlgorithm {
        &self.0.algorithm
    }

    /// Algorithm of the signature.
    pub fn signature_algorithm(&self) -> &SignatureAlgorithm {
        &self.0.signature_algorithm
    }

    /// Subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// Key identifier of the authority key identifier extension.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }

    /// URI subject alternative names, in order.
    pub fn uri_sans(&self) -> &[String] {
        &self.0.extensions.uris
    }

    /// DNS subject alternative names, in order.
    pub fn dns_sans(&self) -> &[String] {
        &self.0.extensions.dns
    }

    /// Whether the subject alternative names are critical.
    pub fn san_critical(&self) -> bool {
        self.0.extensions.san_critical
    }

    /// Whether it is a CA.
    pub fn is_ca(&self) -> bool {
        self.0.extensions.is_ca
    }

    /// How many intermediate CAs may follow it.
    pub fn path_len(&self) -> Option<u32> {
        self.0.extensions.path_len
    }

    /// Key usage.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// Extended key usage.
    pub fn ext_key_usages(&self) -> Option<ExtKeyUsages> {
        self.0.extensions.ext_key_usages
    }

    /// Name constraints.
    pub fn name_constraints(&self) -> Option<&NameConstraints> {
        self.0.extensions.name_constraints.as_deref()
    }

    /// Whether subject and issuer are one name: a self-signed certificate, or one CA's new key signed with its old one
    /// (RFC 5280 3.2, 6.1).
    pub fn is_self_issued(&self) -> bool {
        self.subject_der() == self.issuer_der()
    }

    /// For people: the subject and the URI that says whose it is, at most 200 characters of it. Whatever could steer a terminal
    /// is escaped.
    pub fn label(&self) -> String {
        let subject = match X509Name::from_der(self.subject_der()) {
            Ok((_, name)) if self.subject_der() != der::EMPTY_SEQUENCE => name.to_string(),
            _ => "no subject".to_owned(),
        };
        let label = match self.uri_sans() {
            [] => subject,
            [uri, ..] => format!("{subject} ({uri})"),
        };
        let mut plain = String::new();
        for character in label.chars().take(MAX_LABEL) {
            match character {
                '\'' | '"' => plain.push(character),
                other => plain.extend(other.escape_debug()),
            }
        }
        if label.chars().nth(MAX_LABEL).is_some() {
            plain.push('…');
        }
        plain
    }

    /// Checks that `issuer` is named as issuer and that its key made the signature (RFC 5280 6.1.3 a 1 and 4).
    pub fn verify_signed_by(&self, issuer: &Self) -> Result<(), CertificateError> {
        if self.issuer_der() != issuer.subject_der() {
            return Err(CertificateError::OtherIssuer);
        }
        issuer.verify_signature(&self.0.signature_algorithm, self.tbs_der(), self.signature())
    }

    /// Checks that this certificate's key made the signature over `message`; of ECDSA in DER.
    pub fn verify_signature(
        &self,
        algorithm: &SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let Contents { algorithm: key, .. } = &*self.0;
        match algorithm::verify(key, self.public_key_bits(), algorithm, message, signature) {
            Verified::Good => Ok(()),
            Verified::Bad => Err(CertificateError::BadSignature),
            Verified::Unsupported => {
                let (signature, key) = (algorithm.to_string(), key.to_string());
                Err(CertificateError::Unsupported { signature, key })
            }
        }
    }
}

/// Parses certificates that follow each other without a gap. Zero certificates are an empty list.
pub fn parse_concatenated(der: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut rest = der;
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        let (certificate, behind) = Certificate::parse_first(rest)?;
        certificates.push(certificate);
        rest = behind;
    }
    Ok(certificates)
}

/// The bytes of a BIT STRING, which must be whole ones.
fn whole_bytes<'a>(bits: &'a BitString<'_>) -> Option<&'a [u8]> {
    (bits.unused_bits == 0).then_some(bits.data.as_ref())
}

/// Where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let range = start..start.checked_add(part.len())?;
    (whole.get(range.clone())? == part).then_some(range)
}
