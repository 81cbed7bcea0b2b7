//! Every authority that a trust domain was ever seen to have, with its first and last sight.
//!
//! SPIRE prunes an authority a day after it has expired, and with it goes what proves the signatures of that time. A store only grows:
//! no authority is ever taken out of it, and a bundle that is older than the last one is refused.

use std::{collections::HashSet, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use unixtime::UnixSeconds;
use x509::{Certificate, CertificateError, Fingerprint};

use crate::{
    io_error,
    workload::{
        bundle::{BundleError, X509Bundle},
        id::{TrustDomain, parse_trust_domain},
    },
};

/// What the file of a store is called in its folder.
pub const FILE: &str = "authorities.json";

/// The version of the file's form.
const VERSION: u64 = 1;

/// Why the file of a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}", io_error::words(.0))]
    Unreadable(io::Error),
    /// What is in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store cannot be used. The texts speak of its file as "it".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not the JSON of a store.
    #[error("it is not a store of authorities: {reason}; restore it from a copy")]
    Form {
        /// What is wrong.
        reason: String,
    },
    /// Written by a later version.
    #[error("it has version {found} of the form, this program knows {VERSION}; take a newer svidence")]
    Version {
        /// What it says.
        found: u64,
    },
    /// An authority that is not what its entry says.
    #[error("entry {number} of it is damaged: {reason}; restore the file from a copy")]
    Entry {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// It is of another trust domain.
    #[error(
        "it holds the authorities of {found}, not of {expected}; each trust domain has a store of its own"
    )]
    OtherTrustDomain {
        /// Its own.
        found: String,
        /// The one that is asked for.
        expected: String,
    },
    /// SPIFFE Trust Domain and Bundle 4.1.1: a lower sequence is an older bundle.
    #[error(
        "the bundle has spiffe_sequence {offered}, but one with {known} was seen before, so it is an old one and nothing of it was \
         added; see that the source is the right one and is up to date.{} Authorities of the past can be added as PEM, which has no sequence; \
         if SPIRE's server was set up anew, begin another store and give both to --bundle",
        unseen_in_words(.unseen)
    )]
    Older {
        /// Of the bundle.
        offered: u64,
        /// Of the last one.
        known: u64,
        /// Authorities in it that the store does not hold: an archive may need them.
        unseen: Vec<Fingerprint>,
    },
}

/// What an old bundle has that the store lacks: fetched before a rotation, and added after it, say.
fn unseen_in_words(unseen: &[Fingerprint]) -> String {
    if unseen.is_empty() {
        return String::new();
    }
    let all: Vec<String> = unseen.iter().map(Fingerprint::to_string).collect();
    format!(" The store lacks what is in it: the authority with the SHA-256 {}.", all.join(", "))
}

/// An authority, and when it was in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighted {
    /// The authority.
    pub certificate: Certificate,
    /// When it was seen first.
    pub first_seen: UnixSeconds,
    /// When it was seen last.
    pub last_seen: UnixSeconds,
    /// Where it was seen first.
    pub from: String,
    /// Whether it is in the bundle that was published last, as far as is known.
    pub is_current: bool,
}

/// What a bundle brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Authorities that were not known.
    pub new: usize,
    /// Authorities that were.
    pub known: usize,
}

/// The authorities of one trust domain, each once, in the order in which they were seen first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleStore {
    trust_domain: TrustDomain,
    sequence: Option<u64>,
    /// Whether a whole bundle was ever added, and not only certificates.
    is_published: bool,
    authorities: Vec<Sighted>,
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    svidence_bundle_store: u64,
    trust_domain: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spiffe_sequence: Option<u64>,
    published: bool,
    authorities: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    sha256: String,
    /// RFC 3339.
    first_seen: String,
    /// RFC 3339.
    last_seen: String,
    from: String,
    current: bool,
    /// DER in base64.
    certificate: String,
}

/// What tells a store from other JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marked {
    #[serde(default)]
    svidence_bundle_store: Option<IgnoredAny>,
}

impl BundleStore {
    /// A store without any authority yet.
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self { trust_domain, sequence: None, is_published: false, authorities: Vec::new() }
    }

    /// Whether a file's content is meant to be a store.
    pub fn is_one(content: &[u8]) -> bool {
        content.trim_ascii_start().starts_with(b"{")
            && serde_json::from_slice::<Marked>(content)
                .is_ok_and(|marked| marked.svidence_bundle_store.is_some())
    }

    /// Reads the store of `trust_domain` in this file; one without any authority yet if there is no such file.
    pub fn read(file: &Path, trust_domain: &TrustDomain) -> Result<Self, FileError> {
        match fs::read(file) {
            Ok(content) => Ok(Self::parse(trust_domain, &content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::new(trust_domain.clone())),
            Err(error) => Err(FileError::Unreadable(error)),
        }
    }

    /// Reads the store of `trust_domain`.
    pub fn parse(trust_domain: &TrustDomain, content: &[u8]) -> Result<Self, StoreError> {
        let mut document: Document = serde_json::from_slice(content)
            .map_err(|error| StoreError::Form { reason: error.to_string() })?;
        if document.svidence_bundle_store != VERSION {
            return Err(StoreError::Version { found: document.svidence_bundle_store });
        }
        let found = parse_trust_domain(&document.trust_domain)
            .map_err(|error| StoreError::Form { reason: format!("{:?} {error}", document.trust_domain) })?;
        if found != *trust_domain {
            let (found, expected) = (found.to_string(), trust_domain.to_string());
            return Err(StoreError::OtherTrustDomain { found, expected });
        }
        let mut known = HashSet::new();
        let mut authorities = Vec::with_capacity(document.authorities.len());
        for (index, entry) in std::mem::take(&mut document.authorities).into_iter().enumerate() {
            let sighted = entry.read().map_err(|reason| StoreError::Entry { number: index + 1, reason })?;
            if !known.insert(sighted.certificate.fingerprint()) {
                let reason = "the same authority is in an entry before it".to_owned();
                return Err(StoreError::Entry { number: index + 1, reason });
            }
            authorities.push(sighted);
        }
        let Document { spiffe_sequence: sequence, published: is_published, .. } = document;
        Ok(Self { trust_domain: found, sequence, is_published, authorities })
    }

    /// The content of its file.
    pub fn to_json(&self) -> String {
        let entry = |sighted: &Sighted| Entry {
            sha256: sighted.certificate.fingerprint().to_string(),
            first_seen: sighted.first_seen.to_string(),
            last_seen: sighted.last_seen.to_string(),
            from: sighted.from.clone(),
            current: sighted.is_current,
            certificate: STANDARD.encode(sighted.certificate.der()),
        };
        let document = Document {
            svidence_bundle_store: VERSION,
            trust_domain: self.trust_domain.to_string(),
            spiffe_sequence: self.sequence,
            published: self.is_published,
            authorities: self.authorities.iter().map(entry).collect(),
        };
        // Texts and numbers, which are always JSON.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }

    /// Says that a whole bundle follows: what is not in it is published no longer.
    pub fn supersede(&mut self) {
        self.is_published = true;
        self.authorities.iter_mut().for_each(|known| known.is_current = false);
    }

    /// Notes that `bundle`, which is of the same trust domain, was seen `from` there at `at`. A clock that was set back
    /// takes no sight away. `is_whole`: it is
    /// a bundle as it is published, after [`Self::supersede`], and not certificates that somebody has collected.
    pub fn add(
        &mut self,
        bundle: &X509Bundle,
        is_whole: bool,
        from: &str,
        at: UnixSeconds,
    ) -> Result<Added, StoreError> {
        if *bundle.trust_domain() != self.trust_domain {
            let (found, expected) = (self.trust_domain.to_string(), bundle.trust_domain().to_string());
            return Err(StoreError::OtherTrustDomain { found, expected });
        }
        if let (Some(offered), Some(known)) = (bundle.sequence(), self.sequence)
            && offered < known
        {
            let is_unseen = |authority: &&Certificate| {
                !self.authorities.iter().any(|known| known.certificate.der() == authority.der())
            };
            let unseen =
                bundle.authorities().iter().filter(is_unseen).map(Certificate::fingerprint).collect();
            return Err(StoreError::Older { offered, known, unseen });
        }
        self.sequence = bundle.sequence().or(self.sequence);
        let is_current = is_whole || !self.is_published;
        let mut added = Added { new: 0, known: 0 };
        for authority in bundle.authorities() {
            let is_it = |known: &&mut Sighted| known.certificate.der() == authority.der();
            match self.authorities.iter_mut().find(is_it) {
                Some(known) => {
                    known.first_seen = known.first_seen.min(at);
                    known.last_seen = known.last_seen.max(at);
                    known.is_current |= is_current;
                    added.known += 1;
                }
                None => {
                    let certificate = authority.clone();
                    let from = from.to_owned();
                    let (first_seen, last_seen) = (at, at);
                    self.authorities.push(Sighted { certificate, first_seen, last_seen, from, is_current });
                    added.new += 1;
                }
            }
        }
        Ok(added)
    }

    /// Takes in what another store of the same trust domain holds. What was published last is as this one says.
    pub fn take_in(&mut self, other: &Self) {
        self.sequence = self.sequence.max(other.sequence);
        self.is_published |= other.is_published;
        for sighted in &other.authorities {
            let is_it = |known: &&mut Sighted| known.certificate.der() == sighted.certificate.der();
            match self.authorities.iter_mut().find(is_it) {
                Some(known) => {
                    known.first_seen = known.first_seen.min(sighted.first_seen);
                    known.last_seen = known.last_seen.max(sighted.last_seen);
                }
                None => self.authorities.push(Sighted { is_current: false, ..sighted.clone() }),
            }
        }
    }

    /// All of them.
    pub fn authorities(&self) -> &[Sighted] {
        &self.authorities
    }

    /// All of them as a bundle. It has no sequence: it never was published so.
    pub fn bundle(&self) -> Result<X509Bundle, BundleError> {
        self.bundle_of(|_| true)
    }

    /// Those of the bundle that was published last. Who has the key of another one must not stand in for the one that publishes
    /// (SPIFFE Federation 5.2.2: the newest bundle says who the endpoint is).
    pub fn current(&self) -> Result<X509Bundle, BundleError> {
        self.bundle_of(|sighted| sighted.is_current)
    }

    fn bundle_of(&self, is_meant: impl Fn(&Sighted) -> bool) -> Result<X509Bundle, BundleError> {
        let meant = self.authorities.iter().filter(|sighted| is_meant(sighted));
        let der: Vec<u8> = meant.flat_map(|sighted| sighted.certificate.der()).copied().collect();
        X509Bundle::from_der(self.trust_domain.clone(), &der)
    }
}

impl Entry {
    /// The authority, if it is what the entry says.
    fn read(self) -> Result<Sighted, String> {
        let der =
            STANDARD.decode(&self.certificate).map_err(|_| "its certificate is not base64".to_owned())?;
        let certificate = Certificate::parse(&der)
            .map_err(|error: CertificateError| format!("its certificate: {error}"))?;
        let stated: Fingerprint =
            self.sha256.parse().map_err(|_| "its sha256 is not a SHA-256 in hexadecimal".to_owned())?;
        if certificate.fingerprint() != stated {
            return Err(format!("its certificate has the SHA-256 {}", certificate.fingerprint()));
        }
        let time = |name: &str, text: &str| {
            UnixSeconds::parse(text).ok_or_else(|| format!("its {name} is not a time in RFC 3339"))
        };
        let (first_seen, last_seen) =
            (time("firstSeen", &self.first_seen)?, time("lastSeen", &self.last_seen)?);
        match first_seen <= last_seen {
            true => {
                Ok(Sighted { certificate, first_seen, last_seen, from: self.from, is_current: self.current })
            }
            false => Err("its lastSeen is before its firstSeen".to_owned()),
        }
    }
}
