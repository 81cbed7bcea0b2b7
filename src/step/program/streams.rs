//! Copies of the program's output: `-stdout_path`, `-stderr_path` (docs/tekton-contract.md 3.7).

use std::{
    fs::{File, OpenOptions},
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::{fd::AsFd, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use go::{
    errno::path_error,
    mkdir::{self, MkdirError},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};

use crate::step::program::sys;

/// Why a stream cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The directory for the copy.
    #[error("error creating parent directory: {0}")]
    Parent(MkdirError),
    /// The file of the copy.
    #[error("error opening {}: {}", .path.display(), path_error("open", .path, .error))]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No pipe or no thread could be made.
    #[error("cannot copy the output to {}: {error}", .path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The copy broke off while the program ran.
    #[error("{}", path_error("write", .path, .error))]
    Write {
        /// The file, or `/dev/stdout`, `/dev/stderr`.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Which of our own streams the copy also goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Opens the file for a copy: parents made, appended to, 0644 before umask (Tekton cmd/entrypoint/runner.go).
pub fn open(path: &Path) -> Result<File, StreamError> {
    if let Some(parent) = path.parent() {
        mkdir::make_all(parent).map_err(StreamError::Parent)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
        .map_err(|error| StreamError::Open { path: path.to_owned(), error })
}

/// A thread that copies one stream until every holder of its other end has closed it. Its end wakes the wait loop.
pub struct Copy {
    thread: Option<JoinHandle<Result<(), StreamError>>>,
    ended: Arc<AtomicBool>,
}

/// Says that the thread has ended, however it does. A SIGCHLD wakes the loop: that takes no descriptor, of which there may be few.
struct Ending(Arc<AtomicBool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        sys::send(nix::unistd::getpid().as_raw(), sys::number(Signal::SIGCHLD));
    }
}

impl Copy {
    /// Starts the thread; returns with it the end of the pipe that becomes the program's stream.
    pub fn start(stream: Stream, file: File, path: &Path) -> Result<(Self, PipeWriter), StreamError> {
        let failed = |error| StreamError::Start { path: path.to_owned(), error };
        let (output, for_program) = io::pipe().map_err(failed)?;
        let file_path = path.to_owned();
        let ended = Arc::new(AtomicBool::new(false));
        let ending = Ending(Arc::clone(&ended));
        let thread = std::thread::Builder::new()
            .spawn(move || {
                let _ending = ending;
                copy(stream, output, file, file_path)
            })
            .map_err(failed)?;
        Ok((Self { thread: Some(thread), ended }, for_program))
    }

    /// True once everything is copied.
    pub fn complete(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// How the copy went; waits for the thread.
    pub fn finish(mut self) -> Result<(), StreamError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(copied)) => copied,
            // The thread panicked; the panic message is on stderr and the copy is incomplete all the same.
            Some(Err(_)) | None => Ok(()),
        }
    }
}

fn copy(stream: Stream, mut output: PipeReader, mut file: File, path: PathBuf) -> Result<(), StreamError> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = match output.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StreamError::Write { path, error }),
        };
        // Ours first, then the file, as Go's io.MultiWriter; the first error ends the copy and closes the pipe.
        let (own, name) = match stream {
            Stream::Out => (write_all(io::stdout(), &buffer[..length]), "/dev/stdout"),
            Stream::Err => (write_all(io::stderr(), &buffer[..length]), "/dev/stderr"),
        };
        own.map_err(|error| StreamError::Write { path: PathBuf::from(name), error })?;
        if let Err(error) = file.write_all(&buffer[..length]) {
            return Err(StreamError::Write { path, error });
        }
    }
}

/// Writes all of it to a stream that we were given. One in non-blocking mode whose reader is slow is waited for, as Go does.
pub fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(&stream, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let _ = poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
