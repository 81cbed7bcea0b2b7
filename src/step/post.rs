//! The files that tell other steps how this one ended: post file and `exitCode` (contract 3; Tekton
//! cmd/entrypoint/post_writer.go).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, mknod};

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
    let file = Path::new(&name);
    make_parent(file)?;
    touch(file).map_err(|error| PostError::Create { file: file.to_owned(), error })
}

/// Makes an empty file without opening it: that needs no descriptor, follows no link and never waits, whatever the step's
/// own code has put there. The steps that wait look only whether there is something.
fn touch(file: &Path) -> io::Result<()> {
    loop {
        match mknod(file, SFlag::S_IFREG, Mode::from_bits_truncate(0o666), 0) {
            Ok(()) => return Ok(()),
            Err(Errno::EEXIST) => {}
            // A file system or a seccomp profile that knows no mknod.
            Err(Errno::EPERM | Errno::ENOSYS | Errno::EOPNOTSUPP) => return regular(file).map(drop),
            Err(errno) => return Err(errno.into()),
        }
        match fs::symlink_metadata(file) {
            Ok(found) if found.is_symlink() => fs::remove_file(file)?,
            Ok(found) if found.is_file() => return Ok(nix::unistd::truncate(file, 0)?),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens a regular file, empty. What else the step's own code has put in its place is removed; nothing is waited for.
fn regular(file: &Path) -> io::Result<File> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_CREAT
        | OFlag::O_TRUNC
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    let open = || openat(AT_FDCWD, file, flags, Mode::from_bits_truncate(0o666)).map(File::from);
    match open() {
        Ok(opened) if opened.metadata()?.is_file() => return Ok(opened),
        Ok(_) | Err(Errno::ELOOP | Errno::ENXIO) => fs::remove_file(file)?,
        Err(errno) => return Err(errno.into()),
    }
    Ok(open()?)
}

/// The `exitCode` file of the step's metadata directory, open and still empty. It is opened before the outcome is signed: what
/// stands in its way makes the step fail, and a signed outcome has to be the one that the container ends with.
pub struct ExitCode {
    file: PathBuf,
    opened: File,
}

impl ExitCode {
    /// Opens it.
    pub fn open(step_metadata_dir: &Path) -> Result<ExitCode, PostError> {
        let file = join(&[step_metadata_dir.as_os_str(), OsStr::new("exitCode")]);
        make_parent(&file)?;
        match regular(&file) {
            Ok(opened) => Ok(ExitCode { file, opened }),
            Err(error) => Err(PostError::Create { file, error }),
        }
    }

    /// Writes the exit code.
    pub fn write(mut self, content: &str) -> Result<(), PostError> {
        let file = self.file;
        self.opened.write_all(content.as_bytes()).map_err(|error| PostError::Write { file, error })
    }

    /// Takes the file away again: the step has failed after all, and then there is none.
    pub fn withdraw(self) {
        // If it cannot be removed it is empty, which is no exit code.
        let _ = fs::remove_file(self.file);
    }
}

fn make_parent(file: &Path) -> Result<(), PostError> {
    let Some(parent) = file.parent() else { return Ok(()) };
    directories::make_all(parent).map_err(|error| PostError::Parent { file: file.to_owned(), error })
}
