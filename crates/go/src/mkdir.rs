//! Making directories with their parents, as Go's os.MkdirAll does and says it.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use nix::libc::ENOTDIR;

use crate::errno::path_error;

/// A directory that could not be made, and which part of its path was to blame.
#[derive(Debug, thiserror::Error)]
#[error("{}", path_error("mkdir", .path, .error))]
pub struct MkdirError {
    /// The part of the path.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// Makes the directory and its parents, 0777 before umask; it may exist already. An empty path is the current directory.
pub fn make_all(path: &Path) -> Result<(), MkdirError> {
    make_all_of(path, 0o777)
}

/// As [`make_all`], with another mode before umask.
pub fn make_all_of(path: &Path, mode: u32) -> Result<(), MkdirError> {
    let failed = |error| MkdirError { path: path.to_owned(), error };
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(failed(io::Error::from_raw_os_error(ENOTDIR))),
        Err(_) => {}
    }
    if let Some(parent) = path.parent() {
        make_all_of(parent, mode)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        // Somebody else may have made it meanwhile.
        Err(error) if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) => Err(failed(error)),
        _ => Ok(()),
    }
}
