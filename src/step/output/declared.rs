//! The results that a step declares (docs/tekton-contract.md 3.10).

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use go::text::utf8;

use crate::{
    step::{
        output::beneath::{self, ReadError},
        roots::Roots,
        turn::wait::split_list,
    },
    tekton::result_kind::ResultKind,
};

/// The results that a step declares, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredResults {
    /// Which kind.
    pub kind: ResultKind,
    /// Their names, in order.
    pub names: Vec<OsString>,
    /// A directory that the step's own code cannot replace: a mount point in a pod.
    pub directory: PathBuf,
    /// Where their files are, below it.
    pub below: PathBuf,
}

impl DeclaredResults {
    /// `-results`: the results of the task.
    pub fn task(list: &OsStr, roots: &Roots) -> Self {
        Self { kind: ResultKind::Task, names: names(list), directory: roots.results(), below: PathBuf::new() }
    }

    /// `-step_results`: the results of the step.
    pub fn step(list: &OsStr, step_metadata_dir: &Path) -> Self {
        let (directory, below) = beneath::mount_of(step_metadata_dir, "results");
        Self { kind: ResultKind::Step, names: names(list), directory, below }
    }

    /// The names as text.
    pub fn texts(&self) -> Vec<String> {
        self.names.iter().map(|name| utf8(name.as_bytes()).0).collect()
    }

    /// Whether all results could be read, for those that somebody else hands over.
    pub fn probe(&self) -> Result<(), ReadError> {
        let open = |name| beneath::open_regular(&self.directory, &self.below.join(name)).map(drop);
        self.names.iter().try_for_each(open)
    }
}

/// The names of a comma-separated list. If the first element is empty there are none, whatever follows; other empty
/// elements are left out.
pub(crate) fn names(list: &OsStr) -> Vec<OsString> {
    let mut names: Vec<OsString> = split_list(list).collect();
    if names.first().is_none_or(|first| first.is_empty()) {
        return Vec::new();
    }
    names.retain(|name| !name.is_empty());
    names
}
