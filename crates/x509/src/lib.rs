//! X.509 certificates, the paths between them and time stamps, held to RFC 5280 and RFC 3161. It knows nothing of what they are for.
//!
//! * [`Certificate`]: one certificate, read once, with the rules for it by itself ([`check_end_entity`], [`check_issuer`]).
//! * [`path`]: the search for a path from a certificate to a trust anchor, with the caller's own rules and limits.
//! * [`time_stamp`]: time-stamp tokens (RFC 3161).
//! * [`der`], [`pem`]: the encodings; [`digest`], [`text`]: SHA-256, and how digests and times are written.
//! * [`Class`]: whether a broken rule contradicts a certificate, or only could not be checked.
//!
//! Sources, limits and why it is not another crate: README.md.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]
#![deny(clippy::as_conversions)]

mod certificate;
mod class;
pub mod der;
pub mod digest;
pub mod path;
pub mod pem;
// A program without the code for every algorithm takes some signatures on trust, which must not happen with these.
#[cfg(feature = "every-algorithm")]
mod public_key;
pub mod text;
pub mod time_stamp;
mod validity;

pub use certificate::{
    Certificate, CertificateError, ExtKeyUsages, Fingerprint, FingerprintError, KeyAlgorithm, KeyPurpose,
    KeyUsage, NameConstraints, NameError, Parameters, SignatureAlgorithm, check_end_entity, check_issuer,
    parse_concatenated,
};
pub use class::{Class, RULES, Rule, class_of};
#[cfg(feature = "every-algorithm")]
pub use public_key::{PublicKey, PublicKeyError};
pub use validity::Validity;
