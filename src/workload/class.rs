//! What it means that a rule about attestations, certificates or bundles is broken. [`RULES`] with those of RFC 5280 ([`x509::RULES`]) are
//! all; `docs/certificates.md` is tested against both.

use Class::{Contradicts, Unchecked};
pub use x509::Class;

/// The class of each rule of this project and of SPIFFE, by its code.
pub const RULES: &[(&str, Class)] = &[
    // The attestation.
    ("no-version", Contradicts),
    ("base64", Contradicts),
    ("protobuf", Contradicts),
    ("not-canonical", Contradicts),
    ("impossible-field", Contradicts),
    ("version", Unchecked),
    // The leaf.
    ("uri-count", Contradicts),
    ("spiffe-id", Contradicts),
    ("root-path", Contradicts),
    ("key-usage-missing", Contradicts),
    ("key-usage-not-critical", Contradicts),
    ("no-digital-signature", Contradicts),
    // The certificates above it.
    ("authority-path", Contradicts),
    ("foreign-issuer", Contradicts),
    ("issuer-without-uri", Unchecked),
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

/// The class of the rule with this code. One that neither table has cannot be judged.
pub fn class_of(code: &str) -> Class {
    let own = RULES.iter().find(|(known, _)| *known == code);
    own.map_or_else(|| x509::class_of(code), |(_, class)| *class)
}
