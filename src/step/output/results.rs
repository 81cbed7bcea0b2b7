//! The step's results (docs/tekton-contract.md 3.10; Tekton pkg/entrypoint/entrypointer.go readResultsFromDisk).

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use go::text::utf8;

use crate::{
    evidence::sha256,
    step::{
        output::{
            beneath::{self, Content, ReadError},
            stood::Stood,
        },
        roots::Roots,
        turn::wait::split_list,
    },
};

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
    TooLarge(#[from] crate::tekton::termination::TooLarge),
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
        self.names.iter().map(|name| utf8(name.as_bytes()).0).collect()
    }

    /// Reads all results, of up to `limit` bytes each; absent ones are left out. `stood`: how they stood when the program started.
    pub fn read(&self, stood: &[Stood], limit: usize) -> Result<Vec<RawResult>, ResultError> {
        let mut results = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            match beneath::read_identified(&self.directory, &self.below.join(name), limit)? {
                None => {}
                Some((Content::TooLarge, _)) => return Err(crate::tekton::termination::TooLarge.into()),
                Some((Content::Whole(raw), identity)) => {
                    let found = stood
                        .get(index)
                        .map_or(Some(false), |stood| stood.is_same(identity, || sha256(&raw)));
                    results.push(RawResult { kind: self.kind, name: utf8(name.as_bytes()).0, raw, found });
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
