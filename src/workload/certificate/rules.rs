//! The rules of the X509-SVID standard for one certificate.

use super::{Certificate, CertificateError, ExtKeyUsages};
use crate::workload::der;
use crate::workload::id::{SpiffeId, TrustDomain, parse_strict};

/// Holds a certificate to the rules for a workload's identity: X509-SVID 2, 3.1, 4.1, 4.3, 4.4, 5.2.
///
/// Section 5.2 binds validators. The marks that only bind issuers (critical key usage, both extended purposes, critical
/// SAN without a subject) are demanded too: SPIRE always sets them.
pub fn check_leaf(certificate: &Certificate) -> Result<SpiffeId, CertificateError> {
    let id = certificate.spiffe_id()?;
    if id.path().is_empty() {
        return Err(CertificateError::RootPath { id: id.to_string() });
    }
    if certificate.subject_der() == der::EMPTY_SEQUENCE && !certificate.san_critical() {
        return Err(CertificateError::SanNotCritical);
    }
    if certificate.is_ca() {
        return Err(CertificateError::LeafIsCa);
    }
    let usage = certificate.key_usage().ok_or(CertificateError::KeyUsageMissing)?;
    if usage.cert_sign() {
        return Err(CertificateError::LeafMaySign { what: "keyCertSign" });
    }
    if usage.crl_sign() {
        return Err(CertificateError::LeafMaySign { what: "cRLSign" });
    }
    if !usage.digital_signature() {
        return Err(CertificateError::NoDigitalSignature);
    }
    if !usage.critical {
        return Err(CertificateError::KeyUsageNotCritical);
    }
    match certificate.ext_key_usages() {
        Some(ExtKeyUsages { server_auth: false, .. }) => {
            Err(CertificateError::ExtendedKeyUsage { what: "serverAuth" })
        }
        Some(ExtKeyUsages { client_auth: false, .. }) => {
            Err(CertificateError::ExtendedKeyUsage { what: "clientAuth" })
        }
        _ => refuse_unknown_critical(certificate).map(|()| id),
    }
}

/// Holds a certificate to the rules for those that sign others: X509-SVID 3.2, 4.1, 4.3. Returns the trust domain it
/// carries, if it carries one (a corporate root above SPIRE's CA need not).
///
/// That key usage be critical is demanded of issuers only (4.3); corporate roots often do without, so it is not checked.
pub fn check_authority(certificate: &Certificate) -> Result<Option<TrustDomain>, CertificateError> {
    if !certificate.is_ca() {
        return Err(CertificateError::NotCa);
    }
    let usage = certificate.key_usage().ok_or(CertificateError::KeyUsageMissing)?;
    if !usage.cert_sign() {
        return Err(CertificateError::NoCertSign);
    }
    refuse_unknown_critical(certificate)?;
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
    match &certificate.extensions.unknown_critical {
        None => Ok(()),
        Some(oid) => Err(CertificateError::CriticalExtension { oid: oid.clone() }),
    }
}
