//! Attestation v1: the value of a `SVIDENCE.<step>.sig` entry (docs/evidence.md 2).
//!
//! `sv1.` and base64url (no padding) of a protobuf message in canonical encoding. A value of [`Attestation`] holds
//! whatever can be said without looking at anything around it: decoding checks it.

mod declared;
mod message;
mod names;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::{Message as _, bytes::Bytes};
use unixtime::UnixMillis;

#[cfg(feature = "cli")]
pub(crate) use self::declared::DeclaredNames;
pub use self::{
    declared::{DECLARED, declared},
    names::{is_result_name, step_name},
};
use super::{generated, sha256};
use crate::tekton::result_kind::ResultKind;

/// What the value of an attestation begins with; the number is the version.
pub const PREFIX: &str = "sv1.";
/// What the value begins with when a step could not sign; a reason follows. Nobody's evidence.
pub const UNSIGNED: &str = "unsigned: ";
/// What the names of evidence begin with; no user result may have such a name.
pub const KEY_PREFIX: &str = "SVIDENCE.";
const KEY_SUFFIX: &str = ".sig";

/// Whether a result name is reserved for evidence; such a user result is refused.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(KEY_PREFIX)
}

/// The entry's name for a step: `SVIDENCE.<step>.sig`.
pub fn key(step: &str) -> String {
    format!("{KEY_PREFIX}{step}{KEY_SUFFIX}")
}

/// The step an entry's name speaks of, if it is an attestation's name.
pub fn step_of_key(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_PREFIX)?.strip_suffix(KEY_SUFFIX).filter(|step| !step.is_empty())
}

/// A result that the attestation covers, with its digests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Covered {
    /// Task or step result.
    pub kind: ResultKind,
    /// Its name, of Tekton's grammar.
    pub name: String,
    /// Whether this step set it; otherwise it found it so.
    pub set: bool,
    /// SHA-256 of the raw value as it is in the message.
    pub digest: [u8; 32],
    /// SHA-256 of the decoded value's canonical JSON, where the controller may decode it (form with digests only).
    pub decoded: Option<[u8; 32]>,
}

/// How the step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The command ended with this exit code.
    Exited(u8),
    /// The step's timeout ended it.
    Timeout,
    /// It was cancelled.
    Cancelled,
    /// A signal ended the command.
    Signal(u8),
    /// Its when expressions skipped it.
    Skipped,
    /// The command could not be started.
    NotStarted,
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedOutcome {
    /// How it ended.
    pub ended: Ended,
    /// Whether `onError: continue` let a failure pass.
    pub continued: bool,
}

impl SignedOutcome {
    /// Whether the steps after this one run.
    pub fn lets_others_run(self) -> bool {
        self.continued || matches!(self.ended, Ended::Exited(0) | Ended::Skipped)
    }
}

/// The pod's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodName {
    /// `<taskrun>-pod`.
    Usual,
    /// Another name.
    Named(String),
    /// The step could not tell.
    Unknown,
}

impl PodName {
    /// The name in full, if it is known.
    pub fn resolve(&self, task_run: &str) -> Option<String> {
        match self {
            Self::Usual => Some(format!("{task_run}-pod")),
            Self::Named(name) => Some(name.clone()),
            Self::Unknown => None,
        }
    }
}

/// Whether results' digests are carried, or 3-byte hints of their names where space is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Every result with name and digests.
    Digests,
    /// Plain task results as hints.
    Hints,
}

/// The way that results and artifacts take from the step to the controller (Tekton's `results-from`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultsFrom {
    /// They are in the termination message, beside the attestation.
    TerminationMessage,
    /// The results sidecar prints them; the message holds the attestation alone.
    SidecarLogs,
}

impl ResultsFrom {
    /// Tekton's name of it, as in the statement.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TerminationMessage => "termination-message",
            Self::SidecarLogs => "sidecar-logs",
        }
    }
}

/// Bytes of a hint: the first of SHA-256 over `task/<name>`.
pub const HINT: usize = 3;

/// The hint of a task result's name.
pub fn hint(name: &str) -> [u8; HINT] {
    let digest = sha256(format!("{}/{name}", ResultKind::Task.as_str()).as_bytes());
    [digest[0], digest[1], digest[2]]
}

/// Everything the attestation of one step carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Namespace of the TaskRun.
    pub namespace: String,
    /// Name of the TaskRun.
    pub task_run: String,
    /// UID of the TaskRun, where the certificate attests it.
    pub task_run_uid: Option<[u8; 16]>,
    /// UID of the pod.
    pub pod_uid: Option<[u8; 16]>,
    /// Name of the pod.
    pub pod_name: PodName,
    /// Position of the step, from 0.
    pub step_index: u32,
    /// Number of steps.
    pub step_count: u32,
    /// Digest of the declared names, see [`declared()`].
    pub declared: [u8; DECLARED],
    /// Digest of what the step was given to run ([`super::program::Program::digest`]), if it could tell.
    pub program: Option<[u8; 32]>,
    /// Start of the child.
    pub started: UnixMillis,
    /// How long it ran, in whole milliseconds.
    pub duration: Duration,
    /// From its end until signing, in whole milliseconds.
    pub delay: Duration,
    /// How it ended.
    pub outcome: SignedOutcome,
    /// Whether TEP-0089 entries are beside; never with [`ResultsFrom::SidecarLogs`].
    pub tep0089: bool,
    /// The way that results and artifacts are handed over.
    pub results_from: ResultsFrom,
    /// How plain task results are carried.
    pub form: Form,
    /// Hints of results that this step set, ascending.
    pub set_hints: Vec<[u8; HINT]>,
    /// Hints of results that it found, ascending.
    pub found_hints: Vec<[u8; HINT]>,
    /// Results with digests, by kind and name.
    pub results: Vec<Covered>,
    /// SHA-256 of the step's provenance.json; by log [`super::artifacts::digest`] of it.
    pub step_artifacts: Option<[u8; 32]>,
    /// SHA-256 of the task's provenance.json, which no log hands over.
    pub task_artifacts: Option<[u8; 32]>,
    /// The leaf: compact form or DER.
    pub leaf: Vec<u8>,
    /// Intermediates, DER, from the leaf's issuer upwards.
    pub intermediates: Vec<Vec<u8>>,
    /// The signature over the DSSE pre-authentication encoding of the statement.
    pub signature: Vec<u8>,
}

/// Why a value is not an attestation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// Another version: `sv` and a number.
    #[error("unknown version {0:?}: this program knows sv1; a newer svidence may be needed")]
    Version(String),
    /// Not an attestation of any version.
    #[error("it does not begin with a version such as {PREFIX:?}")]
    Prefix,
    /// Not base64url without padding.
    #[error("it is not base64url (cut short or altered)")]
    Base64,
    /// Not a protobuf message.
    #[error("it is not an attestation message (cut short or altered)")]
    Protobuf,
    /// Not the one canonical encoding, or it has unknown fields.
    #[error("its encoding is not canonical, or it has a field this version does not know")]
    NotCanonical,
    /// A field has an impossible value.
    #[error("its field {0} has an impossible value")]
    Field(&'static str),
}

/// More intermediates than any chain in use has; bounds the work that a verifier can be put to.
pub const MOST_INTERMEDIATES: usize = 8;

impl Attestation {
    /// The value of the entry.
    pub fn to_value(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }

    /// What the value holds once it is decoded, the protobuf message: what time stamps are made of.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_message().encode_to_vec()
    }

    /// Reads the value of an entry.
    pub fn from_value(value: &str) -> Result<Self, AttestationError> {
        let Some(encoded) = value.strip_prefix(PREFIX) else {
            let version = value.split_once('.').map_or("", |(version, _)| version);
            let number = version.strip_prefix("sv").filter(|number| (1..=9).contains(&number.len()));
            return Err(match number {
                Some(number) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                    AttestationError::Version(version.to_owned())
                }
                _ => AttestationError::Prefix,
            });
        };
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| AttestationError::Base64)?;
        // Of bytes that are shared each field is copied once, not twice.
        let bytes = Bytes::from(bytes);
        let message =
            generated::Attestation::decode(bytes.clone()).map_err(|_| AttestationError::Protobuf)?;
        let attestation = Self::from_message(message)?;
        if attestation.to_bytes() != bytes {
            return Err(AttestationError::NotCanonical);
        }
        Ok(attestation)
    }

    /// The place of the step in the task's list.
    pub fn place(&self) -> usize {
        usize::try_from(self.step_index).unwrap_or(usize::MAX)
    }

    /// When the step says it signed.
    pub fn signed_at(&self) -> UnixMillis {
        self.started + self.duration + self.delay
    }
}
