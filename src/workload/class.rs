//! What it means that a rule about attestations and certificates is broken: that something contradicts the evidence, or only that it could not be
//! checked here. One table for all of them; `docs/certificates.md` is tested against it.

/// What a broken rule means for what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is not as it claims to be, whoever looks at it: `invalid`.
    Contradicts,
    /// Somebody with more at hand, or with a program that knows more, may find it good: `unchecked`.
    Unchecked,
}

use Class::{Contradicts, Unchecked};

/// The class of each rule, by its code.
pub const RULES: &[(&str, Class)] = &[
    // The attestation.
    ("no-version", Contradicts),
    ("base64", Contradicts),
    ("protobuf", Contradicts),
    ("not-canonical", Contradicts),
    ("impossible-field", Contradicts),
    ("version", Unchecked),
    // One certificate, whatever it is for.
    ("malformed", Contradicts),
    ("trailing-bytes", Contradicts),
    ("duplicate-extension", Contradicts),
    ("too-large", Unchecked),
    ("critical-extension", Unchecked),
    // The leaf.
    ("uri-count", Contradicts),
    ("spiffe-id", Contradicts),
    ("root-path", Contradicts),
    ("san-not-critical", Contradicts),
    ("leaf-is-ca", Contradicts),
    ("key-usage-missing", Contradicts),
    ("key-usage-not-critical", Contradicts),
    ("no-digital-signature", Contradicts),
    ("leaf-may-sign", Contradicts),
    ("extended-key-usage", Contradicts),
    ("name-constraints", Contradicts),
    ("unsupported-key", Unchecked),
    // The certificates above it.
    ("other-issuer", Contradicts),
    ("bad-signature", Contradicts),
    ("unsupported-algorithm", Unchecked),
    ("not-yet-valid", Contradicts),
    ("expired", Contradicts),
    ("no-subject", Contradicts),
    ("not-a-ca", Contradicts),
    ("no-cert-sign", Contradicts),
    ("path-length", Contradicts),
    ("authority-path", Contradicts),
    ("foreign-issuer", Contradicts),
    ("issuer-without-uri", Unchecked),
    ("name-excluded", Contradicts),
    ("name-not-permitted", Contradicts),
    ("name-without-domain", Contradicts),
    ("constraint-not-evaluated", Unchecked),
    // The way up.
    ("no-issuer", Unchecked),
    ("chain-too-long", Unchecked),
    ("chain-budget", Unchecked),
    // The bundle, which is not evidence.
    ("bundle-empty", Unchecked),
    ("bundle-too-large", Unchecked),
    ("bundle-form", Unchecked),
    ("bundle-der", Unchecked),
    ("bundle-pem", Unchecked),
    ("bundle-pem-label", Unchecked),
    ("bundle-json", Unchecked),
    ("bundle-plain-jwks", Unchecked),
    ("bundle-base64", Unchecked),
    ("bundle-svid", Unchecked),
    ("bundle-other-trust-domain", Unchecked),
];

/// The class of the rule with this code. One that the table lacks cannot be judged.
pub fn class_of(code: &str) -> Class {
    RULES.iter().find(|(known, _)| *known == code).map_or(Unchecked, |(_, class)| *class)
}
