//! Credentials for registries, where Docker and Podman keep them: nobody has to log in for svidence alone.
//!
//! Files are looked at when a registry wants a login, and not before. The first that has something for the repository counts.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    credential_helper::{self, Given, HelperError},
    reference::{Repository, canonical_host},
    secret::Secret,
};

/// What helpers and files call Docker Hub.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";
/// The user of a helper's answer whose secret is a token.
const TOKEN_USER: &str = "<token>";
/// Bytes of a file that are read.
const LARGEST_FILE: u64 = 4 << 20;

/// What a registry is shown.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// User and password.
    Password { user: String, password: Secret },
    /// A token that the registry's token service takes for others (OAuth 2 `refresh_token`).
    Identity(Secret),
    /// A token for the registry itself.
    Registry(Secret),
}

/// Where a credential is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialOrigin {
    /// Of a file.
    File(String),
    /// Of a program that a file names.
    Helper {
        /// The program.
        program: String,
        /// The file.
        file: String,
    },
    /// The registry did not ask for one.
    NotAsked,
    /// There is none.
    Nobody {
        /// Files that have none.
        searched: Vec<String>,
    },
}

impl fmt::Display for CredentialOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "of {file}"),
            Self::Helper { program, file } => write!(f, "of {program}, which {file} names"),
            Self::NotAsked | Self::Nobody { .. } => f.write_str("of nobody"),
        }
    }
}

/// Why there is no credential although a file says that there is one. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryCredentialError {
    /// The operating system's answer.
    #[error("the file with credentials {file} cannot be read: {}", crate::io_error::words(error))]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// Not Docker's configuration.
    #[error(
        "the file with credentials {file} is not the JSON of Docker's config.json; log in again, or repair it"
    )]
    NotConfiguration {
        /// Which.
        file: String,
    },
    /// A login that is not one.
    #[error("the login for {entry} in {file} is not user and password in base64; log in again")]
    Login {
        /// Which file.
        file: String,
        /// Which entry.
        entry: String,
    },
    /// A helper that gives nothing.
    #[error("{program}, which {file} names, {error}")]
    Helper {
        /// The program.
        program: String,
        /// Who names it.
        file: String,
        /// What it does.
        error: HelperError,
    },
}

/// `config.json`, as far as it is about logins.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

/// The files with credentials.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    files: Vec<PathBuf>,
}

impl Keychain {
    /// The files that there may be: Docker's (`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`), then Podman's
    /// (`$REGISTRY_AUTH_FILE`, else `$XDG_RUNTIME_DIR/containers/auth.json`).
    pub fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str, below: &str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some(if below.is_empty() { PathBuf::from(value) } else { Path::new(&value).join(below) })
        };
        let docker = path("DOCKER_CONFIG", "config.json").or_else(|| path("HOME", ".docker/config.json"));
        let podman =
            path("REGISTRY_AUTH_FILE", "").or_else(|| path("XDG_RUNTIME_DIR", "containers/auth.json"));
        Self { files: docker.into_iter().chain(podman).collect() }
    }

    /// The files, whether they are there or not.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The credential for a repository. A program that is asked for it may take so long.
    pub(super) fn find(
        &self,
        repository: &Repository,
        patience: Duration,
    ) -> Result<(Option<Credential>, CredentialOrigin), RegistryCredentialError> {
        let mut searched = Vec::new();
        for path in &self.files {
            let file = path.display().to_string();
            let Some(configuration) = read(path, &file)? else { continue };
            if let Some((credential, origin)) = configuration.find(repository, &file, patience)? {
                return Ok((Some(credential), origin));
            }
            searched.push(file);
        }
        Ok((None, CredentialOrigin::Nobody { searched }))
    }
}

/// `None`: there is no such file.
fn read(path: &Path, file: &str) -> Result<Option<Configuration>, RegistryCredentialError> {
    let unreadable = |error| RegistryCredentialError::Unreadable { file: file.to_owned(), error };
    let text = match fs::File::open(path).and_then(|opened| {
        let mut text = Zeroizing::new(Vec::new());
        io::Read::read_to_end(&mut io::Read::take(opened, LARGEST_FILE), &mut text).map(|_| text)
    }) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // Of what is wrong with it nothing is repeated: it would be a part of a login.
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|_| RegistryCredentialError::NotConfiguration { file: file.to_owned() })
}

impl Configuration {
    /// A helper for the registry, then one for all, then what is in the file itself.
    fn find(
        &self,
        repository: &Repository,
        file: &str,
        patience: Duration,
    ) -> Result<Option<(Credential, CredentialOrigin)>, RegistryCredentialError> {
        let of_registry =
            self.cred_helpers.iter().flatten().find(|(key, _)| place(key) == repository.registry());
        let helpers = of_registry.map(|(_, name)| name).into_iter().chain(&self.creds_store);
        let server = if repository.is_of_docker_hub() { DOCKER_HUB_SERVER } else { repository.registry() };
        for name in helpers.filter(|name| !name.is_empty()) {
            let program = credential_helper::program(name);
            let failed = |error| RegistryCredentialError::Helper {
                program: program.clone(),
                file: file.to_owned(),
                error,
            };
            if let Some(Given { user, secret }) =
                credential_helper::ask(name, server, patience).map_err(failed)?
            {
                let credential = match user == TOKEN_USER {
                    true => Credential::Identity(secret),
                    false => Credential::Password { user, password: secret },
                };
                return Ok(Some((credential, CredentialOrigin::Helper { program, file: file.to_owned() })));
            }
        }
        let entry = self.entry(repository);
        let Some((key, entry)) = entry else { return Ok(None) };
        let credential = entry
            .credential()
            .map_err(|()| RegistryCredentialError::Login { file: file.to_owned(), entry: key.clone() })?;
        Ok(credential.map(|credential| (credential, CredentialOrigin::File(file.to_owned()))))
    }

    /// The entry that says most of the repository: its own, one of a part of its name, its registry's (containers-auth.json(5)).
    fn entry(&self, repository: &Repository) -> Option<(&String, &Entry)> {
        let whole = format!("{}/{}", repository.registry(), repository.path());
        let fits = |key: &str| {
            let place = place(key);
            let is_part =
                whole.strip_prefix(&place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            (is_part && !place.is_empty()).then_some(place.len())
        };
        let all = self.auths.iter().flatten();
        all.filter_map(|(key, entry)| Some((fits(key)?, key, entry)))
            .max_by_key(|(length, ..)| *length)
            .map(|(_, key, entry)| (key, entry))
    }
}

/// What an entry is about: registry and perhaps a part of a repository's name. Docker writes some as addresses.
fn place(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    match key.split_once('/') {
        Some((host, path)) => format!("{}/{path}", canonical_host(host)),
        None => canonical_host(key),
    }
}

impl Entry {
    /// `Err`: it is damaged. `None`: it is empty, as Docker leaves it where a helper has the login.
    fn credential(&self) -> Result<Option<Credential>, ()> {
        let given = |text: &Option<Secret>| text.clone().filter(|text| !text.text().is_empty());
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credential::Registry(token)));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let Some(auth) = given(&self.auth) {
            let decoded = STANDARD.decode(auth.text().trim()).map(Zeroizing::new).map_err(|_| ())?;
            let login = std::str::from_utf8(&decoded).map_err(|_| ())?;
            let (user, password) = login.split_once(':').ok_or(())?;
            // Docker pads some with zeros.
            let password = Secret::new(password.trim_matches('\0').to_owned());
            return Ok(Some(Credential::Password { user: user.to_owned(), password }));
        }
        let (Some(user), Some(password)) = (&self.username, given(&self.password)) else { return Ok(None) };
        Ok(Some(Credential::Password { user: user.clone(), password }))
    }
}
