//! Which image is meant: `REGISTRY/REPOSITORY@sha256:…`, read as Docker reads references (`distribution/reference`).

use std::{fmt, str::FromStr};

use super::digest::{Digest, DigestError};
use crate::sources::loopback::is_loopback;

/// The registry that names without a registry are of.
const DOCKER_HUB: &str = "docker.io";
/// Other names of it, in references and in files with credentials.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// The host that answers for it.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// Characters of a repository's name with its registry's (`distribution/reference`, `NameTotalLengthMax`).
const LONGEST_NAME: usize = 255;

/// A registry: `HOST` or `HOST:PORT`, over TLS unless `http://` says otherwise, which only this machine may be asked by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RegistryHost {
    is_tls: bool,
    /// In lower case, with the port as it is written.
    host: String,
}

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repository {
    registry: RegistryHost,
    path: String,
}

/// An image that its digest names. Nothing in it means anything to a URL but what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Where it is.
    pub(super) repository: Repository,
    /// What it is.
    pub(super) digest: Digest,
}

/// Why a text does not name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Only a tag, or not even that.
    #[error(
        "name a digest, as in REGISTRY/REPOSITORY@sha256:…, since a tag can be moved to another image; \
         `crane digest IMAGE` or `cosign triangulate IMAGE` says which digest it has now"
    )]
    NoDigest,
    /// Not SHA-256, or not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// `docker://` and the like.
    #[error("an image is named without {0}://, as in registry.example.org/team/app@sha256:…")]
    Scheme(String),
    /// No TLS, and not this machine.
    #[error(
        "{0} is not this machine, so http:// would let whoever is on the way change what is read; leave http:// out"
    )]
    Plain(String),
    /// Not a host.
    #[error(
        "{0:?} is not the host of a registry; one looks like registry.example.org or registry.example.org:5000"
    )]
    Host(String),
    /// Not the name of a repository.
    #[error(
        "{0:?} is not the name of a repository (parts of a-z and 0-9, with ., _, __ or - within them, and / between them)"
    )]
    Repository(String),
    /// Not a tag.
    #[error("{0:?} is not a tag; it may be left out, since the digest says which image is meant")]
    Tag(String),
}

impl FromStr for Image {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (scheme, reference) = match text.split_once("://") {
            Some((scheme, reference)) => (Some(scheme), reference),
            None => (None, text),
        };
        let is_tls = match scheme {
            None | Some("https") => true,
            Some("http") => false,
            Some(other) => return Err(ReferenceError::Scheme(other.to_owned())),
        };
        let (name, digest) = reference.split_once('@').ok_or(ReferenceError::NoDigest)?;
        let digest = digest.parse()?;
        let name = without_tag(name)?;
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if scheme.is_some() || is_host(host) => (host, path.to_owned()),
            None if scheme.is_some() => return Err(ReferenceError::Repository(String::new())),
            _ => (DOCKER_HUB, name.to_owned()),
        };
        let registry = RegistryHost::new(is_tls, host)?;
        // Images that Docker itself keeps.
        let path =
            if registry.host == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path };
        if !is_repository(&path) || registry.host.len() + 1 + path.len() > LONGEST_NAME {
            return Err(ReferenceError::Repository(path));
        }
        Ok(Self { repository: Repository { registry, path }, digest })
    }
}

/// A name without the tag that may follow it: a port has a slash after it.
fn without_tag(name: &str) -> Result<&str, ReferenceError> {
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => {
            let mut bytes = tag.bytes();
            let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let goes_on =
                bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
            match begins && goes_on && tag.len() <= 128 {
                true => Ok(name),
                false => Err(ReferenceError::Tag(tag.to_owned())),
            }
        }
        _ => Ok(name),
    }
}

/// Whether what comes before the first slash is a registry, or a part of a name in Docker Hub (`splitDockerDomain`).
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_repository(path: &str) -> bool {
    let is_word = |word: &str| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends_plain =
            word.bytes().next().is_some_and(is_plain) && word.bytes().next_back().is_some_and(is_plain);
        let separators = word.split(|char: char| char.is_ascii_lowercase() || char.is_ascii_digit());
        let is_separator = |text: &str| {
            matches!(text, "" | "." | "_" | "__")
                || (!text.is_empty() && text.bytes().all(|byte| byte == b'-'))
        };
        ends_plain && separators.into_iter().all(is_separator)
    };
    path.split('/').all(is_word)
}

impl RegistryHost {
    fn new(is_tls: bool, host: &str) -> Result<Self, ReferenceError> {
        let refused = || ReferenceError::Host(host.to_owned());
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(refused)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| refused())?;
                (
                    address,
                    if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(refused)?) },
                )
            }
            None => {
                let (name, port) = match host.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (host, None),
                };
                let is_label = |label: &str| {
                    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                    !label.is_empty()
                        && label.bytes().all(is_inner)
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                };
                if !name.split('.').all(is_label) {
                    return Err(refused());
                }
                (name, port)
            }
        };
        let is_port = |port: &str| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if !port.is_none_or(is_port) {
            return Err(refused());
        }
        if !is_tls && !is_loopback(name) {
            return Err(ReferenceError::Plain(host.to_owned()));
        }
        Ok(Self { is_tls, host: canonical_host(host) })
    }
}

/// A registry's host by one name: Docker Hub has several.
pub(super) fn canonical_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if DOCKER_HUB_ALIASES.contains(&host.as_str()) { DOCKER_HUB.to_owned() } else { host }
}

impl Repository {
    /// Whether it is asked over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.registry.is_tls
    }

    /// The registry by the name that people know it by.
    pub(super) fn registry(&self) -> &str {
        &self.registry.host
    }

    /// Its name in the registry.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the registry is Docker Hub.
    pub(super) fn is_of_docker_hub(&self) -> bool {
        self.registry.host == DOCKER_HUB
    }

    /// What every URL of the registry begins with, without a slash at its end.
    pub(super) fn origin(&self) -> String {
        let host = if self.is_of_docker_hub() { DOCKER_HUB_API } else { &self.registry.host };
        format!("{}://{host}", if self.is_tls() { "https" } else { "http" })
    }
}

impl Image {
    /// Whether its registry is asked over TLS.
    pub fn needs_tls(&self) -> bool {
        self.repository.is_tls()
    }

    /// The tag that cosign puts an image's attestations under (cosign `AttestationTag`).
    pub fn attestation_tag(&self) -> String {
        format!("{}.att", self.referrers_tag())
    }

    /// The tag that lists an image's referrers in a registry that has no API for it (OCI distribution-spec, "Referrers Tag Schema").
    pub(super) fn referrers_tag(&self) -> String {
        format!("sha256-{}", self.digest.hex())
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository: Repository { registry, path }, digest } = self;
        let scheme = if registry.is_tls { "" } else { "http://" };
        write!(f, "{scheme}{}/{path}@{digest}", registry.host)
    }
}
