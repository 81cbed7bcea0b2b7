//! The rules of RFC 5280 for one certificate by itself.

use super::{Certificate, CertificateError, KeyPurpose, KeyUsage};
use crate::der::EMPTY_SEQUENCE;

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

/// [`check_end_entity`], but for what could not be checked.
fn contradictions_of_end_entity(
    certificate: &Certificate,
    purposes: &[KeyPurpose],
) -> Result<(), CertificateError> {
    if certificate.subject_der() == EMPTY_SEQUENCE && !certificate.san_critical() {
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
    if certificate.subject_der() == EMPTY_SEQUENCE {
        return Err(CertificateError::NoSubject);
    }
    if !certificate.is_ca() {
        return Err(CertificateError::NotCa);
    }
    if certificate.key_usage().is_some_and(|usage| !usage.cert_sign()) {
        return Err(CertificateError::NoCertSign);
    }
    if let Some(usages) = certificate.ext_key_usages().filter(|usages| !usages.has_any())
        && let Some(lacking) = purposes.iter().find(|purpose| !usages.has(**purpose))
    {
        return Err(CertificateError::ExtendedKeyUsage { what: lacking.as_str() });
    }
    refuse_unknown_critical(certificate)
}

fn refuse_unknown_critical(certificate: &Certificate) -> Result<(), CertificateError> {
    match &certificate.0.extensions.unknown_critical {
        None => Ok(()),
        Some(oid) => Err(CertificateError::CriticalExtension { oid: oid.clone() }),
    }
}
