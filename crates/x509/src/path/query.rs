//! What a certification path is looked for in, and under which rules.

use std::{convert::Infallible, time::Duration};

use unixtime::UnixSeconds;

use super::PathRule;
use crate::{
    certificate::{Certificate, KeyPurpose},
    class::{Class, Rule},
};

/// How much work a search may take. Hostile certificates can be made to fit on each other in any number of ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Issuers in a path, the trust anchor included.
    pub issuers: usize,
    /// Signatures checked, and steps up from a certificate to one that may have issued it.
    pub signatures: usize,
    /// Names compared with name constraints.
    pub comparisons: usize,
}

impl Default for Limits {
    /// Many times what a real path takes, and some 10 ms at worst: issuers as in GnuTLS (`DEFAULT_MAX_VERIFY_DEPTH`), signatures as in
    /// Go since CVE-2018-16875 and in webpki, comparisons as in Go (`maxConstraintComparisons` of crypto/x509) and in webpki.
    fn default() -> Self {
        Self { issuers: 16, signatures: 100, comparisons: 250_000 }
    }
}

/// What a certification path is looked for in, and under which rules; `R` are the caller's own.
pub struct Search<'a, R: Rule = Infallible> {
    /// Certificates that may be in the path; not trusted by themselves.
    pub intermediates: &'a [&'a Certificate],
    /// Certificates that end a path. Their own dates and extensions count, too (RFC 5280 6.2 allows it).
    pub trust_anchors: &'a [&'a Certificate],
    /// The time that every certificate must be valid at.
    pub at: UnixSeconds,
    /// By how much the clock may have been slow that `at` was read from: all certificates of the path are valid at one moment
    /// of that time.
    pub slow_by: Duration,
    /// What the end entity's key must be good for, wherever a certificate of the path says what its key is for.
    pub purposes: &'a [KeyPurpose],
    /// The most work that is done.
    pub limits: Limits,
    /// A further rule for issuers: gets the certificate, and how many issuers are between it and the end entity.
    pub issuer_rule: &'a dyn Fn(&Certificate, usize) -> Result<(), R>,
    /// A further rule for whole paths: gets the issuers, from the end entity's own up.
    pub path_rule: &'a dyn Fn(&[&Certificate]) -> Result<(), R>,
}

/// Of the rules that are broken the first that contradicts, else the first.
pub(super) fn most_telling<R: Rule>(
    rules: impl IntoIterator<Item = Result<(), PathRule<R>>>,
) -> Result<(), PathRule<R>> {
    let mut answer = Ok(());
    for rule in rules.into_iter().filter_map(Result::err) {
        if rule.class() == Class::Contradicts {
            return Err(rule);
        }
        answer = answer.and(Err(rule));
    }
    answer
}

/// By name, and by key ID where both state one (RFC 5280 6.1.3 a 4, 4.2.1.1).
pub(super) fn may_have_issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    certificate.issuer_der() == issuer.subject_der()
        && match (certificate.authority_key_id(), issuer.subject_key_id()) {
            (Some(stated), Some(own)) => stated == own,
            _ => true,
        }
}
