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

pub mod attestation;
#[cfg(feature = "cli")]
pub mod envelope;
pub mod key;
pub mod leaf;
mod point;
pub mod program;
pub mod statement;
pub mod tep0089;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hashing = Sha256::new();
    hashing.update(bytes);
    hashing.finish()
}

/// SHA-256 of what comes piece by piece.
#[derive(Clone)]
pub(crate) struct Sha256(ring::digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Sha256 {
        Sha256(ring::digest::Context::new(&ring::digest::SHA256))
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}
