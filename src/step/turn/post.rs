//! The files that tell other steps how this one ended: post file and `exitCode` (docs/tekton-contract.md 3; Tekton
//! cmd/entrypoint/post_writer.go).

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use go::{
    errno::path_error,
    filepath::join,
    mkdir::{self, MkdirError},
    text::quote,
};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::{Mode, SFlag, mknod},
};

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
    let file = posted(file, ok);
    make_parent(&file)?;
    touch(&file).map_err(|error| PostError::Create { file, error })
}

fn posted(file: &Path, ok: bool) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    if !ok {
        name.push(".err");
    }
    name.into()
}

/// The post file under another name, as long as it is not certain how the step ends. It is made before the outcome is signed: what
/// stands in its way makes the step fail, and a signed outcome has to be the one that the container ends with.
pub struct PreparedPost {
    file: PathBuf,
    made: Option<PathBuf>,
}

impl PreparedPost {
    /// Makes it. `ok`: how the step ends as far as is known, for the error's words.
    pub fn new(file: &Path, ok: bool) -> Result<Self, PostError> {
        let mut made = None;
        if !file.as_os_str().is_empty() {
            let posted = posted(file, ok);
            make_parent(&posted)?;
            // Its name may be one that no file can have.
            if let Err(error) = fs::symlink_metadata(&posted)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(PostError::Create { file: posted, error });
            }
            made = match make_beside(&posted, create_new) {
                Ok((path, ())) => Some(path),
                Err(error) if can_do_without(&error, &posted) => None,
                Err(error) => return Err(PostError::Create { file: posted, error }),
            };
        }
        Ok(Self { file: file.to_owned(), made })
    }

    /// Gives it its name.
    pub fn publish(self, ok: bool) -> Result<(), PostError> {
        match self.made {
            Some(made) if fs::rename(&made, posted(&self.file, ok)).is_ok() => Ok(()),
            made => {
                forget(made);
                post(&self.file, ok)
            }
        }
    }

    /// Takes it away: somebody else tells the steps after this one.
    pub fn withdraw(self) {
        forget(self.made);
    }
}

/// A file that has no name yet by which anybody knows it.
fn forget(made: Option<PathBuf>) {
    if let Some(made) = made {
        let _ = fs::remove_file(made);
    }
}

/// True if the file can be written in its place all the same: it is there, or only other names are taken, by the step's own code.
fn can_do_without(error: &io::Error, file: &Path) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists || fs::symlink_metadata(file).is_ok()
}

/// Makes a file in the directory of another one, under a name of its own.
fn make_beside<T>(file: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    let process = std::process::id();
    let mut outcome = Err(Errno::EEXIST.into());
    for attempt in 0..ATTEMPTS {
        let path = file.with_file_name(format!(".unfinished-{process}-{attempt}"));
        outcome = make(&path).map(|made| (path, made));
        if outcome.as_ref().err().is_none_or(|error| error.kind() != io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    outcome
}

/// Makes an empty file that is not there yet.
fn create_new(file: &Path) -> io::Result<()> {
    match mknod(file, SFlag::S_IFREG, Mode::from_bits_truncate(0o666), 0) {
        Err(Errno::EEXIST) if fs::symlink_metadata(file).is_ok() => Err(Errno::EEXIST.into()),
        // File systems and policies refuse mknod with many an error; what else is wrong, opening finds too.
        Err(_) => open_new(file).map(drop),
        Ok(()) => Ok(()),
    }
}

fn open_new(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(file)
}

/// How often something may come and go in a file's place before it is opened all the same.
const ATTEMPTS: usize = 16;

/// Makes an empty file without opening it: that needs no descriptor, follows no link and never waits, whatever the step's
/// own code has put there. The steps that wait look only whether there is something.
fn touch(file: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        match create_new(file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        match fs::symlink_metadata(file) {
            Ok(found) if found.is_symlink() => fs::remove_file(file)?,
            Ok(found) if found.is_file() => break,
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    regular(file).map(drop)
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

/// The `exitCode` file of the step's metadata directory, whole, but under another name, as [`PreparedPost`] is.
pub struct PreparedExitCode {
    file: PathBuf,
    content: String,
    made: Option<PathBuf>,
}

impl PreparedExitCode {
    /// Writes it.
    pub fn new(step_metadata_dir: &Path, content: String) -> Result<Self, PostError> {
        let file = join(&[step_metadata_dir.as_os_str(), OsStr::new("exitCode")]);
        make_parent(&file)?;
        if fs::symlink_metadata(&file).is_ok_and(|there| there.is_dir()) {
            return Err(PostError::Create { file, error: Errno::EISDIR.into() });
        }
        let made = match make_beside(&file, open_new) {
            Ok((path, mut opened)) => match opened.write_all(content.as_bytes()) {
                Ok(()) => Some(path),
                Err(error) => {
                    forget(Some(path));
                    return Err(PostError::Write { file, error });
                }
            },
            Err(error) if can_do_without(&error, &file) => None,
            Err(error) => return Err(PostError::Create { file, error }),
        };
        Ok(Self { file, content, made })
    }

    /// Gives it its name.
    pub fn publish(self) -> Result<(), PostError> {
        let Self { file, content, made } = self;
        if let Some(made) = made {
            if fs::rename(&made, &file).is_ok() {
                return Ok(());
            }
            forget(Some(made));
        }
        match regular(&file) {
            Ok(mut opened) => {
                opened.write_all(content.as_bytes()).map_err(|error| PostError::Write { file, error })
            }
            Err(error) => Err(PostError::Create { file, error }),
        }
    }

    /// Takes it away: the step has failed after all, and then there is none.
    pub fn withdraw(self) {
        forget(self.made);
    }
}

fn make_parent(file: &Path) -> Result<(), PostError> {
    let Some(parent) = file.parent() else { return Ok(()) };
    mkdir::make_all(parent).map_err(|error| PostError::Parent { file: file.to_owned(), error })
}
