//! The step's results (contract 3.10; Tekton pkg/entrypoint/entrypointer.go readResultsFromDisk).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::evidence::{Sha256, sha256};

use super::beneath::{self, Content, ReadError};
use super::roots::Roots;
use super::termination::{self, go_utf8};
use super::wait::split_list;

/// Whose result it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A result of the task, in `/tekton/results`.
    Task,
    /// A result of the step, in `<step_metadata_dir>/results`.
    Step,
}

/// One result as the step left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResult {
    /// Whose it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The bytes of its file.
    pub raw: Vec<u8>,
    /// True if the file was there with the same bytes before the program started: this step found it, it did not set it.
    pub found: bool,
}

/// Why results cannot be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They do not fit into a termination message.
    #[error(transparent)]
    TooLarge(#[from] termination::TooLarge),
}

/// The results that a step declares, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Which kind.
    pub kind: Kind,
    /// Their names, in order.
    pub names: Vec<OsString>,
    /// A directory that the step's own code cannot replace: a mount point in a pod.
    pub directory: PathBuf,
    /// Where their files are, below it.
    pub below: PathBuf,
}

impl Declared {
    /// `-results`: the results of the task.
    pub fn task(list: &OsStr, roots: &Roots) -> Declared {
        Declared { kind: Kind::Task, names: names(list), directory: roots.results(), below: PathBuf::new() }
    }

    /// `-step_results`: the results of the step.
    pub fn step(list: &OsStr, step_metadata_dir: &Path) -> Declared {
        let (directory, below) = beneath::mount_of(step_metadata_dir, "results");
        Declared { kind: Kind::Step, names: names(list), directory, below }
    }

    /// The names as text.
    pub fn texts(&self) -> Vec<String> {
        self.names.iter().map(|name| go_utf8(name.as_bytes()).0).collect()
    }

    /// The digest of each result file as it stands, of those up to `limit` bytes.
    pub fn digests_now(&self, limit: usize) -> Digests {
        let of = |name: &OsString| {
            let mut raw = Sha256::new();
            let take = |piece: &[u8]| raw.update(piece);
            match beneath::stream(&self.directory, &self.below.join(name), limit as u64, take) {
                Ok(None) => Digest::Absent,
                Ok(Some(true)) => Digest::Sha256(raw.finish()),
                Ok(Some(false)) => Digest::TooLarge,
                Err(_) => Digest::Unreadable,
            }
        };
        Digests(self.names.iter().map(of).collect())
    }

    /// Reads all results, of up to `limit` bytes each; absent ones are left out. `before`: the digests when the program
    /// started.
    pub fn read(&self, before: &Digests, limit: usize) -> Result<Vec<RawResult>, ResultError> {
        let mut results = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            match beneath::read(&self.directory, &self.below.join(name), limit)? {
                None => {}
                Some(Content::TooLarge) => return Err(termination::TooLarge.into()),
                Some(Content::Whole(raw)) => {
                    let found = before.0.get(index) == Some(&Digest::Sha256(sha256(&raw)));
                    results.push(RawResult { kind: self.kind, name: go_utf8(name.as_bytes()).0, raw, found });
                }
            }
        }
        Ok(results)
    }

    /// Whether all results could be read, for those that somebody else hands over.
    pub fn probe(&self) -> Result<(), ReadError> {
        let open = |name| beneath::open_regular(&self.directory, &self.below.join(name)).map(drop);
        self.names.iter().try_for_each(open)
    }
}

/// The names of a comma-separated list. If the first element is empty there are none, whatever follows; other empty
/// elements are left out.
fn names(list: &OsStr) -> Vec<OsString> {
    let mut names: Vec<OsString> = split_list(list).collect();
    if names.first().is_none_or(|first| first.is_empty()) {
        return Vec::new();
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What a result file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// There is no such file.
    Absent,
    /// SHA-256 of its bytes.
    Sha256([u8; 32]),
    /// Too large to be hashed, and to be a result.
    TooLarge,
    /// Not a regular file, or not readable.
    Unreadable,
}

/// A digest for each declared result, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests(pub Vec<Digest>);
