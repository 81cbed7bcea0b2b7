//! Why there is no valid certification path.

use std::convert::Infallible;

use unixtime::UnixSeconds;

use crate::{
    certificate::{CertificateError, NameError},
    class::{Class, Rule, class_of},
};

/// Why no certification path leads from an end entity to a trust anchor. `R` are the caller's own rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError<R: Rule = Infallible> {
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
        rule: PathRule<R>,
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

impl<R: Rule> PathError<R> {
    /// What it means for the certificate that there is no path.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { rule, .. } => rule.class(),
            other => class_of(other.code()),
        }
    }

    /// Whether the question stays open: more certificates, a more patient search or a program that knows more might find a path.
    pub fn is_undecided(&self) -> bool {
        self.class() == Class::Unchecked
    }

    /// A short stable name of the reason, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoIssuer { .. } => "no-issuer",
            Self::Refused { rule, .. } => rule.code(),
            Self::TooLong { .. } => "chain-too-long",
            Self::Budget { .. } => "chain-budget",
        }
    }
}

/// The rule that a certificate of a path breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathRule<R: Rule = Infallible> {
    /// A rule for the certificate by itself, or for its signature.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// RFC 5280 6.1.3 a 2.
    #[error("it is not valid before {}, the time of the check is {}", not_before.to_string(), at.to_string())]
    NotYetValid {
        /// Start of its validity.
        not_before: UnixSeconds,
        /// The time of the check.
        at: UnixSeconds,
    },
    /// RFC 5280 6.1.3 a 2.
    #[error("it expired at {}, the time of the check is {}", not_after.to_string(), at.to_string())]
    Expired {
        /// Last second of its validity.
        not_after: UnixSeconds,
        /// The time of the check.
        at: UnixSeconds,
    },
    /// RFC 5280 4.2.1.9.
    #[error("it allows {allowed} CAs below it, there are {found}")]
    PathLength {
        /// Its pathLenConstraint.
        allowed: u32,
        /// How many are between it and the leaf, self-issued ones not counted.
        found: usize,
    },
    /// RFC 5280 6.1.3 b, c: the name constraints of a CA above bind.
    #[error("it breaks the name constraints of a CA above it: {0}")]
    Names(#[from] NameError),
    /// One of the caller's.
    #[error("{0}")]
    Caller(R),
}

impl<R: Rule> PathRule<R> {
    /// What it means for the path that the rule is broken.
    pub fn class(&self) -> Class {
        match self {
            Self::Caller(rule) => rule.class(),
            other => class_of(other.code()),
        }
    }

    /// A short stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.code(),
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::PathLength { .. } => "path-length",
            Self::Names(NameError::Excluded { .. }) => "name-excluded",
            Self::Names(NameError::NotPermitted { .. }) => "name-not-permitted",
            Self::Names(NameError::NoDomain { .. }) => "name-without-domain",
            Self::Names(NameError::NotEvaluated { .. }) => "constraint-not-evaluated",
            Self::Names(NameError::TooMany) => "chain-budget",
            Self::Caller(rule) => rule.code(),
        }
    }
}
