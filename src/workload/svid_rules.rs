//! The rules of the X509-SVID standard for one certificate, beyond those of RFC 5280.

use x509::{Certificate, CertificateError, Class, KeyAlgorithm, KeyPurpose, check_end_entity, check_issuer};

use super::{
    class::class_of,
    id::{IdError, SpiffeId, TrustDomain, parse_strict},
};

/// What a workload's certificate is for (X509-SVID 4.4).
pub const SVID_PURPOSES: &[KeyPurpose] = &[KeyPurpose::ServerAuth, KeyPurpose::ClientAuth];

/// The rule that a certificate breaks. [`SvidRule::code`] is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidRule {
    /// One of RFC 5280.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
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
    /// X509-SVID 4.3: key usage is present.
    #[error("the certificate has no key usage extension")]
    KeyUsageMissing,
    /// X509-SVID 4.3: key usage is critical.
    #[error("the certificate's key usage is not marked critical")]
    KeyUsageNotCritical,
    /// X509-SVID 4.3: a leaf's key signs data.
    #[error("the certificate's key usage lacks digitalSignature")]
    NoDigitalSignature,
    /// X509-SVID 3.2: a signing certificate's ID has no path.
    #[error("the CA certificate carries the SPIFFE ID {id}, whose path only a workload may have")]
    AuthorityPath {
        /// The ID.
        id: String,
    },
}

impl SvidRule {
    /// What it means for the certificate that the rule is broken.
    pub fn class(&self) -> Class {
        class_of(self.code())
    }

    /// A short stable name of the rule that was broken, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.code(),
            Self::UriCount { .. } => "uri-count",
            Self::Id(_) => "spiffe-id",
            Self::RootPath { .. } => "root-path",
            Self::KeyUsageMissing => "key-usage-missing",
            Self::KeyUsageNotCritical => "key-usage-not-critical",
            Self::NoDigitalSignature => "no-digital-signature",
            Self::AuthorityPath { .. } => "authority-path",
        }
    }
}

/// The one URI as SPIFFE ID (X509-SVID 2 and 5.2).
pub fn spiffe_id(certificate: &Certificate) -> Result<SpiffeId, SvidRule> {
    match certificate.uri_sans() {
        [uri] => Ok(parse_strict(uri)?),
        uris => Err(SvidRule::UriCount { count: uris.len() }),
    }
}

/// Whether such a key signs attestations (docs/evidence.md 7).
pub fn signs_attestations(key: &KeyAlgorithm) -> bool {
    key.is_supported() && *key != KeyAlgorithm::P521
}

/// Holds a certificate to the rules for a workload's identity: X509-SVID 2, 3.1, 4.1, 4.3, 4.4, 5.2.
///
/// Section 5.2 binds validators. The marks that only bind issuers (critical key usage, both extended purposes, critical
/// SAN without a subject) are demanded too: SPIRE always sets them. What contradicts is told before what cannot be checked.
pub fn check_leaf(certificate: &Certificate) -> Result<SpiffeId, SvidRule> {
    let id = spiffe_id(certificate)?;
    if id.path().is_empty() {
        return Err(SvidRule::RootPath { id: id.to_string() });
    }
    let open = match check_end_entity(certificate, SVID_PURPOSES) {
        Err(error) if error.class() == Class::Contradicts => return Err(error.into()),
        checked => checked,
    };
    let usage = certificate.key_usage().ok_or(SvidRule::KeyUsageMissing)?;
    if usage.crl_sign() {
        return Err(CertificateError::LeafMaySign { what: "cRLSign" }.into());
    }
    if !usage.digital_signature() {
        return Err(SvidRule::NoDigitalSignature);
    }
    if !usage.critical {
        return Err(SvidRule::KeyUsageNotCritical);
    }
    if !signs_attestations(certificate.algorithm()) {
        return Err(CertificateError::UnsupportedKey { key: certificate.algorithm().to_string() }.into());
    }
    open?;
    Ok(id)
}

/// Holds a certificate to the rules for those that sign SVIDs or their signers: [`check_issuer`] with
/// [`check_spiffe_authority`]. Returns the trust domain it carries, if it carries one (a corporate root above SPIRE's CA need not).
pub fn check_authority(certificate: &Certificate) -> Result<Option<TrustDomain>, SvidRule> {
    let open = match check_issuer(certificate, SVID_PURPOSES) {
        Err(error) if error.class() == Class::Contradicts => return Err(error.into()),
        checked => checked,
    };
    let carried = check_spiffe_authority(certificate)?;
    open?;
    Ok(carried)
}

/// What the X509-SVID standard demands of a signing certificate beyond [`check_issuer`] (3.2, 4.3): key usage, and no path in
/// its SPIFFE ID, if it has one. Returns the trust domain of that.
///
/// That key usage be critical is demanded of issuers only (4.3); corporate roots often do without, so it is not checked.
pub fn check_spiffe_authority(certificate: &Certificate) -> Result<Option<TrustDomain>, SvidRule> {
    if certificate.key_usage().is_none() {
        return Err(SvidRule::KeyUsageMissing);
    }
    let is_spiffe = |uri: &&String| uri.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("spiffe:"));
    let mut ids = certificate.uri_sans().iter().filter(is_spiffe);
    let Some(uri) = ids.next() else { return Ok(None) };
    if ids.next().is_some() {
        return Err(SvidRule::UriCount { count: certificate.uri_sans().len() });
    }
    let id = parse_strict(uri)?;
    if id.path().is_empty() {
        Ok(Some(id.trust_domain().clone()))
    } else {
        Err(SvidRule::AuthorityPath { id: id.to_string() })
    }
}
