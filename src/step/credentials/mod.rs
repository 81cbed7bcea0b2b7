//! Credentials that the controller mounts for the step: read while flags are parsed, written to `/tekton/creds`, copied to
//! `$HOME` (docs/tekton-contract.md 1.4; Tekton pkg/credentials).
//!
//! * [`secret`]: the files of a Secret.
//! * [`git`]: `-basic-git`, with [`go::url`] and [`go::net`] for what Go's net/url makes of an address.
//! * [`ssh`][]: `-ssh-git`.
//! * [`docker`]: `-basic-docker`, `-docker-config`, `-docker-cfg`.
//! * [`files`]: how they are written.
//! * [`home`]: the copy in `$HOME`.

pub mod docker;
pub mod files;
pub mod git;
pub mod home;
pub mod secret;
pub mod ssh;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use go::url::UrlError;

use self::{docker::Docker, files::CredentialWriteError, git::BasicGit, secret::SecretError, ssh::SshGit};
use super::roots::Roots;

/// Why a flag's value is refused, in Tekton's words.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not exactly one `=`.
    #[error("expect entries of the form secret=url, got: {}", .value.display())]
    Form {
        /// What was given.
        value: OsString,
    },
    /// The same URL as with another value of this flag.
    #[error("multiple entries for url: {}", .url.display())]
    Twice {
        /// The URL.
        url: OsString,
    },
    /// A file of the Secret that cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No URL.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// What the credential flags gave. What came out of Secrets is not in its `Debug` form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    docker: Docker,
    basic_git: BasicGit,
    ssh_git: SshGit,
}

impl Credentials {
    /// Takes one value of a credential flag, by the flag's name without dash. `secrets` is the folder of
    /// [`Roots::creds_secrets`]; the Secret's files are read at once, but for `docker-config` and `docker-cfg`.
    pub fn set(&mut self, flag: &str, value: &OsStr, secrets: &Path) -> Result<(), CredentialError> {
        match flag {
            "basic-git" => self.basic_git.set(value.as_bytes(), secrets)?,
            "ssh-git" => self.ssh_git.set(value.as_bytes(), secrets)?,
            "basic-docker" => self.docker.set(value.as_bytes(), secrets)?,
            "docker-config" => self.docker.add_config(value),
            _ => self.docker.add_cfg(value),
        }
        Ok(())
    }

    /// Writes everything below `/tekton/creds`: first for Docker, then for Git. Each part ends at its first error; the
    /// errors are returned to be logged, as Tekton does no more than that.
    pub fn write(&self, roots: &Roots) -> Vec<CredentialWriteError> {
        let creds = roots.creds();
        let docker = self.docker.write(&creds, &roots.creds_secrets());
        let git = self.basic_git.write(&creds).and_then(|()| self.ssh_git.write(&creds));
        [docker, git].into_iter().filter_map(Result::err).collect()
    }
}

/// The two halves of `secret=url`. Tekton splits at every `=`, so a URL has none.
fn secret_and_url(value: &[u8]) -> Result<(&[u8], &[u8]), CredentialError> {
    let mut parts = value.split(|&b| b == b'=');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(secret), Some(url), None) => Ok((secret, url)),
        _ => Err(CredentialError::Form { value: OsStr::from_bytes(value).to_owned() }),
    }
}
