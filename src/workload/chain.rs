//! The path from a leaf to the operator's bundle, at a stated time: RFC 5280's under the rules of the X509-SVID standard.

use std::time::Duration;

use unixtime::UnixSeconds;
use x509::{
    Certificate, Class, Fingerprint, Rule, Validity,
    path::{Limits, Search},
};

use super::{
    bundle::X509Bundle,
    class::class_of,
    svid_rules::{SVID_PURPOSES, SvidRule, check_spiffe_authority},
};

/// Why no path leads from a leaf to the bundle.
pub type PathError = x509::path::PathError<IssuerRule>;
/// The rule that a certificate of a path breaks.
pub type PathRule = x509::path::PathRule<IssuerRule>;

/// The rule that an issuer of SVIDs, or of such issuers, breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerRule {
    /// One of the X509-SVID standard.
    #[error(transparent)]
    Svid(#[from] SvidRule),
    /// docs/certificates.md "The certificates above it".
    #[error(
        "its URI SAN ({uris}) is not spiffe://{trust_domain} alone, so it does not speak for that trust domain; two domains under \
         one root are told apart only so"
    )]
    ForeignIssuer {
        /// The operator's trust domain.
        trust_domain: String,
        /// What it carries.
        uris: String,
    },
    /// docs/certificates.md "The certificates above it": a CA that an upstream authority minted may lack it, and then the operator vouches.
    #[error(
        "it carries no SPIFFE ID, so nothing says that it signs for {trust_domain}; if {authority} mints CAs for that trust domain \
         alone, say so with --authority-without-uri {fingerprint}"
    )]
    WithoutUri {
        /// The operator's trust domain.
        trust_domain: String,
        /// The certificate that an operator can name, for people: the one that minted it, or itself if it ends the path.
        authority: String,
        /// That one's SHA-256.
        fingerprint: Fingerprint,
    },
}

impl Rule for IssuerRule {
    fn code(&self) -> &'static str {
        match self {
            Self::Svid(rule) => rule.code(),
            Self::ForeignIssuer { .. } => "foreign-issuer",
            Self::WithoutUri { .. } => "issuer-without-uri",
        }
    }

    fn class(&self) -> Class {
        class_of(self.code())
    }
}

/// A path that was found valid: the issuers, from the leaf's own to the authority in the bundle.
#[derive(Debug, Clone)]
pub struct Path {
    issuers: Vec<Certificate>,
    vouched: Option<Certificate>,
}

impl Path {
    /// The issuers, from the leaf's own to the authority.
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// The certificate that the operator named because the leaf's issuer carries no SPIFFE ID.
    pub fn vouched(&self) -> Option<&Certificate> {
        self.vouched.as_ref()
    }

    /// The issuers between the leaf and the authority, the leaf's own first.
    pub fn intermediates(&self) -> &[Certificate] {
        self.issuers.split_last().map_or(&[], |(_, rest)| rest)
    }

    /// The authority of the bundle that the path ends at.
    pub fn authority(&self) -> Option<&Certificate> {
        self.issuers.last()
    }

    /// When every issuer on the path, the authority included, is valid.
    pub fn validity(&self) -> Validity {
        self.issuers.iter().fold(Validity::ALWAYS, |all, issuer| all.and(issuer.validity()))
    }
}

/// Finds a path from `leaf` over `intermediates` to the bundle that is valid at `at`.
///
/// Every issuer obeys the X509-SVID standard (3.2, 4.1, 4.3) and none belongs to another trust domain; the leaf's own issuer
/// carries exactly `spiffe://<trust domain>` (docs/certificates.md "The certificates above it"), or no SPIFFE ID, if the bundle's owner named it or the
/// authority that minted it ([`X509Bundle::without_uri`]). The leaf's own rules are
/// [`check_leaf`](super::svid_rules::check_leaf)'s.
pub fn find_path(
    leaf: &Certificate,
    intermediates: &[&Certificate],
    bundle: &X509Bundle,
    at: UnixSeconds,
) -> Result<Path, PathError> {
    find_path_within(leaf, intermediates, bundle, at, Duration::ZERO)
}

/// The same where `at` was read from a clock that may have been slow by up to `slow_by` seconds ([`Search::slow_by`]).
pub fn find_path_within(
    leaf: &Certificate,
    intermediates: &[&Certificate],
    bundle: &X509Bundle,
    at: UnixSeconds,
    slow_by: Duration,
) -> Result<Path, PathError> {
    let trust_domain = bundle.trust_domain();
    let own_uri = format!("spiffe://{trust_domain}");
    let issuer_rule = |issuer: &Certificate, below: usize| {
        let foreign = match (check_spiffe_authority(issuer)?, below) {
            (None, _) => false,
            (Some(_), 0) => issuer.uri_sans() != [own_uri.as_str()],
            // A CA of another trust domain under the same root must not vouch for a CA of this one.
            (Some(carried), _) => carried != *trust_domain,
        };
        match foreign {
            true => Err(IssuerRule::ForeignIssuer {
                trust_domain: trust_domain.to_string(),
                uris: issuer.uri_sans().join(", "),
            }),
            false => Ok(()),
        }
    };
    let path_rule = |issuers: &[&Certificate]| match (speaker(issuers), vouched(issuers, bundle)) {
        (None, _) | (_, Some(_)) => Ok(()),
        (Some(authority), None) => Err(IssuerRule::WithoutUri {
            trust_domain: trust_domain.to_string(),
            authority: authority.label(),
            fingerprint: authority.fingerprint(),
        }),
    };
    let authorities: Vec<&Certificate> = bundle.authorities().iter().collect();
    let search = Search {
        intermediates,
        trust_anchors: &authorities,
        at,
        slow_by,
        purposes: SVID_PURPOSES,
        limits: Limits::default(),
        issuer_rule: &issuer_rule,
        path_rule: &path_rule,
    };
    let issuers = search.find_path(leaf)?;
    let vouched = vouched(&issuers, bundle).cloned();
    Ok(Path { issuers: issuers.into_iter().cloned().collect(), vouched })
}

/// Whom an operator can name if the leaf's issuer carries no SPIFFE ID: the certificate that minted it, which stays when SPIRE
/// has a new one minted, or the issuer itself if the path ends with it.
fn speaker<'a>(issuers: &[&'a Certificate]) -> Option<&'a Certificate> {
    let (first, above) = issuers.split_first()?;
    let is_spiffe = |uri: &String| uri.starts_with("spiffe:");
    (!first.uri_sans().iter().any(is_spiffe)).then(|| *above.first().unwrap_or(first))
}

/// The certificate that was named because the leaf's issuer carries no SPIFFE ID.
fn vouched<'a>(issuers: &[&'a Certificate], bundle: &X509Bundle) -> Option<&'a Certificate> {
    let speaker = speaker(issuers)?;
    let candidates = [speaker, issuers.first()?];
    candidates.into_iter().find(|named| bundle.without_uri().contains(&named.fingerprint()))
}
