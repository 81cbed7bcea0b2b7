//! The step's artifacts (docs/tekton-contract.md 3.11; Tekton pkg/entrypoint/entrypointer.go appendArtifactOutputs).

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use go::filepath::join;

use crate::{
    step::{
        output::beneath::{self, FileContent, ReadError},
        roots::Roots,
    },
    tekton::termination::{Entry, EntryType},
};

/// The name of the file, below a directory `artifacts`.
pub(super) const PROVENANCE: &str = "artifacts/provenance.json";

/// Why artifacts cannot be handed over: the log line that Tekton ends with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The step's file.
    #[error("Error while handling step artifacts: {0}")]
    Step(#[source] ReadError),
    /// The task's file.
    #[error("Error while handling task artifacts: {0}")]
    Task(#[source] ReadError),
}

/// One artifact file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceFile {
    /// The entry for the termination message.
    pub entry: Entry,
    /// The file's bytes; cut where they are too many for any message.
    pub raw: Vec<u8>,
}

/// The artifact files of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvenanceFiles {
    /// `<step_metadata_dir>/artifacts/provenance.json`
    pub step: Option<ProvenanceFile>,
    /// `/tekton/artifacts/provenance.json`
    pub task: Option<ProvenanceFile>,
}

impl ProvenanceFiles {
    /// Reads both files; an absent one is none. `limit`: the most bytes that fit into a message.
    pub fn read(step_metadata_dir: &Path, roots: &Roots, limit: usize) -> Result<Self, ArtifactError> {
        Ok(Self {
            step: read(
                step_metadata_dir,
                beneath::mount_of(step_metadata_dir, PROVENANCE),
                EntryType::StepArtifacts,
                limit,
            )
            .map_err(ArtifactError::Step)?,
            task: read(
                &roots.tekton,
                (roots.tekton.clone(), PROVENANCE.into()),
                EntryType::TaskArtifacts,
                limit,
            )
            .map_err(ArtifactError::Task)?,
        })
    }

    /// Their entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.step.iter().chain(&self.task).map(|artifact| artifact.entry.clone())
    }
}

fn read(
    directory: &Path,
    (mount, below): (PathBuf, PathBuf),
    kind: EntryType,
    limit: usize,
) -> Result<Option<ProvenanceFile>, ReadError> {
    let raw = match beneath::read(&mount, &below, limit)? {
        None => return Ok(None),
        Some(FileContent::Whole(raw)) => raw,
        // So large an entry fits no message: the message is refused as too large, as Tekton's is.
        Some(FileContent::TooLarge) => vec![b' '; limit + 1],
    };
    let path = join(&[directory.as_os_str(), OsStr::new(PROVENANCE)]);
    Ok(Some(ProvenanceFile { entry: Entry::artifact(&path, &raw, kind), raw }))
}
