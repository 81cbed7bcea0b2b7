//! Why there is no acceptable path.

use crate::evidence::statement::format_time;
use crate::workload::certificate::{CertificateError, Fingerprint, NameError};
use crate::workload::class::{Class, class_of};

/// Why no path leads from a certificate to an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Nobody at hand has the name (and key ID) that the certificate states as its issuer's.
    #[error(
        "the issuer of {certificate} (key ID {}) is neither among the intermediates nor in the bundle",
        key_id.as_deref().unwrap_or("not stated")
    )]
    NoIssuer {
        /// The certificate, for people.
        certificate: String,
        /// Its authority key ID in hexadecimal, if it states one.
        key_id: Option<String>,
    },
    /// A certificate that every path found needs breaks a rule. Of several such certificates it is one farthest from the leaf.
    #[error("{certificate}: {rule}")]
    Refused {
        /// The certificate, for people.
        certificate: String,
        /// The rule.
        rule: PathRule,
    },
    /// Every path is longer than what is looked at.
    #[error("above {certificate} the chain goes on beyond {limit} issuers, the most that are looked at")]
    TooLong {
        /// The last certificate looked at, for people.
        certificate: String,
        /// How many issuers were looked at.
        limit: usize,
    },
    /// The search took more work than any honest chain needs.
    #[error(
        "the search for a path was given up after {limit} {what}: too many certificates fit on each other"
    )]
    Budget {
        /// Such as `signatures`.
        what: &'static str,
        /// How many were allowed.
        limit: usize,
    },
}

impl ChainError {
    /// What it means for the leaf that there is no path.
    pub fn class(&self) -> Class {
        class_of(self.code())
    }

    /// Whether the question stays open: more certificates, a more patient search or a program that knows more might find a path.
    pub fn is_undecided(&self) -> bool {
        self.class() == Class::Unchecked
    }

    /// A short stable name of the reason, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            ChainError::NoIssuer { .. } => "no-issuer",
            ChainError::Refused { rule, .. } => rule.code(),
            ChainError::TooLong { .. } => "chain-too-long",
            ChainError::Budget { .. } => "chain-budget",
        }
    }
}

/// The rule that a certificate of a path breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathRule {
    /// A rule for the certificate by itself, or for its signature.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// RFC 5280 6.1.3 a 2.
    #[error("it is not valid before {}, the time of the check is {}", format_time(*not_before), format_time(*at))]
    NotYetValid {
        /// Start of its validity, Unix seconds.
        not_before: i64,
        /// The time of the check, Unix seconds.
        at: i64,
    },
    /// RFC 5280 6.1.3 a 2.
    #[error("it expired at {}, the time of the check is {}", format_time(*not_after), format_time(*at))]
    Expired {
        /// Last second of its validity, Unix seconds.
        not_after: i64,
        /// The time of the check, Unix seconds.
        at: i64,
    },
    /// RFC 5280 4.2.1.9.
    #[error("it allows {allowed} CAs below it, there are {found}")]
    PathLength {
        /// Its pathLenConstraint.
        allowed: u32,
        /// How many stand between it and the leaf, self-issued ones not counted.
        found: usize,
    },
    /// RFC 5280 6.1.3 b, c: the name constraints of a CA above bind.
    #[error("it breaks the name constraints of a CA above it: {0}")]
    Names(#[from] NameError),
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
    /// docs/certificates.md "The certificates above it": a CA that an upstream authority minted may lack it, and then the
    /// operator vouches.
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

impl PathRule {
    /// What it means for the path that the rule is broken.
    pub fn class(&self) -> Class {
        class_of(self.code())
    }

    /// A short stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            PathRule::Certificate(error) => error.code(),
            PathRule::NotYetValid { .. } => "not-yet-valid",
            PathRule::Expired { .. } => "expired",
            PathRule::PathLength { .. } => "path-length",
            PathRule::Names(NameError::Excluded { .. }) => "name-excluded",
            PathRule::Names(NameError::NotPermitted { .. }) => "name-not-permitted",
            PathRule::Names(NameError::NoDomain { .. }) => "name-without-domain",
            PathRule::Names(NameError::NotEvaluated { .. }) => "constraint-not-evaluated",
            PathRule::Names(NameError::TooMany) => "chain-budget",
            PathRule::ForeignIssuer { .. } => "foreign-issuer",
            PathRule::WithoutUri { .. } => "issuer-without-uri",
        }
    }
}
