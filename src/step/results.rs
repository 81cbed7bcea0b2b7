//! The step's results (contract 3.10; Tekton pkg/entrypoint/entrypointer.go readResultsFromDisk).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::beneath::{self, Content, ReadError};
use super::roots::Roots;
use super::termination::{self, MAX_MESSAGE, go_utf8};
use super::wait::split_list;

/// Result files beyond this size are not hashed.
const MAX_HASHED: usize = 64 * 1024;

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

    /// The digest of each result file as it stands.
    pub fn digests_now(&self) -> Digests {
        let of = |name: &OsString| match beneath::read(&self.directory, &self.below.join(name), MAX_HASHED) {
            Ok(None) => Digest::Absent,
            Ok(Some(Content::Whole(raw))) => Digest::sha256(&raw),
            Ok(Some(Content::TooLarge)) => Digest::TooLarge,
            Err(_) => Digest::Unreadable,
        };
        Digests(self.names.iter().map(of).collect())
    }

    /// Reads all results; absent ones are left out. `before`: the digests when the program started.
    pub fn read(&self, before: &Digests) -> Result<Vec<RawResult>, ResultError> {
        let mut results = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            match beneath::read(&self.directory, &self.below.join(name), MAX_MESSAGE)? {
                None => {}
                Some(Content::TooLarge) => return Err(termination::TooLarge.into()),
                Some(Content::Whole(raw)) => {
                    let found = before.0.get(index) == Some(&Digest::sha256(&raw));
                    results.push(RawResult { kind: self.kind, name: go_utf8(name.as_bytes()).0, raw, found });
                }
            }
        }
        Ok(results)
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

impl Digest {
    fn sha256(raw: &[u8]) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, raw).as_ref());
        Digest::Sha256(out)
    }
}

/// A digest for each declared result, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests(pub Vec<Digest>);
