//! Reading the files of a Secret (docs/tekton-contract.md 1.4; Tekton pkg/credentials/matcher VolumeName).
//!
//! In the kubelet's mount of a Secret each file is a link (`username -> ..data/username`), so links are followed. Anything
//! but a regular file is refused, and reading ends at the size that a Secret can have.

use std::{
    ffi::OsStr,
    fmt,
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use go::{errno::path_error, filepath::join};
use nix::libc::{EISDIR, O_NOCTTY, O_NONBLOCK};

/// The most that a Secret holds, in bytes (Kubernetes core/v1 MaxSecretSize).
pub const MAX_SECRET: usize = 1 << 20;

/// Why a file of a Secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
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
    /// A FIFO, socket or device.
    #[error("read {}: not a regular file; mount a Secret there", .path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// More than [`MAX_SECRET`].
    #[error("read {}: larger than {MAX_SECRET} bytes, the most that a Secret holds; mount a Secret there", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Content of a Secret's file. It is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData(Vec<u8>);

impl SecretData {
    /// The bytes, as they are in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretData {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("SecretData(not shown)")
    }
}

/// Reads a file of a Secret. `secrets` is the folder of all Secrets; the Secret's name may be any text, as with Tekton.
pub fn read(secrets: &Path, secret: &[u8], file: &str) -> Result<SecretData, SecretError> {
    let path = join(&[secrets.as_os_str(), OsStr::from_bytes(secret), OsStr::new(file)]);
    let failed = |operation| {
        let path = path.clone();
        move |error| SecretError::System { operation, path, error }
    };
    // Opening a FIFO must not wait for somebody to write.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(&path)
        .map_err(failed("open"))?;
    let kind = opened.metadata().map_err(failed("stat"))?.file_type();
    if kind.is_dir() {
        return Err(failed("read")(io::Error::from_raw_os_error(EISDIR)));
    }
    if !kind.is_file() {
        return Err(SecretError::NotRegular { path });
    }
    let mut content = Vec::new();
    opened
        .take(u64::try_from(MAX_SECRET + 1).unwrap_or(u64::MAX))
        .read_to_end(&mut content)
        .map_err(failed("read"))?;
    if content.len() > MAX_SECRET {
        return Err(SecretError::TooLarge { path });
    }
    Ok(content.into())
}
