//! Writing the files below `/tekton/creds` (Go os.WriteFile; docs/tekton-contract.md 1.4).

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use go::{
    errno::path_error,
    json::{SyntaxError, TypeError},
    mkdir::MkdirError,
};
use nix::libc::{O_NOCTTY, O_NONBLOCK};

use super::secret::SecretError;

/// The mode of every file with credentials, before umask. A file that is there keeps its own.
pub const FILE_MODE: u32 = 0o600;

/// Why credentials were not written, in Tekton's words.
#[derive(Debug, thiserror::Error)]
pub enum CredentialWriteError {
    /// The file of a Docker Secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of a Docker Secret is no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The file of a Docker Secret is other JSON.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A folder could not be made.
    #[error(transparent)]
    Directory(#[from] MkdirError),
    /// A file could not be written.
    #[error("{}", path_error(.operation, .path, .error))]
    File {
        /// Go's name of what was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Writes a file anew.
pub fn write(path: &Path, content: &[u8]) -> Result<(), CredentialWriteError> {
    put(path, content, OpenOptions::new().write(true).create(true).truncate(true))
}

/// Writes at the end of a file.
pub fn append(path: &Path, content: &[u8]) -> Result<(), CredentialWriteError> {
    put(path, content, OpenOptions::new().append(true).create(true))
}

fn put(path: &Path, content: &[u8], options: &mut OpenOptions) -> Result<(), CredentialWriteError> {
    let failed =
        |operation| move |error| CredentialWriteError::File { operation, path: path.to_owned(), error };
    // Neither opening nor writing a FIFO waits for a reader.
    options
        .mode(FILE_MODE)
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(path)
        .map_err(failed("open"))?
        .write_all(content)
        .map_err(failed("write"))
}
