//! The digest of the names that a step was told to collect (docs/evidence.md 2).

use crate::{evidence::Sha256, tekton::canonical};

/// Bytes of the digest of the declared names.
pub const DECLARED: usize = 12;

/// The digest of the names a step was told to collect (`-results`, `-step_results`): the first 12 bytes of SHA-256 over
/// the canonical JSON `{"results":[…],"stepResults":[…]}`, both lists sorted, without repetitions or empty names.
pub fn declared<'a>(
    results: impl IntoIterator<Item = &'a str>,
    step_results: impl IntoIterator<Item = &'a str>,
) -> [u8; DECLARED] {
    DeclaredNames::new(results).with_step_results(step_results)
}

/// The part of [`declared`] that all steps of a task have in common.
#[derive(Clone)]
pub(crate) struct DeclaredNames(Sha256);

impl DeclaredNames {
    pub(crate) fn new<'a>(results: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hashing = Sha256::default();
        hashing.update(b"{\"results\":");
        hashing.update(sorted(results).as_bytes());
        Self(hashing)
    }

    pub(crate) fn with_step_results<'a>(
        &self,
        step_results: impl IntoIterator<Item = &'a str>,
    ) -> [u8; DECLARED] {
        let Self(mut hashing) = self.clone();
        hashing.update(b",\"stepResults\":");
        hashing.update(sorted(step_results).as_bytes());
        hashing.update(b"}");
        let mut declared = [0; DECLARED];
        declared.copy_from_slice(&hashing.finish()[..DECLARED]);
        declared
    }
}

/// Names as a JSON list, sorted, without repetitions or empty ones.
fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let mut out = String::new();
    canonical::array(&mut out, &names, |out, name| canonical::string(out, name));
    out
}
