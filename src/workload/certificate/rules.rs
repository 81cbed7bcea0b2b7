//! The rules of the X509-SVID standard for one certificate.

use super::{Certificate, CertificateError, KeyPurpose, KeyUsage};
use crate::workload::class::Class;
use crate::workload::der;
use crate::workload::id::{SpiffeId, TrustDomain, parse_strict};

/// What a workload's certificate is for (X509-SVID 4.4).
pub const SVID_PURPOSES: &[KeyPurpose] = &[KeyPurpose::ServerAuth, KeyPurpose::ClientAuth];

/// Holds a certificate to the rules for a workload's identity: X509-SVID 2, 3.1, 4.1, 4.3, 4.4, 5.2.
///
/// Section 5.2 binds validators. The marks that only bind issuers (critical key usage, both extended purposes, critical
/// SAN without a subject) are demanded too: SPIRE always sets them. What contradicts is told before what cannot be checked.
pub fn check_leaf(certificate: &Certificate) -> Result<SpiffeId, CertificateError> {
    let id = certificate.spiffe_id()?;
    if id.path().is_empty() {
        return Err(CertificateError::RootPath { id: id.to_string() });
    }
    contradictions_of_end_entity(certificate, SVID_PURPOSES)?;
    let usage = certificate.key_usage().ok_or(CertificateError::KeyUsageMissing)?;
    if usage.crl_sign() {
        return Err(CertificateError::LeafMaySign { what: "cRLSign" });
    }
    if !usage.digital_signature() {
        return Err(CertificateError::NoDigitalSignature);
    }
    if !usage.critical {
        return Err(CertificateError::KeyUsageNotCritical);
    }
    if !certificate.algorithm().signs_attestations() {
        return Err(CertificateError::UnsupportedKey { key: certificate.algorithm().to_string() });
    }
    refuse_unknown_critical(certificate)?;
    Ok(id)
}

/// Holds a certificate to RFC 5280's rules for one at the end of a path, whoever it belongs to: no CA (4.2.1.9), no
/// keyCertSign without being one (4.2.1.3), critical SAN without a subject (4.2.1.6), no name constraints (4.2.1.10),
/// every purpose where purposes are stated (4.2.1.12), no unknown critical extension (4.2), and a key that can be used.
///
/// anyExtendedKeyUsage does not stand for a purpose here: a certificate that says what it is for must say so.
pub fn check_end_entity(certificate: &Certificate, purposes: &[KeyPurpose]) -> Result<(), CertificateError> {
    contradictions_of_end_entity(certificate, purposes)?;
    if !certificate.algorithm().is_supported() {
        return Err(CertificateError::UnsupportedKey { key: certificate.algorithm().to_string() });
    }
    refuse_unknown_critical(certificate)
}

fn contradictions_of_end_entity(
    certificate: &Certificate,
    purposes: &[KeyPurpose],
) -> Result<(), CertificateError> {
    if certificate.subject_der() == der::EMPTY_SEQUENCE && !certificate.san_critical() {
        return Err(CertificateError::SanNotCritical);
    }
    if certificate.is_ca() {
        return Err(CertificateError::LeafIsCa);
    }
    if certificate.key_usage().is_some_and(KeyUsage::cert_sign) {
        return Err(CertificateError::LeafMaySign { what: "keyCertSign" });
    }
    if certificate.name_constraints().is_some() {
        return Err(CertificateError::NameConstraints);
    }
    if let Some(usages) = certificate.ext_key_usages()
        && let Some(lacking) = purposes.iter().find(|purpose| !usages.has(**purpose))
    {
        return Err(CertificateError::ExtendedKeyUsage { what: lacking.as_str() });
    }
    Ok(())
}

/// Holds a certificate to RFC 5280's rules for one that signs others: a subject (4.1.2.6), cA (6.1.4 k), keyCertSign where
/// there is key usage (6.1.4 n), every purpose where purposes are stated (4.2.1.12), no unknown critical extension.
///
/// RFC 5280 has extended key usage for end entities; that a CA's restricts what it issues is the rule of every
/// implementation. anyExtendedKeyUsage restricts nothing.
pub fn check_issuer(certificate: &Certificate, purposes: &[KeyPurpose]) -> Result<(), CertificateError> {
    if certificate.subject_der() == der::EMPTY_SEQUENCE {
        return Err(CertificateError::NoSubject);
    }
    if !certificate.is_ca() {
        return Err(CertificateError::NotCa);
    }
    if certificate.key_usage().is_some_and(|usage| !usage.cert_sign()) {
        return Err(CertificateError::NoCertSign);
    }
    if let Some(usages) = certificate.ext_key_usages().filter(|usages| !usages.any)
        && let Some(lacking) = purposes.iter().find(|purpose| !usages.has(**purpose))
    {
        return Err(CertificateError::ExtendedKeyUsage { what: lacking.as_str() });
    }
    refuse_unknown_critical(certificate)
}

/// Holds a certificate to the rules for those that sign SVIDs or their signers: [`check_issuer`] with
/// [`check_spiffe_authority`]. Returns the trust domain it carries, if it carries one (a corporate root above SPIRE's CA need not).
pub fn check_authority(certificate: &Certificate) -> Result<Option<TrustDomain>, CertificateError> {
    let open = match check_issuer(certificate, SVID_PURPOSES) {
        Err(error) if error.class() == Class::Contradicts => return Err(error),
        checked => checked,
    };
    let carried = check_spiffe_authority(certificate)?;
    open.map(|()| carried)
}

/// What the X509-SVID standard demands of a signing certificate beyond [`check_issuer`] (3.2, 4.3): key usage, and no path in
/// its SPIFFE ID, if it has one. Returns the trust domain of that.
///
/// That key usage be critical is demanded of issuers only (4.3); corporate roots often do without, so it is not checked.
pub fn check_spiffe_authority(certificate: &Certificate) -> Result<Option<TrustDomain>, CertificateError> {
    if certificate.key_usage().is_none() {
        return Err(CertificateError::KeyUsageMissing);
    }
    let is_spiffe = |uri: &&String| uri.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("spiffe:"));
    let mut ids = certificate.uri_sans().iter().filter(is_spiffe);
    let Some(uri) = ids.next() else { return Ok(None) };
    if ids.next().is_some() {
        return Err(CertificateError::UriCount { count: certificate.uri_sans().len() });
    }
    let id = parse_strict(uri)?;
    if id.path().is_empty() {
        Ok(Some(id.trust_domain().clone()))
    } else {
        Err(CertificateError::AuthorityPath { id: id.to_string() })
    }
}

fn refuse_unknown_critical(certificate: &Certificate) -> Result<(), CertificateError> {
    match &certificate.0.extensions.unknown_critical {
        None => Ok(()),
        Some(oid) => Err(CertificateError::CriticalExtension { oid: oid.clone() }),
    }
}
