//! Where a command takes TaskRuns from.

use std::{fs, path::PathBuf};

use clap::Args;

use crate::sources::{
    files::{COMPRESSED_ENDINGS, NamePattern, Sources},
    walk::Walked,
};

/// Files, folders, standard input, and what of them is meant.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Files or folders with TaskRuns (JSON, JSON lines, YAML, Lists; also compressed: gzip, zstd), or - for standard input.
    /// In folders and their subfolders, files are read whose names end in .json, .jsonl, .ndjson, .yaml or .yml, also with .gz
    /// or .zst appended. Hidden folders (.git, ..data) are skipped; anything else found there is reported as not read
    #[arg(required = true, value_name = "TASKRUN")]
    paths: Vec<PathBuf>,
    /// In folders, read the files whose names match this pattern, for example '*.json', and leave out all others; may be given
    /// several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<NamePattern>,
    /// Accept input without any TaskRun, but nothing that could not be read
    #[arg(long)]
    allow_empty: bool,
}

impl SourceArgs {
    pub(super) fn sources(&self) -> Sources<'_> {
        Sources { paths: &self.paths, only: &self.only }
    }

    /// Whether no TaskRun at all is fine.
    pub(super) fn allows_empty(&self) -> bool {
        self.allow_empty
    }

    /// Whether there may be several files.
    pub(super) fn are_several(&self) -> bool {
        self.paths.len() > 1 || self.paths.iter().any(|path| path.is_dir())
    }

    /// The bytes of all of it, if it is files, and none of them seems to be compressed.
    pub(super) fn total_size(&self) -> Option<u64> {
        let size = |path: &PathBuf| {
            let name = path.to_string_lossy();
            let metadata = fs::metadata(path).ok()?;
            let is_counted =
                metadata.is_file() && !COMPRESSED_ENDINGS.iter().any(|ending| name.ends_with(ending));
            is_counted.then_some(metadata.len())
        };
        self.paths.iter().map(size).sum()
    }

    /// What is to be said if a walk that found nothing wrong found no TaskRun.
    pub(super) fn nothing_found(&self, walked: Walked) -> Option<&'static str> {
        match (walked.objects, walked.files_read) {
            _ if self.allow_empty => None,
            (0, 0) if !self.only.is_empty() => {
                Some("no TaskRun found: no file has a name that fits --only (--allow-empty accepts that)")
            }
            (0, 0) => Some("no TaskRun found: there is no file to read (--allow-empty accepts that)"),
            (0, _) => Some("no TaskRun found (--allow-empty accepts that)"),
            _ => None,
        }
    }
}
