//! Why a certificate is refused.

use super::MAX_BYTES;
use crate::workload::class::{Class, class_of};
use crate::workload::id::IdError;

/// Why a certificate is refused. [`CertificateError::code`] is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the DER of one certificate.
    #[error("not a certificate in DER: {what}")]
    Malformed {
        /// The field that cannot be read.
        what: &'static str,
    },
    /// Larger than any certificate: the work it could cause is bounded so.
    #[error("the certificate has {bytes} bytes, at most {MAX_BYTES} are accepted")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// More bytes than the certificate.
    #[error("{bytes} bytes follow the certificate")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// RFC 5280 4.2: one extension of each kind.
    #[error("the certificate carries the extension {oid} twice")]
    DuplicateExtension {
        /// The extension.
        oid: String,
    },
    /// RFC 5280 4.2: a critical extension that is not understood makes the certificate unusable. Key identifiers must not
    /// be critical (4.2.1.1, 4.2.1.2).
    #[error(
        "the certificate carries the critical extension {oid}, whose meaning as a critical one is not known here"
    )]
    CriticalExtension {
        /// The extension.
        oid: String,
    },
    /// X509-SVID 2 and 5.2: exactly one URI SAN.
    #[error("an X509-SVID has exactly one URI as subject alternative name, this certificate has {count}")]
    UriCount {
        /// How many.
        count: usize,
    },
    /// X509-SVID 2: the URI is a SPIFFE ID.
    #[error("the certificate's URI is not a SPIFFE ID: {0}")]
    Id(#[from] IdError),
    /// X509-SVID 3.1 and 5.2: a leaf's ID has a path.
    #[error("the certificate's SPIFFE ID {id} has no path: it names a trust domain, not a workload")]
    RootPath {
        /// The ID.
        id: String,
    },
    /// X509-SVID 3.1: without a subject the SAN extension is critical.
    #[error("the certificate has no subject and its subject alternative names are not marked critical")]
    SanNotCritical,
    /// X509-SVID 4.1 and 5.2: a leaf is no CA.
    #[error("the certificate is a CA (basic constraints), so it cannot be a workload's identity")]
    LeafIsCa,
    /// X509-SVID 4.3: key usage is present.
    #[error("the certificate has no key usage extension")]
    KeyUsageMissing,
    /// X509-SVID 4.3: key usage is critical.
    #[error("the certificate's key usage is not marked critical")]
    KeyUsageNotCritical,
    /// X509-SVID 4.3: a leaf's key signs data.
    #[error("the certificate's key usage lacks digitalSignature")]
    NoDigitalSignature,
    /// X509-SVID 4.3 and 5.2: a leaf's key signs neither certificates nor CRLs.
    #[error("the certificate's key usage allows {what}, which a workload's identity must not")]
    LeafMaySign {
        /// `keyCertSign` or `cRLSign`.
        what: &'static str,
    },
    /// X509-SVID 4.4: serverAuth and clientAuth both, where the extension is present. RFC 5280 4.2.1.12.
    #[error("the certificate's extended key usage lacks {what}")]
    ExtendedKeyUsage {
        /// Such as `serverAuth`.
        what: &'static str,
    },
    /// A public key whose signatures cannot be checked.
    #[error(
        "the certificate's key is of type {key}, which is not supported here (P-256, P-384 and RSA of 2048 to 8192 bits are)"
    )]
    UnsupportedKey {
        /// Its algorithm.
        key: String,
    },
    /// RFC 5280 4.2.1.10: name constraints are for CAs.
    #[error("the certificate carries name constraints, which only a CA may")]
    NameConstraints,
    /// RFC 5280 4.1.2.6: a CA has a name.
    #[error("the CA certificate has no subject")]
    NoSubject,
    /// X509-SVID 4.1: a signing certificate is a CA.
    #[error("the certificate is not a CA (basic constraints), so it cannot sign others")]
    NotCa,
    /// X509-SVID 4.3: a signing certificate's key usage has keyCertSign.
    #[error("the certificate's key usage lacks keyCertSign, so it cannot sign others")]
    NoCertSign,
    /// X509-SVID 3.2: a signing certificate's ID has no path.
    #[error("the CA certificate carries the SPIFFE ID {id}, whose path only a workload may have")]
    AuthorityPath {
        /// The ID.
        id: String,
    },
    /// RFC 5280 6.1.3: names chain.
    #[error("the certificate names another issuer than the certificate it is checked against")]
    OtherIssuer,
    /// The signature does not verify.
    #[error("the certificate's signature was not made by the key of its issuer")]
    BadSignature,
    /// An algorithm that no SPIRE uses.
    #[error(
        "the certificate's signature cannot be checked: {signature} by a key of type {key} is not supported here"
    )]
    Unsupported {
        /// The signature's algorithm.
        signature: String,
        /// The issuer's key.
        key: String,
    },
}

impl CertificateError {
    /// What it means for the certificate that the rule is broken.
    pub fn class(&self) -> Class {
        class_of(self.code())
    }

    /// A short stable name of the rule that was broken, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            CertificateError::Malformed { .. } => "malformed",
            CertificateError::TooLarge { .. } => "too-large",
            CertificateError::Trailing { .. } => "trailing-bytes",
            CertificateError::DuplicateExtension { .. } => "duplicate-extension",
            CertificateError::CriticalExtension { .. } => "critical-extension",
            CertificateError::UriCount { .. } => "uri-count",
            CertificateError::Id(_) => "spiffe-id",
            CertificateError::RootPath { .. } => "root-path",
            CertificateError::SanNotCritical => "san-not-critical",
            CertificateError::LeafIsCa => "leaf-is-ca",
            CertificateError::KeyUsageMissing => "key-usage-missing",
            CertificateError::KeyUsageNotCritical => "key-usage-not-critical",
            CertificateError::NoDigitalSignature => "no-digital-signature",
            CertificateError::LeafMaySign { .. } => "leaf-may-sign",
            CertificateError::ExtendedKeyUsage { .. } => "extended-key-usage",
            CertificateError::UnsupportedKey { .. } => "unsupported-key",
            CertificateError::NameConstraints => "name-constraints",
            CertificateError::NoSubject => "no-subject",
            CertificateError::NotCa => "not-a-ca",
            CertificateError::NoCertSign => "no-cert-sign",
            CertificateError::AuthorityPath { .. } => "authority-path",
            CertificateError::OtherIssuer => "other-issuer",
            CertificateError::BadSignature => "bad-signature",
            CertificateError::Unsupported { .. } => "unsupported-algorithm",
        }
    }
}
