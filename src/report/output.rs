//! Where a report goes.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags},
    libc::O_TMPFILE,
    sys::signal::{SigSet, SigmaskHow},
    unistd::linkat,
};

/// Writes a file that gets its name when it is whole.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut output = Output::create(&resolved(path))?;
    if let Output::File(file) = &mut output {
        file.write_all(content)?;
    }
    output.commit()
}

/// The same by somebody who is alone with the file: what an earlier process has left unfinished, perhaps under the same number, is not in
/// the way.
pub(crate) fn write_whole_alone(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(left) = hidden(&resolved(path)) {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    write_whole(path, content)
}

/// Standard output, or a file.
pub(super) enum Output {
    Stdout,
    File(ReportFile),
}

/// A file that gets its name when it is whole. Dropped before that, it leaves nothing behind.
pub(super) struct ReportFile {
    path: PathBuf,
    until_whole: UntilWhole,
    writer: BufWriter<File>,
}

/// What a file is called while it is written.
enum UntilWhole {
    /// Nothing: however the program ends, the file is gone.
    Unnamed,
    /// The file system has no files without a name.
    Hidden(PathBuf),
    /// A device or pipe, which is written as it is.
    AsItIs,
}

impl Output {
    /// Opens a file that is to be at `path`, which is [`resolved`].
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let opened = |file, until_whole| {
            Ok(Self::File(ReportFile { path: path.clone(), until_whole, writer: BufWriter::new(file) }))
        };
        if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            return opened(OpenOptions::new().write(true).open(&path)?, UntilWhole::AsItIs);
        }
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let hidden = hidden(&path).ok_or(io::ErrorKind::InvalidInput)?;
        if let Some(file) = unnamed(&path) {
            return opened(file, UntilWhole::Unnamed);
        }
        // Never through somebody else's link, and never twice into one file.
        let file = OpenOptions::new().write(true).create_new(true).open(&hidden)?;
        opened(file, UntilWhole::Hidden(hidden))
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(file) => file.path.display().to_string(),
        }
    }

    /// Whether what was written can be seen although the rest is missing.
    pub(super) fn shows_parts(&self) -> bool {
        match self {
            Self::Stdout => true,
            Self::File(file) => matches!(file.until_whole, UntilWhole::AsItIs),
        }
    }

    /// Everything reaches the disk, then the file gets its name.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        let Self::File(ReportFile { path, until_whole, writer }) = self else { return Ok(()) };
        writer.flush()?;
        match until_whole {
            UntilWhole::AsItIs => return Ok(()),
            UntilWhole::Hidden(hidden) => {
                writer.get_ref().sync_all()?;
                fs::rename(hidden, path)?;
            }
            UntilWhole::Unnamed => {
                writer.get_ref().sync_all()?;
                name(writer.get_ref(), path)?;
            }
        }
        *until_whole = UntilWhole::AsItIs;
        Ok(())
    }
}

/// The place that a path leads to: a link is followed, so that it stays a link.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let in_folder = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}

/// The name beside `path` of a file that is not whole; `None` if `path` is the name of no file.
fn hidden(path: &Path) -> Option<PathBuf> {
    let mut hidden = OsString::from(".");
    hidden.push(path.file_name()?);
    hidden.push(format!(".{}.partial", std::process::id()));
    Some(path.with_file_name(hidden))
}

/// A file without a name in the folder of `path`, if the file system has such files and there is a way to name it later.
fn unnamed(path: &Path) -> Option<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = OpenOptions::new().write(true).custom_flags(O_TMPFILE).open(folder).ok()?;
    descriptor(&file).exists().then_some(file)
}

fn descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives a file without a name this one, in place of what may have it.
fn name(file: &File, path: &Path) -> io::Result<()> {
    let link = |path: &Path| linkat(AT_FDCWD, &descriptor(file), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW);
    match link(path) {
        Err(Errno::EEXIST) => {}
        linked => return Ok(linked?),
    }
    // A link replaces nothing, so it takes two steps; no signal comes between them.
    let hidden = hidden(path).ok_or(io::ErrorKind::InvalidInput)?;
    let signals = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let named = match link(&hidden) {
        Ok(()) => fs::rename(&hidden, path).inspect_err(|_| drop(fs::remove_file(&hidden))),
        Err(error) => Err(error.into()),
    };
    signals.thread_set_mask()?;
    named
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
        if let UntilWhole::Hidden(hidden) = &self.until_whole {
            let _ = fs::remove_file(hidden);
        }
    }
}
