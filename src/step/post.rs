//! The files that tell other steps how this one ended: post file and `exitCode` (contract 3; Tekton
//! cmd/entrypoint/post_writer.go).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::directories::{self, MkdirError};
use super::go_text::{join, path_error, quote};

/// Why such a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Its directory.
    #[error("Error creating parent directory of {}: {error}", quote(.file.as_os_str()))]
    Parent {
        /// The file.
        file: PathBuf,
        /// Which directory, and why.
        error: MkdirError,
    },
    /// The file itself.
    #[error("Creating {}: {}", quote(.file.as_os_str()), path_error("open", .file, .error))]
    Create {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its content.
    #[error("Writing {}: {}", quote(.file.as_os_str()), path_error("write", .file, .error))]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Writes the post file, with `.err` appended if the step failed; nothing if the flag is empty.
pub fn post(file: &Path, ok: bool) -> Result<(), PostError> {
    if file.as_os_str().is_empty() {
        return Ok(());
    }
    let mut name = file.as_os_str().to_owned();
    if !ok {
        name.push(".err");
    }
    write(Path::new(&name), "")
}

/// Writes the `exitCode` file of the step's metadata directory.
pub fn exit_code(step_metadata_dir: &Path, content: &str) -> Result<(), PostError> {
    write(&join(&[step_metadata_dir.as_os_str(), OsStr::new("exitCode")]), content)
}

fn write(file: &Path, content: &str) -> Result<(), PostError> {
    let at = || file.to_owned();
    if let Some(parent) = file.parent() {
        directories::make_all(parent).map_err(|error| PostError::Parent { file: at(), error })?;
    }
    let mut created = File::create(file).map_err(|error| PostError::Create { file: at(), error })?;
    created.write_all(content.as_bytes()).map_err(|error| PostError::Write { file: at(), error })
}
