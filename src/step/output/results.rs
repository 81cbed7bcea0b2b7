//! The step's results (docs/tekton-contract.md 3.10; Tekton pkg/entrypoint/entrypointer.go readResultsFromDisk).

use std::os::unix::ffi::OsStrExt;

use go::text::utf8;

use crate::{
    evidence::sha256,
    step::output::{
        beneath::{self, FileContent, ReadError},
        declared::DeclaredResults,
        stood::Stood,
    },
    tekton::{result_kind::ResultKind, termination::TooLarge},
};

/// One result as the step left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResult {
    /// Whose it is.
    pub kind: ResultKind,
    /// Its name.
    pub name: String,
    /// The bytes of its file.
    pub raw: Vec<u8>,
    /// True if the file was the same before the program started: this step found it, it did not set it. `None` if that is not
    /// known.
    pub found: Option<bool>,
}

/// Why results cannot be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They do not fit into a termination message.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl DeclaredResults {
    /// Reads all results, of up to `limit` bytes each; absent ones are left out. `stood`: how they stood when the program started.
    pub fn read(&self, stood: &[Stood], limit: usize) -> Result<Vec<RawResult>, ResultError> {
        let mut results = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            match beneath::read_identified(&self.directory, &self.below.join(name), limit)? {
                None => {}
                Some((FileContent::TooLarge, _)) => return Err(TooLarge.into()),
                Some((FileContent::Whole(raw), identity)) => {
                    let found = stood
                        .get(index)
                        .map_or(Some(false), |stood| stood.is_same(identity, || sha256(&raw)));
                    results.push(RawResult { kind: self.kind, name: utf8(name.as_bytes()).0, raw, found });
                }
            }
        }
        Ok(results)
    }
}
