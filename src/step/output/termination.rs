//! Writing the termination message to the kubelet's file (docs/tekton-contract.md 3.12; Tekton pkg/termination/write.go).

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use go::errno::path_error;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::Mode,
};

use crate::tekton::termination::{Encoding, Entry, TooLarge};

/// Why the message was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It does not fit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The system refused.
    #[error("{}", path_error(.operation, .path, .error))]
    System {
        /// Go's name of what was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What is there is not the kubelet's file.
    #[error(
        "open {}: is a symbolic link or not a regular file, so something put it in the place of the termination message; \
         it is not written",
        .path.display()
    )]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
}

impl WriteError {
    /// Whether it was for want of a descriptor.
    pub fn lacks_descriptors(&self) -> bool {
        matches!(self, Self::System { error, .. } if error.raw_os_error().map(Errno::from_raw) == Some(Errno::EMFILE))
    }
}

/// Writes the message once, whole. What was in the file is not merged in (docs/architecture.md 4.3). The file is a mount of the
/// kubelet's, which cannot be replaced, so it is emptied and written in one go; a link in its place is not followed.
/// Unlike Tekton we do not have it put on the disk: its one reader is the kubelet of this node, and of a node that goes down
/// no container's message is read.
pub fn write(path: &Path, entries: &[Entry], encoding: Encoding) -> Result<(), WriteError> {
    let message = encoding.fit(entries)?;
    let failed = |operation| move |error| WriteError::System { operation, path: path.to_owned(), error };
    let flags = OFlag::O_WRONLY
        | OFlag::O_CREAT
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    // Emptied by opening, as Go does it; ftruncate(2) is one more call that a policy may bar.
    let open = || {
        openat(AT_FDCWD, path, flags | OFlag::O_TRUNC, Mode::from_bits_truncate(0o666))
            .map(std::fs::File::from)
    };
    let mut file = match open() {
        Ok(file) => file,
        Err(Errno::ELOOP | Errno::ENXIO) => return Err(WriteError::NotRegular { path: path.to_owned() }),
        Err(errno) => return Err(failed("open")(errno.into())),
    };
    if !file.metadata().map_err(failed("stat"))?.is_file() {
        return Err(WriteError::NotRegular { path: path.to_owned() });
    }
    file.write_all(message.as_bytes()).map_err(|error| {
        // A part of a message is none, and the controller would try for ever to read it.
        let _ = open();
        failed("write")(error)
    })
}
