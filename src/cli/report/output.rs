//! Where a report goes.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Writes a file that gets its name when it is whole.
pub(in crate::cli) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut output = Output::create(path)?;
    if let Output::File(file) = &mut output {
        file.write_all(content)?;
    }
    output.commit()
}

/// Standard output, or a file.
pub(super) enum Output {
    Stdout,
    File(ReportFile),
}

/// A file that gets its name when it is whole. Dropped before that, it leaves nothing behind.
pub(super) struct ReportFile {
    path: PathBuf,
    /// `None`: a device or pipe, which is written as it is.
    temporary: Option<PathBuf>,
    writer: BufWriter<File>,
}

impl Output {
    /// Opens a file beside `path`; a link is followed, so that it stays a link.
    pub(super) fn create(path: &Path) -> io::Result<Output> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            let writer = BufWriter::new(OpenOptions::new().write(true).open(&path)?);
            return Ok(Output::File(ReportFile { path, temporary: None, writer }));
        }
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let Some(name) = path.file_name() else { return Err(io::Error::from(io::ErrorKind::InvalidInput)) };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(hidden);
        // Never through somebody else's link, and never twice into one file.
        let writer = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(&temporary)?);
        Ok(Output::File(ReportFile { path, temporary: Some(temporary), writer }))
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Output::Stdout => "standard output".to_owned(),
            Output::File(file) => file.path.display().to_string(),
        }
    }

    /// Everything reaches the disk, then the file gets its name.
    pub(super) fn commit(self) -> io::Result<()> {
        let Output::File(mut file) = self else { return Ok(()) };
        file.writer.flush()?;
        let Some(temporary) = &file.temporary else { return Ok(()) };
        file.writer.get_ref().sync_all()?;
        fs::rename(temporary, &file.path)?;
        file.temporary = None;
        Ok(())
    }
}

impl Write for ReportFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}
