//! What it means that a rule is broken: that something contradicts a certificate, or only that it could not be checked here.

use std::{convert::Infallible, fmt::Display};

/// What a broken rule means for what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is not as it claims to be, whoever looks at it.
    Contradicts,
    /// Somebody with more at hand, or with a program that knows more, may find it good.
    Unchecked,
}

use Class::{Contradicts, Unchecked};

/// The class of each rule of this crate, by its code.
pub const RULES: &[(&str, Class)] = &[
    // One certificate, whatever it is for.
    ("malformed", Contradicts),
    ("trailing-bytes", Contradicts),
    ("duplicate-extension", Contradicts),
    ("too-large", Unchecked),
    ("critical-extension", Unchecked),
    // The one at the end of a path.
    ("san-not-critical", Contradicts),
    ("leaf-is-ca", Contradicts),
    ("leaf-may-sign", Contradicts),
    ("extended-key-usage", Contradicts),
    ("name-constraints", Contradicts),
    ("unsupported-key", Unchecked),
    // Those above it.
    ("other-issuer", Contradicts),
    ("bad-signature", Contradicts),
    ("unsupported-algorithm", Unchecked),
    ("not-yet-valid", Contradicts),
    ("expired", Contradicts),
    ("no-subject", Contradicts),
    ("not-a-ca", Contradicts),
    ("no-cert-sign", Contradicts),
    ("path-length", Contradicts),
    ("name-excluded", Contradicts),
    ("name-not-permitted", Contradicts),
    ("name-without-domain", Contradicts),
    ("constraint-not-evaluated", Unchecked),
    // The way up.
    ("no-issuer", Unchecked),
    ("chain-too-long", Unchecked),
    ("chain-budget", Unchecked),
];

/// The class of the rule with this code. One that the table lacks cannot be judged.
pub fn class_of(code: &str) -> Class {
    RULES.iter().find(|(known, _)| *known == code).map_or(Unchecked, |(_, class)| *class)
}

/// A rule that a caller adds to those of RFC 5280.
pub trait Rule: Clone + Display {
    /// A short stable name of the rule, for reports.
    fn code(&self) -> &'static str;

    /// What it means that the rule is broken.
    fn class(&self) -> Class;
}

/// The caller adds no rule.
impl Rule for Infallible {
    fn code(&self) -> &'static str {
        match *self {}
    }

    fn class(&self) -> Class {
        match *self {}
    }
}
