//! Proving each step: its attestation, the certificate that signed it, the path to the bundle, and the time of signing.

pub(super) mod chain;
pub mod chains;
pub mod signature;
pub(super) mod step;
pub(super) mod tep0089;
pub mod time;
