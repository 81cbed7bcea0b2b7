//! Reading a file that the step's own code made, without being led astray by it (docs/architecture.md 4.3).
//!
//! No symbolic link is followed below the directory, nothing outside it is reached, and only a regular file is read: a
//! FIFO cannot make us wait and a device cannot be touched. Reading ends at a limit.

use std::{
    fs::File,
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use go::{errno::errno_reason, filepath::join};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat},
    sys::{
        stat::Mode,
        statfs::{FUSE_SUPER_MAGIC, fstatfs},
    },
};

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("{operation} {}: {}", .path.display(), errno_reason(*.errno))]
    System {
        /// Go's name of what was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// A symbolic link on the way, or a way out of the directory.
    #[error(
        "open {}: leads through a symbolic link or out of its directory, which is not followed; write a regular file there",
        .path.display()
    )]
    Link {
        /// The file.
        path: PathBuf,
    },
    /// A FIFO, socket or device.
    #[error("read {}: not a regular file; write a regular file there", .path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
}

impl ReadError {
    /// The same error, told of the path by which users know the file.
    pub fn at(mut self, known: &Path) -> Self {
        let (Self::System { path, .. } | Self::Link { path } | Self::NotRegular { path }) = &mut self;
        known.clone_into(path);
        self
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// The whole file.
    Whole(Vec<u8>),
    /// The file is larger than the limit.
    TooLarge,
}

/// Where a file of a step's metadata directory is looked for: `/tekton/run/<i>` is a mount, but the step's own code may put
/// anything in the place of `status` and of what is in it. Returns the mount and the path below it.
pub fn mount_of(step_metadata_dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    match (step_metadata_dir.parent(), step_metadata_dir.file_name()) {
        (Some(parent), Some(last)) => (parent.to_owned(), Path::new(last).join(name)),
        _ => (step_metadata_dir.to_owned(), PathBuf::from(name)),
    }
}

/// What shows that a file was changed, exchanged, or given another owner or mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    waits_to_close: bool,
}

/// A change may show the time of the kernel's last tick, a hundredth of a second at the most.
const TICK: Duration = Duration::from_millis(20);
/// A file system that keeps whole seconds may keep even ones only (FAT).
const WHOLE_SECONDS: Duration = Duration::from_secs(2);

impl FileIdentity {
    fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            file: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            // A FUSE file system that does not say so fails.
            waits_to_close: fstatfs(file).map_or(true, |found| found.filesystem_type() == FUSE_SUPER_MAGIC),
        })
    }

    /// True if the end of a program's use of the file waits for whoever serves the file system, also where the use is an inherited
    /// one that ends by execve(2): no program can be started while it is open.
    pub fn waits_to_close(&self) -> bool {
        self.waits_to_close
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// True if a change that is made from now on shows, because the last one was long enough ago.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let granularity = if nanoseconds == 0 { WHOLE_SECONDS } else { TICK };
        let changed = Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
            + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
        now.duration_since(UNIX_EPOCH).is_ok_and(|now| now >= changed + granularity)
    }
}

/// The identity of `name` beneath `directory`, if it is a regular file that can be read. `None` if it does not exist.
pub fn identity(directory: &Path, name: &Path) -> Result<Option<FileIdentity>, ReadError> {
    let Some(file) = open_regular(directory, name)? else { return Ok(None) };
    identity_of(&file, directory, name).map(Some)
}

fn identity_of(file: &File, directory: &Path, name: &Path) -> Result<FileIdentity, ReadError> {
    FileIdentity::of(file).map_err(|error| unreadable(directory, name, &error))
}

/// Reads `name` beneath `directory`, up to `limit` bytes. `None` if it does not exist.
pub fn read(directory: &Path, name: &Path, limit: usize) -> Result<Option<FileContent>, ReadError> {
    Ok(read_identified(directory, name, limit)?.map(|(content, _)| content))
}

/// The same, with the file's identity after it was read.
pub fn read_identified(
    directory: &Path,
    name: &Path,
    limit: usize,
) -> Result<Option<(FileContent, FileIdentity)>, ReadError> {
    let Some(file) = open_regular(directory, name)? else { return Ok(None) };
    let mut content = Vec::new();
    // One byte more than the limit shows that there is more; the file's size is only a claim while others may write.
    let read =
        (&file).take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut content);
    read.map_err(|error| unreadable(directory, name, &error))?;
    let identity = identity_of(&file, directory, name)?;
    let content = if content.len() > limit { FileContent::TooLarge } else { FileContent::Whole(content) };
    Ok(Some((content, identity)))
}

/// Reads `name` beneath `directory` piece by piece, up to `limit` bytes. `None` if it does not exist; true if `take` was given
/// the whole file, with its identity after that.
pub fn stream(
    directory: &Path,
    name: &Path,
    limit: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<Option<(bool, FileIdentity)>, ReadError> {
    let Some(mut file) = open_regular(directory, name)? else { return Ok(None) };
    let mut buffer = vec![0; 64 * 1024];
    let mut left = limit;
    loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => return Ok(Some((true, identity_of(&file, directory, name)?))),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(directory, name, &error)),
        };
        match left.checked_sub(length) {
            Some(less) => left = less,
            None => return Ok(Some((false, identity_of(&file, directory, name)?))),
        }
        take(&buffer[..length]);
    }
}

/// Opens `name` beneath `directory` if it is a regular file. `None` if it does not exist.
pub fn open_regular(directory: &Path, name: &Path) -> Result<Option<File>, ReadError> {
    let path = || join(&[directory.as_os_str(), name.as_os_str()]);
    let file = match open(directory, name) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP | Errno::EXDEV) => return Err(ReadError::Link { path: path() }),
        // A socket, or a device without a driver.
        Err(Errno::ENXIO) => return Err(ReadError::NotRegular { path: path() }),
        Err(errno) => return Err(ReadError::System { operation: "open", path: path(), errno }),
    };
    let kind = file.metadata().map_err(|error| unreadable(directory, name, &error))?.file_type();
    if kind.is_dir() {
        return Err(ReadError::System { operation: "read", path: path(), errno: Errno::EISDIR });
    }
    if !kind.is_file() {
        return Err(ReadError::NotRegular { path: path() });
    }
    Ok(Some(file))
}

fn unreadable(directory: &Path, name: &Path, error: &io::Error) -> ReadError {
    let path = join(&[directory.as_os_str(), name.as_os_str()]);
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    ReadError::System { operation: "read", path, errno }
}

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
const FILE: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

fn open(directory: &Path, name: &Path) -> Result<OwnedFd, Errno> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    // The directory itself may be reached by any path: it is Tekton's, not the step's. It need not be one that can be listed.
    let root = openat(AT_FDCWD, directory, DIRECTORY, Mode::empty())?;
    let how = OpenHow::new().flags(FILE).resolve(
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    match openat2(&root, name, how) {
        Err(errno @ (Errno::ENOENT | Errno::ELOOP | Errno::EXDEV | Errno::ENXIO)) => Err(errno),
        // Older than Linux 5.6, or barred by a seccomp profile that does not know the call, with whatever error; or the file's own
        // error, which is then found again.
        Err(_) => open_by_parts(root, name),
        opened => opened,
    }
}

/// The same for kernels without openat2: one part of the path at a time.
fn open_by_parts(root: OwnedFd, name: &Path) -> Result<OwnedFd, Errno> {
    let mut at = root;
    let mut parts = name.components().peekable();
    while let Some(part) = parts.next() {
        let part = match part {
            Component::Normal(part) => part,
            Component::CurDir => continue,
            // As openat2 says it.
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(Errno::EXDEV),
        };
        let last = parts.peek().is_none();
        let flags = if last { FILE } else { DIRECTORY };
        at = match openat(&at, part, flags | OFlag::O_NOFOLLOW, Mode::empty()) {
            // What openat says of a link where a directory must be.
            Err(Errno::ENOTDIR) if readlinkat(&at, part).is_ok() => return Err(Errno::ELOOP),
            opened => opened?,
        };
        if last {
            return Ok(at);
        }
    }
    Err(Errno::EISDIR)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_ways_of_opening_agree() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("results");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(inside.join("plain"), "value").unwrap();
        std::fs::write(inside.join("sub/deep"), "value").unwrap();
        symlink("plain", inside.join("link")).unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink("sub", inside.join("dirlink")).unwrap();
        for (name, opened) in [
            ("plain", Ok(())),
            ("sub/deep", Ok(())),
            ("absent", Err(Errno::ENOENT)),
            ("link", Err(Errno::ELOOP)),
            ("out", Err(Errno::ELOOP)),
            ("../secret", Err(Errno::EXDEV)),
            ("/etc/passwd", Err(Errno::EXDEV)),
        ] {
            let root = || openat(AT_FDCWD, &inside, DIRECTORY, Mode::empty()).unwrap();
            assert_eq!(open(&inside, Path::new(name)).map(drop), opened, "openat2 of {name}");
            assert_eq!(open_by_parts(root(), Path::new(name)).map(drop), opened, "by parts, {name}");
        }
        for open in [open(&inside, Path::new("dirlink/deep")), {
            let root = openat(AT_FDCWD, &inside, DIRECTORY, Mode::empty()).unwrap();
            open_by_parts(root, Path::new("dirlink/deep"))
        }] {
            assert!(matches!(open, Err(Errno::ELOOP)), "a linked directory: {open:?}");
        }
    }
}
