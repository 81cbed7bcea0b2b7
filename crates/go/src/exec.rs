//! Finding the program in `PATH` (Go os/exec.LookPath; docs/tekton-contract.md 3.7).

use std::{
    ffi::{OsStr, OsString},
    fs::{self, Metadata},
    os::unix::{ffi::OsStrExt, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags},
    unistd::{AccessFlags, Gid, faccessat, getegid, geteuid, getgroups},
};

use crate::{filepath::join, text::quote};

/// Why there is no program to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The command is the empty text.
    #[error("exec: no command")]
    NoCommand,
    /// No such program in any directory of `PATH`.
    #[error("exec: {}: executable file not found in $PATH", quote(.name))]
    NotFound {
        /// The name looked for.
        name: OsString,
    },
    /// Found only by way of a relative or empty element of `PATH`.
    #[error("exec: {}: cannot run executable found relative to current directory", quote(.name))]
    Relative {
        /// The name looked for.
        name: OsString,
    },
}

/// The file to execute for a command name: a name with a slash is that file, whether it exists or not.
pub fn program(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, LookupError> {
    if name.is_empty() {
        return Err(LookupError::NoCommand);
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let not_found = || LookupError::NotFound { name: name.to_owned() };
    let path = path.filter(|path| !path.is_empty()).ok_or_else(not_found)?;
    if name == "." || name == ".." {
        return Err(not_found());
    }
    for directory in path.as_bytes().split(|&b| b == b':') {
        let directory = if directory.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(directory) };
        let file = join(&[directory, name]);
        if executable(&file) {
            return if file.is_absolute() {
                Ok(file)
            } else {
                Err(LookupError::Relative { name: name.to_owned() })
            };
        }
    }
    Err(not_found())
}

fn executable(file: &Path) -> bool {
    let Ok(found) = fs::metadata(file) else { return false };
    if found.is_dir() {
        return false;
    }
    match faccessat(AT_FDCWD, file, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        Ok(()) => true,
        // Not known to the kernel, or barred by seccomp: the mode has to do.
        Err(Errno::ENOSYS | Errno::EPERM) => permits(&found),
        Err(_) => false,
    }
}

/// Whether the mode lets us execute the file (Go syscall.Faccessat without faccessat2).
fn permits(found: &Metadata) -> bool {
    let in_group = || {
        let of_file = Gid::from_raw(found.gid());
        of_file == getegid() || getgroups().is_ok_and(|groups| groups.contains(&of_file))
    };
    let executable = match geteuid() {
        // Root executes what anybody can.
        user if user.is_root() => 0o111,
        user if user.as_raw() == found.uid() => 0o100,
        _ if in_group() => 0o010,
        _ => 0o001,
    };
    found.mode() & executable != 0
}
