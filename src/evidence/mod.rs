//! What is signed and how it is carried (docs/evidence.md). Pure: no I/O, no clock; randomness is a parameter.
//!
//! * [`attestation`]: attestation v1, one entry per step; [`statement`]: the in-toto statement under its signature.
//! * [`leaf`]: the compact form of a SPIRE leaf certificate, and `point` its key.
//! * [`tep0089`]: the entries that Tekton's own signer makes.
//! * [`program`]: what the step was given to run.
//! * [`key`]: the SVID's private key.

#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
mod generated;

pub mod artifacts;
pub mod attestation;
#[cfg(feature = "cli")]
pub mod envelope;
pub mod key;
pub mod leaf;
mod point;
pub mod program;
pub mod statement;
pub mod tep0089;

pub(crate) use x509::digest::Sha256;
pub use x509::digest::sha256;
