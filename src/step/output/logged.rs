//! Results that the results sidecar hands to the controller by its log (`results-from: sidecar-logs`;
//! docs/tekton-contract.md 6.5, Tekton internal/sidecarlogresults). They may be large, so they are hashed piece by piece and
//! not kept. With them goes what the step's provenance.json says.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use go::text::utf8;

use crate::{
    evidence::{Sha256, artifacts, sha256},
    step::output::{
        artifacts::PROVENANCE,
        beneath::{self, FileContent, ReadError},
        declared::DeclaredResults,
        stood::Stood,
    },
    tekton::{
        artifacts::logged::{self, ArtifactsError},
        result_kind::ResultKind,
        value,
    },
};

/// Larger results are not signed.
pub const LARGEST: usize = 64 * 1024 * 1024;
/// The largest result that the controller takes from a log: the upper bound of Tekton's `max-result-size`. Larger ones need not
/// be decoded, since no status will ever hold them.
const LARGEST_DECODED: usize = 1536 * 1024;

/// What a step hands over by the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logged {
    /// Its results, the task's first.
    pub results: Vec<LoggedResult>,
    /// [`artifacts::digest`] of its artifacts.
    pub artifacts: Option<[u8; 32]>,
}

/// One result as the step left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedResult {
    /// Whose it is.
    pub kind: ResultKind,
    /// Its name.
    pub name: String,
    /// SHA-256 of its text: U+FFFD for each byte that is not UTF-8, as the sidecar's JSON has it.
    pub digest: [u8; 32],
    /// SHA-256 of the canonical JSON of the decoded value, where the controller may decode it.
    pub decoded: Option<[u8; 32]>,
    /// True if the file was the same before the program started; `None` if that is not known.
    pub found: Option<bool>,
    /// True if there were bytes that are not UTF-8.
    pub replaced: bool,
}

/// Why there is nothing to sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoggedError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// One is too large to be hashed in good time.
    #[error("too large: result {name} has more than {} MiB; write less, or hand over its digest", LARGEST >> 20)]
    TooLarge {
        /// The result.
        name: String,
    },
    /// What the sidecar makes of the artifacts cannot be told.
    #[error("the step's artifacts cannot be signed: {0}; write each field of {PROVENANCE} once")]
    Artifacts(ArtifactsError),
    /// So many bytes that no status will hold them.
    #[error("too large: the step's {PROVENANCE} has more than {LARGEST_DECODED} bytes")]
    LargeArtifacts,
}

/// Hashes all results of one kind; absent ones are left out. `stood`: how they stood when the program started.
pub fn hash(declared: &DeclaredResults, stood: &[Stood]) -> Result<Vec<LoggedResult>, LoggedError> {
    let mut results = Vec::new();
    for (index, file) in declared.names.iter().enumerate() {
        let name = utf8(file.as_bytes()).0;
        let mut hashing = Hashing::new();
        let take = |piece: &[u8]| hashing.take(piece);
        match beneath::stream(&declared.directory, &declared.below.join(file), LARGEST, take)? {
            None => {}
            Some((false, _)) => return Err(LoggedError::TooLarge { name }),
            Some((true, identity)) => {
                let (mut result, raw) = hashing.finish(declared.kind, name);
                result.found = stood.get(index).map_or(Some(false), |stood| stood.is_same(identity, || raw));
                results.push(result);
            }
        }
    }
    Ok(results)
}

/// The digest of the step's artifacts, if there are any that the sidecar takes.
pub fn artifacts(step_metadata_dir: &Path) -> Result<Option<[u8; 32]>, LoggedError> {
    let (mount, below) = beneath::mount_of(step_metadata_dir, PROVENANCE);
    let raw = match beneath::read(&mount, &below, LARGEST_DECODED)? {
        None => return Ok(None),
        Some(FileContent::Whole(raw)) => raw,
        Some(FileContent::TooLarge) => return Err(LoggedError::LargeArtifacts),
    };
    match logged::read(&raw) {
        Ok(artifacts) => Ok(artifacts::digest(&artifacts)),
        Err(ArtifactsError::Refused) => Ok(None),
        Err(error @ ArtifactsError::Ambiguous(_)) => Err(LoggedError::Artifacts(error)),
    }
}

/// Hashes a file's bytes and the text that they are handed over as.
struct Hashing {
    raw: Sha256,
    text: Sha256,
    /// The begin of a character whose other bytes have not come yet.
    begun: Vec<u8>,
    replaced: bool,
    /// The text, as long as it may be JSON that the controller decodes.
    kept: Option<String>,
}

impl Hashing {
    fn new() -> Self {
        Self {
            raw: Sha256::default(),
            text: Sha256::default(),
            begun: Vec::new(),
            replaced: false,
            kept: Some(String::new()),
        }
    }

    fn take(&mut self, piece: &[u8]) {
        self.raw.update(piece);
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(piece);
        self.begun = bytes.split_off(complete(&bytes));
        self.add(&bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        let (text, replaced) = utf8(bytes);
        self.replaced |= replaced;
        self.text.update(text.as_bytes());
        if let Some(kept) = &mut self.kept {
            kept.push_str(&text);
            let json = kept.trim_start().starts_with(['[', '{', '"', 'n']) || kept.trim_start().is_empty();
            if !json || kept.len() > LARGEST_DECODED {
                self.kept = None;
            }
        }
    }

    /// The result, as set, and the SHA-256 of its bytes.
    fn finish(mut self, kind: ResultKind, name: String) -> (LoggedResult, [u8; 32]) {
        let rest = std::mem::take(&mut self.begun);
        self.add(&rest);
        let decoded = self.kept.as_deref().and_then(value::decoded_json);
        let result = LoggedResult {
            kind,
            name,
            digest: self.text.finish(),
            decoded: decoded.map(|value| sha256(value.canonical_json().as_bytes())),
            found: Some(false),
            replaced: self.replaced,
        };
        (result, self.raw.finish())
    }
}

/// How many of the bytes are not the begin of a character that more bytes may complete.
fn complete(bytes: &[u8]) -> usize {
    let begun =
        |at: &usize| std::str::from_utf8(&bytes[*at..]).is_err_and(|error| error.error_len().is_none());
    let from = bytes.len().saturating_sub(3);
    let lead = (from..bytes.len()).rev().find(|&at| bytes[at] >= 0xc0);
    lead.filter(begun).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a file is cut into pieces, the text is that of the whole.
    #[test]
    fn pieces_make_the_same_text_as_the_whole() {
        for raw in [
            &b"plain"[..],
            "é中💒x".as_bytes(),
            b"\xff\xed\xa0\x80\xc0\x80",
            b"a\xe2\x80",
            b"\xf0\x9f\x92x\xf0\x9f\x92",
            b"\xf4\x90\x80\x80",
            b"\xe2\x28\xa1\xf0\x9f",
            b"[\"a\",\"b\"]",
            b" \"x\" ",
            b"",
        ] {
            let whole = utf8(raw).0;
            let decoded = value::decoded_json(&whole).map(|value| sha256(value.canonical_json().as_bytes()));
            for size in 1..=raw.len().max(1) {
                let mut hashing = Hashing::new();
                raw.chunks(size).for_each(|piece| hashing.take(piece));
                let (result, digest) = hashing.finish(ResultKind::Task, "r".into());
                assert_eq!(result.digest, sha256(whole.as_bytes()), "{raw:?} in pieces of {size}");
                assert_eq!(result.decoded, decoded, "{raw:?} in pieces of {size}");
                assert_eq!(digest, sha256(raw), "{raw:?} in pieces of {size}");
            }
        }
    }
}
