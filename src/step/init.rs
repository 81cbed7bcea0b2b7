//! The subcommands: `init`, `cp`, `step-init`, `decode-script` (docs/tekton-contract.md 2; Tekton cmd/entrypoint/subcommands).

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use go::{
    errno::{path_error, reason},
    mkdir::{self, MkdirError},
    text::quote,
};

use super::roots::Roots;

/// The operator's configuration file, beside the binary in the image and beside its copy in the pod.
pub const CONFIGURATION: &str = "svidence.json";

/// The copied binary's mode before umask: the user of a step may execute it and not read it.
const BINARY_MODE: u32 = 0o311;

/// The mode of the configuration's copy.
const READABLE: u32 = 0o444;

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file operation, in Go's words.
    #[error("{}", path_error(.operation, .path, .error))]
    File {
        /// What was tried: Go's name of the operation.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A link that could not be made.
    #[error("symlink {} {}: {}", .target.display(), .link.display(), reason(.error))]
    Link {
        /// Where it was to lead.
        target: PathBuf,
        /// Where it was to be.
        link: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The script could not be read.
    #[error("error decoding script file {0}: error reading from script file {0}: {1}", quote(.script), path_error(.operation, Path::new(.script), .error))]
    ReadScript {
        /// The script.
        script: OsString,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The script is not base64.
    #[error("error decoding script file {0}: error decoding script file {0}: illegal base64 data at input byte {1}", quote(.script), .at)]
    Base64 {
        /// The script.
        script: OsString,
        /// Where decoding stopped.
        at: usize,
    },
    /// The decoded script could not be written back.
    #[error("error writing decoded script file {}: {}", quote(.script), path_error("open", Path::new(.script), .error))]
    WriteScript {
        /// The script.
        script: OsString,
        /// What the system said.
        error: io::Error,
    },
    /// The directory of step links could not be made: fatal without the subcommand's name before it.
    #[error("Error creating steps directory {}: {error}", quote(.path.as_os_str()))]
    StepsDirectory {
        /// The directory.
        path: PathBuf,
        /// Which part of it, and why.
        error: MkdirError,
    },
}

/// How a subcommand ended: what to log, and whether it worked.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// The log line.
    pub message: String,
    /// The exit status.
    pub status: i32,
}

/// Runs the subcommand that the positional arguments name, if name **and** count match one; else `None`, and the
/// program goes on as a step (Tekton subcommands.Process).
pub fn dispatch(positionals: &[OsString], roots: &Roots) -> Option<Done> {
    let (name, rest) = positionals.split_first()?;
    let (ran, message) = match (name.to_str()?, rest) {
        ("init", [src, dst, steps @ ..]) => {
            (init(src.as_ref(), dst.as_ref(), steps, roots), "Entrypoint initialization".to_owned())
        }
        ("cp", [src, dst]) => {
            (cp(src.as_ref(), dst.as_ref()), format!("Copied {} to {}", src.display(), dst.display()))
        }
        ("step-init", steps) => (step_init(steps, roots), "Setup /step directories".to_owned()),
        ("decode-script", [script]) => {
            (decode_script(script), format!("Decoded script {}", script.display()))
        }
        _ => return None,
    };
    Some(match ran {
        Ok(()) => Done { message, status: 0 },
        Err(error @ InitError::StepsDirectory { .. }) => Done { message: error.to_string(), status: 1 },
        Err(error) => Done { message: format!("{} error: {error}", name.display()), status: 1 },
    })
}

/// `init SRC DST [STEP...]`: the binary, the operator's configuration if the image carries one, the step links.
fn init(src: &Path, dst: &Path, steps: &[OsString], roots: &Roots) -> Result<(), InitError> {
    cp(src, dst)?;
    copy_configuration(&src.with_file_name(CONFIGURATION), &dst.with_file_name(CONFIGURATION))?;
    step_init(steps, roots)
}

/// Copies without truncating, as Tekton does: an existing longer file keeps its tail and its mode.
fn cp(src: &Path, dst: &Path) -> Result<(), InitError> {
    let mut from = File::open(src).map_err(file_error("open", src))?;
    let mut to = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(BINARY_MODE)
        .open(dst)
        .map_err(file_error("open", dst))?;
    if from.metadata().is_ok_and(|is| is.is_dir()) {
        return Err(file_error("read", src)(io::Error::from_raw_os_error(nix::libc::EISDIR)));
    }
    copy_bytes(&mut from, &mut to).map_err(file_error("write", dst))
}

/// Copies what is left of a file by reading and writing. The standard library would ask the kernel to copy between files, and then
/// has no way on where a file system (CIFS: EIO) or a policy refuses that.
pub fn copy_bytes(from: &mut dyn io::Read, to: &mut File) -> io::Result<()> {
    io::copy(from, to).map(drop)
}

/// Puts the operator's file beside the binary, readable by every step's user, complete or not at all: it is written
/// under another name and renamed.
fn copy_configuration(src: &Path, dst: &Path) -> Result<(), InitError> {
    let content = match fs::read(src) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_error("open", src)(error)),
    };
    let unfinished = dst.with_file_name(format!(".{CONFIGURATION}.{}", std::process::id()));
    let renamed = || match fs::rename(&unfinished, dst) {
        Ok(()) => Ok(()),
        // A seccomp profile that knows no rename. Nobody reads the copy before `init` has ended.
        Err(_) => {
            let _ = fs::remove_file(&unfinished);
            write_readable(dst, &content).map_err(file_error("write", dst))
        }
    };
    let written = write_readable(&unfinished, &content).map_err(file_error("write", &unfinished));
    let written = written.and_then(|()| renamed());
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_readable(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(READABLE).open(path)?;
    file.write_all(content)?;
    // Under a strict umask.
    if file.metadata()?.permissions().mode() & 0o777 != READABLE {
        file.set_permissions(Permissions::from_mode(READABLE))?;
    }
    file.sync_all()
}

/// Links `/tekton/steps/<name>` and `/tekton/steps/<index>` to `/tekton/run/<index>/status`; existing links stay.
fn step_init(steps: &[OsString], roots: &Roots) -> Result<(), InitError> {
    let directory = roots.steps();
    mkdir::make_all(&directory)
        .map_err(|error| InitError::StepsDirectory { path: directory.clone(), error })?;
    for (index, name) in steps.iter().enumerate() {
        let index = index.to_string();
        let target = roots.tekton.join("run").join(&index).join("status");
        for link in [name.as_os_str(), OsStr::new(&index)] {
            let link = go::filepath::join(&[directory.as_os_str(), link]);
            match symlink(&target, &link) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(InitError::Link { target, link, error }),
            }
        }
    }
    Ok(())
}

/// Replaces a base64 file by what it encodes, keeping its mode.
fn decode_script(script: &OsStr) -> Result<(), InitError> {
    let read_error =
        |operation| move |error| InitError::ReadScript { script: script.to_owned(), operation, error };
    let mut file = File::open(script).map_err(read_error("open"))?;
    let mut encoded = Vec::new();
    file.read_to_end(&mut encoded).map_err(read_error("read"))?;
    let decoded =
        go::base64::decode(&encoded).map_err(|at| InitError::Base64 { script: script.to_owned(), at })?;
    fs::write(script, decoded).map_err(|error| InitError::WriteScript { script: script.to_owned(), error })
}

fn file_error(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> InitError {
    let path = path.to_owned();
    move |error| InitError::File { operation, path: path.clone(), error }
}
