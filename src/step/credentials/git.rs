//! `-basic-git`: user names and passwords for Git over HTTP (docs/tekton-contract.md 1.4; Tekton
//! pkg/credentials/gitcreds/basic.go).

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use go::{text::quote_bytes, url::Url};

use super::{
    CredentialError,
    files::{self, CredentialWriteError},
    secret::{self, SecretData},
    secret_and_url,
};

/// The values of `-basic-git` in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasicGit(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// As on the command line.
    address: Vec<u8>,
    url: Url,
    username: SecretData,
    password: SecretData,
}

impl BasicGit {
    /// Takes `secret=url` and reads the Secret's `username` and `password`.
    pub fn set(&mut self, value: &[u8], secrets: &Path) -> Result<(), CredentialError> {
        let (secret, address) = secret_and_url(value)?;
        if self.0.iter().any(|entry| entry.address == address) {
            return Err(CredentialError::Twice { url: OsStr::from_bytes(address).to_owned() });
        }
        let username = secret::read(secrets, secret, "username")?;
        let password = secret::read(secrets, secret, "password")?;
        let url = Url::parse(address)?;
        self.0.push(Entry { address: address.to_vec(), url, username, password });
        Ok(())
    }

    /// Writes `.gitconfig` and `.git-credentials` below `creds`; nothing if the flag was not given.
    pub fn write(&self, creds: &Path) -> Result<(), CredentialWriteError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut config = b"[credential]\n\thelper = store\n".to_vec();
        self.0.iter().for_each(|entry| entry.configure(&mut config));
        files::write(&creds.join(".gitconfig"), &config)?;

        // Git takes the first line that matches: what is for a whole host comes before what is for one path.
        let mut ordered: Vec<&Entry> = self.0.iter().collect();
        ordered.sort_by_key(|entry| entry.url.has_path());
        let mut store = Vec::new();
        for entry in ordered {
            store.extend(entry.url.with_user(entry.username.bytes(), entry.password.bytes()));
            store.push(b'\n');
        }
        files::write(&creds.join(".git-credentials"), &store)
    }
}

impl Entry {
    fn configure(&self, config: &mut Vec<u8>) {
        config.extend(format!("[credential {}]\n", quote_bytes(&self.address)).bytes());
        config.extend(b"\tusername = ");
        for &byte in self.username.bytes() {
            if byte == b'\\' {
                config.push(b'\\');
            }
            config.push(byte);
        }
        config.push(b'\n');
        if self.url.has_path() {
            config.extend(b"\tuseHttpPath = true\n");
        }
    }
}
