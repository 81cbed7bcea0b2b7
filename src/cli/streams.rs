//! Standard output and standard error, of which no failure goes unnoticed: what could not be written is never exit 0.

use std::{
    fs::File,
    io::{self, LineWriter, Write},
    os::fd::AsFd,
};

use crate::{io_error, verify::Verdict};

/// A stream, and the first error of writing to it.
pub(super) struct Stream {
    writer: LineWriter<File>,
    failed: Option<io::Error>,
}

impl Stream {
    /// Of an open descriptor. The standard library's own streams take a closed one for written.
    pub(super) fn of(descriptor: impl AsFd) -> io::Result<Self> {
        let file = File::from(descriptor.as_fd().try_clone_to_owned()?);
        Ok(Self { writer: LineWriter::new(file), failed: None })
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
            && self.failed.is_none()
        {
            // An error cannot be cloned, and whoever writes wants it, too.
            self.failed = Some(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            });
        }
        result
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.writer.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.writer.flush();
        self.note(result)
    }
}

/// The exit code of a command that ended with `code`, after all that it wrote: success becomes `unchecked`, if not all of it
/// was written.
pub(super) fn settle(code: u8, mut out: Stream, mut err: Stream) -> u8 {
    let _ = out.flush();
    let _ = err.flush();
    let Some(error) = out.failed.as_ref().filter(|_| code == 0) else {
        return if code == 0 && err.failed.is_some() { Verdict::Unchecked.exit_code() } else { code };
    };
    let _ = writeln!(err, "svidence: standard output could not be written: {}", io_error::words(error));
    Verdict::Unchecked.exit_code()
}
