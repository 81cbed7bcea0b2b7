//! `-ssh-git`: keys for Git over SSH (docs/tekton-contract.md 1.4; Tekton pkg/credentials/gitcreds/ssh.go).

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use go::{filepath::join, mkdir};

use super::{
    CredentialError,
    files::{self, CredentialWriteError},
    secret::{self, SecretData, SecretError},
    secret_and_url,
};

/// The port that SSH has if none is given.
const PORT: &[u8] = b"22";

/// The values of `-ssh-git`: an entry for each address, in the order in which they first came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshGit(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// As on the command line.
    address: Vec<u8>,
    keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    secret: Vec<u8>,
    private_key: SecretData,
    known_hosts: SecretData,
}

impl SshGit {
    /// Takes `secret=host[:port][/path]` and reads the Secret's `ssh-privatekey` and, if there is one, `known_hosts`.
    pub fn set(&mut self, value: &[u8], secrets: &Path) -> Result<(), CredentialError> {
        let (secret, address) = secret_and_url(value)?;
        let private_key = secret::read(secrets, secret, "ssh-privatekey")?;
        let known_hosts = match secret::read(secrets, secret, "known_hosts") {
            // Whatever the system says, Tekton takes it for absent.
            Err(SecretError::System { .. }) => SecretData::default(),
            read => read?,
        };
        let key = Key { secret: secret.to_vec(), private_key, known_hosts };
        match self.0.iter_mut().find(|entry| entry.address == address) {
            Some(entry) => entry.keys.push(key),
            None => self.0.push(Entry { address: address.to_vec(), keys: vec![key] }),
        }
        Ok(())
    }

    /// Writes `.ssh/` below `creds` and appends to `.gitconfig`; nothing if the flag was not given.
    pub fn write(&self, creds: &Path) -> Result<(), CredentialWriteError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let folder = creds.join(".ssh");
        mkdir::make_all(&folder)?;
        let mut entries: Vec<(Remote, &[Key])> =
            self.0.iter().map(|entry| (Remote::parse(&entry.address), &entry.keys[..])).collect();
        // SSH takes the first block that matches.
        entries.sort_by_key(|(remote, _)| !remote.path.is_empty());

        let (mut config, mut known_hosts, mut git_config) = (Vec::new(), Vec::new(), Vec::new());
        for (remote, keys) in &entries {
            remote.configure(&mut config);
            remote.instead_of(&mut git_config);
            for key in *keys {
                let path = key.path(&folder);
                files::write(&path, key.private_key.bytes())?;
                config.extend([b"    IdentityFile ", path.as_os_str().as_bytes(), b"\n"].concat());
                if !key.known_hosts.bytes().is_empty() {
                    known_hosts.push(key.known_hosts.bytes());
                }
            }
        }
        files::write(&folder.join("config"), &config)?;
        if !known_hosts.is_empty() {
            files::write(&folder.join("known_hosts"), &known_hosts.join(&b'\n'))?;
        }
        if !git_config.is_empty() {
            files::append(&creds.join(".gitconfig"), &git_config)?;
        }
        Ok(())
    }
}

impl Key {
    fn path(&self, folder: &Path) -> PathBuf {
        let name = [b"id_", &self.secret[..]].concat();
        join(&[folder.as_os_str(), OsStr::from_bytes(&name)])
    }
}

/// `host[:port][/path]`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remote<'a> {
    host: &'a [u8],
    port: &'a [u8],
    /// Empty, or with a leading slash.
    path: &'a [u8],
}

impl<'a> Remote<'a> {
    fn parse(address: &'a [u8]) -> Self {
        let (authority, path) =
            address.split_at(address.iter().position(|&b| b == b'/').unwrap_or(address.len()));
        let (host, port) = split_host_port(authority).unwrap_or((authority, PORT));
        Remote { host, port, path }
    }

    /// The path without its leading slash.
    fn repository(&self) -> &'a [u8] {
        self.path.strip_prefix(b"/").unwrap_or(self.path)
    }

    /// What `.ssh/config` calls it: the host or, for one path on it, an alias.
    fn alias(&self) -> Vec<u8> {
        if self.path.is_empty() {
            return self.host.to_vec();
        }
        let parts: Vec<&[u8]> = self.repository().split(|&b| b == b'/').collect();
        [self.host, b"--", &parts.join(&b"--"[..])].concat()
    }

    fn configure(&self, config: &mut Vec<u8>) {
        let alias = self.alias();
        let lines =
            [b"Host ", &alias[..], b"\n    HostName ", self.host, b"\n    Port ", self.port, b"\n"].concat();
        config.extend(lines);
    }

    /// Makes Git go by the alias for this path.
    fn instead_of(&self, config: &mut Vec<u8>) {
        if self.path.is_empty() {
            return;
        }
        let (alias, repository) = (&self.alias()[..], self.repository());
        let port = if self.port == PORT { Vec::new() } else { [b":", self.port].concat() };
        let scp: [&[u8]; 9] = [
            b"[url \"git@",
            alias,
            b":",
            repository,
            b".git\"]\n\tinsteadOf = git@",
            self.host,
            b":",
            repository,
            b".git\n",
        ];
        let ssh: [&[u8]; 10] = [
            b"[url \"ssh://",
            alias,
            b"/",
            repository,
            b".git\"]\n\tinsteadOf = ssh://",
            self.host,
            &port,
            b"/",
            repository,
            b".git\n",
        ];
        config.extend([scp.concat(), ssh.concat()].concat());
    }
}

/// Go net.SplitHostPort, without its reasons: Tekton asks only whether there is a port.
fn split_host_port(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = address.iter().rposition(|&b| b == b':')?;
    let (before, port) = (&address[..colon], &address[colon + 1..]);
    let (host, no_brackets) = match before.strip_prefix(b"[") {
        Some(inner) => (inner.strip_suffix(b"]")?, [inner.strip_suffix(b"]")?, port]),
        None if before.contains(&b':') => return None,
        None => (before, [before, port]),
    };
    let bracket = |part: &[u8]| part.iter().any(|b| matches!(b, b'[' | b']'));
    (!no_brackets.into_iter().any(bracket)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart_as_go_does() {
        for (address, parts) in [
            ("github.com", None),
            ("github.com:22", Some(("github.com", "22"))),
            ("github.com:", Some(("github.com", ""))),
            (":22", Some(("", "22"))),
            ("a:b:22", None),
            ("::1", None),
            ("[::1]", None),
            ("[::1]:22", Some(("::1", "22"))),
            ("[::1]x:22", None),
            ("[::1]:22:33", None),
            ("[::1:22", None),
            ("[[::1]:22", None),
            ("[::1]]:22", None),
            ("a]:22", None),
            ("a:2[2", None),
            ("[]:", Some(("", ""))),
            ("", None),
        ] {
            let split = split_host_port(address.as_bytes());
            assert_eq!(split, parts.map(|(host, port)| (host.as_bytes(), port.as_bytes())), "{address:?}");
        }
    }
}
