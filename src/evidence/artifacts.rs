//! What is signed of artifacts that a log hands over.

use super::sha256;
use crate::tekton::artifacts::Artifacts;

/// SHA-256 of their canonical JSON; `None` where there are none.
pub fn digest(artifacts: &Artifacts) -> Option<[u8; 32]> {
    artifacts.canonical_json().map(|json| sha256(json.as_bytes()))
}
