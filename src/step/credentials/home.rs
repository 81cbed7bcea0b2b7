//! The copy of `/tekton/creds` in `$HOME`, where Git, SSH and Docker look (docs/tekton-contract.md 1.4; Tekton
//! pkg/credentials/writer CopyCredsToHome). What is in `$HOME` may come from the image or from an earlier step.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use go::{
    errno::path_error,
    filepath::join,
    mkdir::{self, MkdirError},
    text::quote,
};
use nix::libc::{O_NOCTTY, O_NONBLOCK};

use super::files::FILE_MODE;
use crate::step::init::copy_bytes;

/// What is copied, in this order.
const ITEMS: [&str; 4] = [".docker", ".gitconfig", ".git-credentials", ".ssh"];

/// The mode of a folder, before umask. One that is there keeps its own.
const FOLDER_MODE: u32 = 0o700;

/// Why credentials are not in `$HOME`. The step goes on all the same.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is no home.
    #[error(
        "non-fatal error copying credentials: \"error getting the user's home directory: $HOME is not defined\""
    )]
    Undefined,
    /// One item failed; the others are copied.
    #[error(
        "warning: unsuccessful cred copy: {} from {} to {}: {error}",
        quote(OsStr::new(.item)), quote(.creds.as_os_str()), quote(.home.as_os_str())
    )]
    Item {
        /// The item.
        item: &'static str,
        /// The folder it is copied from.
        creds: PathBuf,
        /// The folder it is copied to.
        home: PathBuf,
        /// What failed.
        error: CopyError,
    },
}

/// Why an item was not copied, in Tekton's words.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file operation.
    #[error("{purpose}: {}", path_error(.operation, .path, .error))]
    File {
        /// What it was for.
        purpose: &'static str,
        /// Go's name of the operation.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder could not be made.
    #[error("unable to create destination directory: {0}")]
    Folder(#[from] MkdirError),
    /// A FIFO, socket or device in `/tekton/creds`.
    #[error("unable to open source: {}: neither a regular file nor a directory", .path.display())]
    NotRegular {
        /// What it is.
        path: PathBuf,
    },
}

/// Copies what there is. `home` is `$HOME` of the process.
pub fn copy(creds: &Path, home: Option<&OsStr>) -> Vec<HomeError> {
    if !creds.is_dir() {
        return Vec::new();
    }
    let Some(home) = home.filter(|home| !home.is_empty()) else {
        return vec![HomeError::Undefined];
    };
    let mut errors = Vec::new();
    for item in ITEMS {
        if let Err(error) = copy_item(&creds.join(item), &join(&[home, OsStr::new(item)])) {
            errors.push(HomeError::Item { item, creds: creds.to_owned(), home: home.into(), error });
        }
    }
    errors
}

/// Tekton tryCopyCred: what does not exist is no error.
fn copy_item(source: &Path, destination: &Path) -> Result<(), CopyError> {
    let found = match fs::symlink_metadata(source) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("unable to read source file info", "lstat", source)(error)),
    };
    let opened = if found.is_dir() {
        fs::read_dir(source).map(Source::Folder)
    } else {
        // Opening a FIFO must not wait for somebody to write.
        OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(source).map(Source::File)
    };
    match opened {
        Ok(Source::Folder(entries)) => copy_folder(source, entries, destination),
        Ok(Source::File(file)) => copy_file(source, file, destination),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("unable to open source", "open", source)(error)),
    }
}

enum Source {
    Folder(fs::ReadDir),
    File(File),
}

fn copy_folder(source: &Path, entries: fs::ReadDir, destination: &Path) -> Result<(), CopyError> {
    mkdir::make_all_of(destination, FOLDER_MODE)?;
    let names: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()
        .map_err(failed("unable to read subdirectories of source", "readdirent", source))?;
    names.iter().try_for_each(|name| copy_item(&source.join(name), &destination.join(name)))
}

fn copy_file(source: &Path, mut from: File, destination: &Path) -> Result<(), CopyError> {
    let found = from.metadata().map_err(failed("unable to open source", "stat", source))?;
    if !found.is_file() && !found.is_dir() {
        return Err(CopyError::NotRegular { path: source.to_owned() });
    }
    // With the credentials' own folder as home, opening would empty the file.
    if fs::metadata(destination).is_ok_and(|there| (there.dev(), there.ino()) == (found.dev(), found.ino())) {
        return Ok(());
    }
    // For reading too, as Tekton does: so a FIFO there is opened and written without anybody who reads.
    let mut to = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(destination)
        .map_err(failed("unable to open destination", "open", destination))?;
    copy_bytes(&mut from, &mut to).map_err(failed(
        "error copying from source to destination",
        "write",
        destination,
    ))
}

fn failed(
    purpose: &'static str,
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> CopyError {
    let path = path.to_owned();
    move |error| CopyError::File { purpose, operation, path, error }
}
