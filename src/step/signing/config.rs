//! The operator's configuration: Tekton's four keys of the ConfigMap `config-spire` and ours.
//!
//! `svidence config` turns the ConfigMap into the JSON that goes into the image, `init` carries that to the steps, and
//! both read it here, so that a value one of them accepts is never refused by the other.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use go::duration;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;

use crate::workload::{
    address::{Address, AddressError},
    id::{TrustDomain, parse_trust_domain},
};

/// Key of [`Config::trust_domain`].
pub const TRUST_DOMAIN: &str = "spire-trust-domain";
/// Key of [`Config::socket_path`].
pub const SOCKET_PATH: &str = "spire-socket-path";
/// Key of [`Config::server_addr`].
pub const SERVER_ADDR: &str = "spire-server-addr";
/// Key of [`Config::node_alias_prefix`].
pub const NODE_ALIAS_PREFIX: &str = "spire-node-alias-prefix";
/// Key of [`Config::evidence`].
pub const EVIDENCE: &str = "svidence-evidence";
/// Key of [`Config::signing_failure`].
pub const SIGNING_FAILURE: &str = "svidence-signing-failure";
/// Key of [`Config::signing_timeout`].
pub const SIGNING_TIMEOUT: &str = "svidence-signing-timeout";
/// Key of [`Config::containers`].
pub const CONTAINERS: &str = "svidence-containers";

/// Every key there is.
pub const KEYS: [&str; 8] = [
    TRUST_DOMAIN,
    SOCKET_PATH,
    SERVER_ADDR,
    NODE_ALIAS_PREFIX,
    EVIDENCE,
    SIGNING_FAILURE,
    SIGNING_TIMEOUT,
    CONTAINERS,
];

/// Tekton's ConfigMaps carry their documentation under this key; it is never read.
const EXAMPLE: &str = "_example";

const LONGEST_SIGNING_TIMEOUT: Duration = Duration::from_secs(3600);
const MOST_CONTAINERS: u32 = 64;

/// Which forms of evidence a step emits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvidenceForms {
    /// The attestation, and TEP-0089 entries beside it where they fit.
    #[default]
    Both,
    /// The attestation alone.
    Attestation,
    /// TEP-0089 entries alone: readable by others, but weak.
    Tep0089,
}

impl EvidenceForms {
    const ALL: [Self; 3] = [Self::Both, Self::Attestation, Self::Tep0089];

    /// The value as it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Attestation => "attestation",
            Self::Tep0089 => "tep-0089",
        }
    }
}

/// What becomes of a step whose results could not be signed. The results are written in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningFailure {
    /// The step fails.
    #[default]
    Fail,
    /// The step ends as its command did; the message says that and why its results are unsigned.
    Report,
}

impl SigningFailure {
    const ALL: [Self; 2] = [Self::Fail, Self::Report];

    /// The value as it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Report => "report",
        }
    }
}

/// The parsed configuration. Its defaults are what a missing key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Trust domain of the SPIRE server, and the only one whose identities are accepted.
    pub trust_domain: TrustDomain,
    /// Address of the Workload API as the steps see it.
    pub socket_path: Address,
    /// Address of the SPIRE server, for registration.
    pub server_addr: String,
    /// What comes before a node's name in its SPIFFE ID, for registration.
    pub node_alias_prefix: String,
    /// Which forms of evidence a step emits.
    pub evidence: EvidenceForms,
    /// What becomes of a step whose results could not be signed.
    pub signing_failure: SigningFailure,
    /// How long a step tries to get an identity and to sign; zero is one attempt.
    pub signing_timeout: Duration,
    /// Number of containers in the pod, init containers and sidecars included, if the operator states it: the kubelet
    /// divides the room for termination messages by it.
    pub containers: Option<NonZeroU32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trust_domain: TrustDomain::new("example.org").expect("a valid trust domain"),
            socket_path: "unix:///spiffe-workload-api/spire-agent.sock".parse().expect("a valid address"),
            server_addr: "spire-server.spire.svc.cluster.local:8081".into(),
            node_alias_prefix: "/tekton-node/".into(),
            evidence: EvidenceForms::default(),
            signing_failure: SigningFailure::default(),
            signing_timeout: Duration::from_secs(60),
            containers: None,
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key that means nothing: most likely a typing error, which would otherwise leave a default in force unnoticed.
    #[error("unknown key {key:?}; the closest known key is {closest:?}")]
    UnknownKey {
        /// The key as given.
        key: String,
        /// The known key that resembles it most.
        closest: &'static str,
    },
    /// One key appears more than once.
    #[error("key {key:?} appears twice; keep one of them")]
    Twice {
        /// The key.
        key: String,
    },
    /// A value that the key does not take.
    #[error("{key}: {value:?} {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it and what to write instead.
        reason: String,
    },
    /// Not a JSON object of strings.
    #[error("{}; make the file with `svidence config config-spire.yaml`", not_json(.0))]
    Json(#[from] serde_json::Error),
}

/// What is wrong with JSON, in place of its parser's words.
fn not_json(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof if column == 0 => "it is empty".to_owned(),
        Category::Eof => "its JSON is cut off".to_owned(),
        Category::Syntax => format!("it is not JSON (line {line}, column {column})"),
        _ => format!("it is not a JSON object whose values are all text (line {line}, column {column})"),
    }
}

impl ConfigError {
    /// The key at fault, if it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. } | Self::Twice { key } => Some(key),
            Self::Value { key, .. } => Some(key),
            Self::Json(_) => None,
        }
    }
}

impl Config {
    /// Reads the keys and values of the ConfigMap's `data`. `_example` is passed over, missing keys take the defaults.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut seen = Vec::new();
        for (key, value) in entries {
            if key == EXAMPLE {
                continue;
            }
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                return Err(ConfigError::UnknownKey { closest: closest_key(&key), key });
            };
            if seen.contains(&known) {
                return Err(ConfigError::Twice { key });
            }
            seen.push(known);
            config.set(known, &value).map_err(|reason| ConfigError::Value { key: known, value, reason })?;
        }
        Ok(config)
    }

    /// Reads what [`Config::to_json`] wrote.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let Entries(entries) = serde_json::from_slice(json)?;
        Self::from_entries(entries)
    }

    /// The form that goes into the image: one JSON object of strings with the keys of the ConfigMap, every value stated,
    /// so that what a step does never depends on the defaults of the version that reads it.
    pub fn to_json(&self) -> String {
        let mut entries = BTreeMap::from([
            (TRUST_DOMAIN, self.trust_domain.to_string()),
            (SOCKET_PATH, self.socket_path.to_string()),
            (SERVER_ADDR, self.server_addr.clone()),
            (NODE_ALIAS_PREFIX, self.node_alias_prefix.clone()),
            (EVIDENCE, self.evidence.as_str().to_owned()),
            (SIGNING_FAILURE, self.signing_failure.as_str().to_owned()),
            (SIGNING_TIMEOUT, go_duration(self.signing_timeout)),
        ]);
        if let Some(containers) = self.containers {
            entries.insert(CONTAINERS, containers.to_string());
        }
        serde_json::to_string_pretty(&entries).expect("strings always serialise") + "\n"
    }

    fn set(&mut self, key: &'static str, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Err("is empty; give a value, or leave the key out to have the default".into());
        }
        if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("contains white space or control characters, which no value of this file has".into());
        }
        match key {
            TRUST_DOMAIN => {
                self.trust_domain = parse_trust_domain(value).map_err(|error| error.to_string())?;
            }
            SOCKET_PATH => self.socket_path = socket_path(value)?,
            SERVER_ADDR => self.server_addr = server_addr(value)?,
            NODE_ALIAS_PREFIX if !value.starts_with('/') => {
                return Err("must begin with \"/\", for example \"/tekton-node/\"".into());
            }
            NODE_ALIAS_PREFIX => self.node_alias_prefix = value.to_owned(),
            EVIDENCE => self.evidence = one_of(value, &EvidenceForms::ALL, |e| e.as_str())?,
            SIGNING_FAILURE => self.signing_failure = one_of(value, &SigningFailure::ALL, |f| f.as_str())?,
            SIGNING_TIMEOUT => self.signing_timeout = signing_timeout(value)?,
            CONTAINERS => self.containers = Some(containers(value)?),
            _ => unreachable!("every key of KEYS is handled"),
        }
        Ok(())
    }
}

/// A JSON object's members in order, repeated ones included: a map would hide them.
struct Entries(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = members.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

fn socket_path(value: &str) -> Result<Address, String> {
    // The address's own message would repeat the value.
    value.parse().map_err(|error| match error {
        AddressError::Invalid { reason, .. } => {
            format!("is not a Workload API address: {reason}; use unix:///path or tcp://IP:port")
        }
        AddressError::PathTooLong { bytes, .. } => {
            format!("is too long for a socket: its path has {bytes} bytes, Linux allows 107")
        }
    })
}

fn server_addr(value: &str) -> Result<String, String> {
    let port = value.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(1..) => Ok(value.to_owned()),
        _ => Err("must be host:port, for example \"spire-server.spire.svc.cluster.local:8081\"".into()),
    }
}

fn one_of<T: Copy>(value: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|known| name(*known) == value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|known| name(*known)).collect();
        format!("must be one of: {}", names.join(", "))
    })
}

fn signing_timeout(value: &str) -> Result<Duration, String> {
    let nanoseconds = duration::parse(value.as_bytes())
        .ok_or("is not a duration such as \"60s\", \"1m30s\" or \"500ms\" (a number needs its unit)")?;
    let duration = Duration::from_nanos(nanoseconds.try_into().map_err(|_| "must not be negative")?);
    if duration > LONGEST_SIGNING_TIMEOUT {
        return Err("is longer than 1h, the longest a step may be held".into());
    }
    Ok(duration)
}

fn containers(value: &str) -> Result<NonZeroU32, String> {
    value
        .parse()
        .ok()
        .filter(|n: &NonZeroU32| n.get() <= MOST_CONTAINERS && value.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| format!("must be a whole number from 1 to {MOST_CONTAINERS}"))
}

fn go_duration(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        n if n % 1_000_000 == 0 => format!("{}ms", duration.as_millis()),
        _ => format!("{}ns", duration.as_nanos()),
    }
}

fn closest_key(key: &str) -> &'static str {
    KEYS.into_iter().min_by_key(|known| edits_between(key, known)).expect("there are keys")
}

/// Levenshtein distance over bytes.
pub(crate) fn edits_between(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
