//! The chain from a leaf to the operator's bundle, at a stated time.
//!
//! Path building is rustls-webpki's (RFC 5280); what it does not look at is checked here: the authority's own dates, and
//! that the leaf's direct issuer is a CA of the trust domain itself (design 7, "What must agree").

use std::{cmp::Reverse, time::Duration};

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::workload::{bundle::X509Bundle, certificate::Certificate, certificate::check_authority};

/// Why there is no acceptable path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("at {at} no authority of the bundle was valid")]
    NoAuthority { at: String },
    #[error("no valid path at {at}: {reason}")]
    NoPath { at: String, reason: String },
    #[error("an issuer has name constraints, which svidence does not evaluate yet")]
    NameConstraints,
    #[error("an issuer on the path breaks a rule of the X509-SVID standard: {0}")]
    Issuer(String),
    #[error(
        "its issuer does not carry the URI SAN spiffe://{trust_domain}, as every SPIRE CA of that trust domain does, or one \
         above it belongs to another trust domain; two domains under one root are told apart only so"
    )]
    ForeignIssuer { trust_domain: String },
}

/// A path that was found valid: the issuers, from the leaf's own to the authority in the bundle.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    issuers: Vec<Certificate>,
}

impl Path {
    /// Whether every certificate of the path, the authority included, is valid at `at` (Unix seconds).
    pub(crate) fn valid_at(&self, at: i64) -> bool {
        self.issuers.iter().all(|issuer| issuer.not_before() <= at && at <= issuer.not_after())
    }

    /// The authority of the bundle that the path ends at.
    pub(crate) fn authority(&self) -> Option<&Certificate> {
        self.issuers.last()
    }

    /// The issuers between the leaf and the authority, the leaf's own first.
    pub(crate) fn intermediates(&self) -> &[Certificate] {
        self.issuers.split_last().map_or(&[], |(_, rest)| rest)
    }

    /// When the first issuer on the path expires.
    pub(crate) fn not_after(&self) -> Option<i64> {
        self.issuers.iter().map(Certificate::not_after).min()
    }
}

/// The first certificate, from the leaf upwards, whose issuer is neither among the intermediates nor in the bundle.
pub(crate) fn without_issuer<'a>(
    leaf: &'a Certificate,
    intermediates: &[&'a Certificate],
    bundle: &X509Bundle,
) -> Option<&'a Certificate> {
    let issued = |certificate: &Certificate, issuer: &Certificate| {
        certificate.issuer_der() == issuer.subject_der()
            && (certificate.authority_key_id().is_none()
                || certificate.authority_key_id() == issuer.subject_key_id())
    };
    let mut last = leaf;
    for _ in 0..=intermediates.len() {
        if bundle.authorities().iter().any(|authority| issued(last, authority)) {
            return None;
        }
        match intermediates.iter().find(|issuer| issued(last, issuer)) {
            Some(issuer) => last = issuer,
            None => return Some(last),
        }
    }
    None
}

/// Every algorithm that SPIRE's CAs and their upstream authorities sign with.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];

/// Finds a path from `leaf` over `intermediates` to the bundle that is valid at `at` (Unix seconds).
pub(crate) fn find_path(
    leaf: &Certificate,
    intermediates: &[&Certificate],
    bundle: &X509Bundle,
    at: i64,
) -> Result<Path, ChainError> {
    let time = super::taskrun::format_time(at);
    // A trust anchor of webpki has no dates of its own, so an expired authority has to be left out before.
    let mut authorities: Vec<&Certificate> = bundle
        .authorities()
        .iter()
        .filter(|authority| authority.not_before() <= at && at <= authority.not_after())
        .collect();
    // Of two with one name and key the one that lasts longer.
    authorities.sort_by_key(|authority| Reverse(authority.not_after()));
    if authorities.is_empty() {
        return Err(ChainError::NoAuthority { at: time });
    }
    // webpki does not evaluate URI name constraints and refuses every certificate below one.
    let constrained = intermediates.iter().chain(&authorities).any(|issuer| issuer.has_name_constraints());
    let no_path = |error: webpki::Error| match error {
        webpki::Error::NameConstraintViolation if constrained => ChainError::NameConstraints,
        error => ChainError::NoPath { at: time.clone(), reason: error.to_string() },
    };
    let ders: Vec<CertificateDer<'_>> = authorities.iter().map(|authority| authority.der().into()).collect();
    let anchors =
        ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(no_path)?;
    let intermediate_ders: Vec<CertificateDer<'_>> =
        intermediates.iter().map(|certificate| certificate.der().into()).collect();
    let leaf_der = leaf.der().into();
    let end_entity = EndEntityCert::try_from(&leaf_der).map_err(no_path)?;
    let seconds = Duration::from_secs(u64::try_from(at).unwrap_or_default());
    let path = end_entity
        .verify_for_usage(
            ALGORITHMS,
            &anchors,
            &intermediate_ders,
            UnixTime::since_unix_epoch(seconds),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(no_path)?;
    let anchor = authorities.iter().find(|authority| {
        anchor_from_trusted_cert(&authority.der().into()).is_ok_and(|candidate| candidate == *path.anchor())
    });
    let mut issuers: Vec<Certificate> = Vec::new();
    for used in path.intermediate_certificates() {
        let used = intermediates.iter().find(|certificate| certificate.der() == used.der().as_ref());
        issuers.extend(used.map(|certificate| (*certificate).clone()));
    }
    issuers.extend(anchor.map(|authority| (*authority).clone()));
    let trust_domain = bundle.trust_domain();
    let foreign = || ChainError::ForeignIssuer { trust_domain: trust_domain.to_string() };
    for issuer in &issuers {
        let carried = check_authority(issuer).map_err(|error| ChainError::Issuer(error.to_string()))?;
        // A CA of another trust domain under the same root must not vouch for a CA of this one.
        if carried.is_some_and(|carried| carried != *trust_domain) {
            return Err(foreign());
        }
    }
    match issuers.first() {
        Some(issuer) if issuer.uri_sans() == [format!("spiffe://{trust_domain}")] => Ok(Path { issuers }),
        _ => Err(foreign()),
    }
}
