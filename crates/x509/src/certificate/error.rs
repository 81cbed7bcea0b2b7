//! Why a certificate is refused.

use super::MAX_BYTES;
use crate::class::{Class, class_of};

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
    /// RFC 5280 4.1.2.6: without a subject the SAN extension is critical.
    #[error("the certificate has no subject and its subject alternative names are not marked critical")]
    SanNotCritical,
    /// The certificate at the end of a path is a CA (RFC 5280 4.2.1.9).
    #[error("the certificate is a CA (basic constraints), so it cannot be a workload's identity")]
    LeafIsCa,
    /// The key of the certificate at the end of a path signs certificates or CRLs (RFC 5280 4.2.1.3).
    #[error("the certificate's key usage allows {what}, which a workload's identity must not")]
    LeafMaySign {
        /// `keyCertSign` or `cRLSign`.
        what: &'static str,
    },
    /// RFC 5280 4.2.1.12: a purpose that is asked for, where the extension is present.
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
    /// RFC 5280 6.1.4 k: a signing certificate is a CA.
    #[error("the certificate is not a CA (basic constraints), so it cannot sign others")]
    NotCa,
    /// RFC 5280 6.1.4 n: a signing certificate's key usage has keyCertSign.
    #[error("the certificate's key usage lacks keyCertSign, so it cannot sign others")]
    NoCertSign,
    /// RFC 5280 6.1.3: names chain.
    #[error("the certificate names another issuer than the certificate it is checked against")]
    OtherIssuer,
    /// The signature does not verify.
    #[error("the certificate's signature was not made by the key of its issuer")]
    BadSignature,
    /// An algorithm that is not checked here, or not with such a key.
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
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too-large",
            Self::Trailing { .. } => "trailing-bytes",
            Self::DuplicateExtension { .. } => "duplicate-extension",
            Self::CriticalExtension { .. } => "critical-extension",
            Self::SanNotCritical => "san-not-critical",
            Self::LeafIsCa => "leaf-is-ca",
            Self::LeafMaySign { .. } => "leaf-may-sign",
            Self::ExtendedKeyUsage { .. } => "extended-key-usage",
            Self::UnsupportedKey { .. } => "unsupported-key",
            Self::NameConstraints => "name-constraints",
            Self::NoSubject => "no-subject",
            Self::NotCa => "not-a-ca",
            Self::NoCertSign => "no-cert-sign",
            Self::OtherIssuer => "other-issuer",
            Self::BadSignature => "bad-signature",
            Self::Unsupported { .. } => "unsupported-algorithm",
        }
    }
}
