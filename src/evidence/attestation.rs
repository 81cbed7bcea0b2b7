//! Attestation v1: the value of a `SVIDENCE.<step>.sig` entry (docs/evidence.md 2).
//!
//! `sv1.` and base64url (no padding) of a protobuf message in canonical encoding. A value of [`Attestation`] holds
//! whatever can be said without looking at anything around it: decoding checks it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::{Message as _, bytes::Bytes};

use super::{Sha256, generated, sha256};
use crate::tekton::{canonical, result_kind::ResultKind};

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

/// The name of a step as its container's tells it: without `step-`, and cut where Kubernetes' limit of 63 characters cuts
/// that (Tekton `pkg/names/generate.go`, `RestrictLength`).
pub fn step_name(container: &str) -> &str {
    let cut = match container.get(..63) {
        Some(cut) if container.len() > 63 => cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()),
        _ => container,
    };
    cut.strip_prefix("step-").unwrap_or(cut)
}

/// Whether a name is one that Tekton admits for a result (Tekton `pkg/apis/pipeline/v1/resultref.go`).
pub fn is_result_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
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
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// Whether `onError: continue` let a failure pass.
    pub continued: bool,
}

impl Outcome {
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

/// Bytes of the digest of the declared names.
pub const DECLARED: usize = 12;

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
    /// Digest of the declared names, see [`declared`].
    pub declared: [u8; DECLARED],
    /// Digest of what the step was given to run ([`super::program::Program::digest`]), if it could tell.
    pub program: Option<[u8; 32]>,
    /// Start of the child, ms since the epoch.
    pub started: u64,
    /// How long it ran, ms.
    pub duration: u64,
    /// From its end until signing, ms.
    pub delay: u64,
    /// How it ended.
    pub outcome: Outcome,
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

/// The longest name of Kubernetes, bytes.
const LONGEST_NAME: usize = 253;
/// More intermediates than any chain in use has; bounds the work that a verifier can be put to.
pub const MOST_INTERMEDIATES: usize = 8;

const CONTINUED: u32 = 1;
const TEP0089: u32 = 2;
const HINTS: u32 = 4;
const SIDECAR_LOGS: u32 = 1 << 14;
const STEP_RESULT: u32 = 1;
const FOUND: u32 = 2;

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

    fn to_message(&self) -> generated::Attestation {
        let (ended, code) = match self.outcome.ended {
            Ended::Exited(code) => (0, code),
            Ended::Timeout => (1, 0),
            Ended::Cancelled => (2, 0),
            Ended::Signal(signal) => (3, signal),
            Ended::Skipped => (4, 0),
            Ended::NotStarted => (5, 0),
        };
        let flag = |condition: bool, bit: u32| if condition { bit } else { 0 };
        generated::Attestation {
            namespace: self.namespace.clone(),
            task_run: self.task_run.clone(),
            pod_uid: optional(self.pod_uid),
            step_index: self.step_index,
            step_count: self.step_count,
            // One field for both: a field of its own would take four characters more.
            declared: [self.declared.as_slice(), self.program.as_ref().map_or(&[], <[u8; 32]>::as_slice)]
                .concat(),
            started: self.started,
            duration: self.duration,
            delay: self.delay,
            outcome: flag(self.outcome.continued, CONTINUED)
                | flag(self.tep0089, TEP0089)
                | flag(self.form == Form::Hints, HINTS)
                | ended << 3
                | u32::from(code) << 6
                | flag(self.results_from == ResultsFrom::SidecarLogs, SIDECAR_LOGS),
            set_hints: self.set_hints.concat(),
            found_hints: self.found_hints.concat(),
            results: self
                .results
                .iter()
                .map(|covered| generated::Result {
                    name: covered.name.clone(),
                    digest: covered.digest.to_vec(),
                    decoded: optional(covered.decoded),
                    flags: flag(covered.kind == ResultKind::Step, STEP_RESULT) | flag(!covered.set, FOUND),
                })
                .collect(),
            leaf: self.leaf.clone(),
            signature: self.signature.clone(),
            task_run_uid: optional(self.task_run_uid),
            pod_name: match &self.pod_name {
                PodName::Usual => None,
                PodName::Named(name) => Some(name.clone()),
                PodName::Unknown => Some(String::new()),
            },
            step_artifacts: optional(self.step_artifacts),
            task_artifacts: optional(self.task_artifacts),
            intermediates: self.intermediates.clone(),
        }
    }

    fn from_message(message: generated::Attestation) -> Result<Self, AttestationError> {
        use AttestationError::Field;
        let code = u8::try_from((message.outcome & !SIDECAR_LOGS) >> 6).map_err(|_| Field("outcome"))?;
        let ended = match (message.outcome >> 3 & 7, code) {
            (0, code) => Ended::Exited(code),
            (1, 0) => Ended::Timeout,
            (2, 0) => Ended::Cancelled,
            (3, 1..) => Ended::Signal(code),
            (4, 0) => Ended::Skipped,
            (5, 0) => Ended::NotStarted,
            _ => return Err(Field("outcome")),
        };
        let outcome = Outcome { ended, continued: message.outcome & CONTINUED != 0 };
        if outcome.continued && !matches!(ended, Ended::Exited(1..) | Ended::Signal(_)) {
            return Err(Field("outcome"));
        }
        let results_from = match message.outcome & SIDECAR_LOGS {
            0 => ResultsFrom::TerminationMessage,
            // TEP-0089 entries are made of values in the message.
            _ if message.outcome & TEP0089 != 0 => return Err(Field("outcome")),
            _ => ResultsFrom::SidecarLogs,
        };
        if results_from == ResultsFrom::SidecarLogs && !message.task_artifacts.is_empty() {
            return Err(Field("task_artifacts"));
        }
        let form = if message.outcome & HINTS != 0 { Form::Hints } else { Form::Digests };
        let (set_hints, found_hints) = (hints(&message.set_hints)?, hints(&message.found_hints)?);
        let hints = set_hints.len() + found_hints.len();
        if (form == Form::Digests && hints > 0) || share_one(&set_hints, &found_hints) {
            return Err(Field("hints"));
        }
        let results = message.results.into_iter().map(covered).collect::<Result<Vec<_>, _>>()?;
        let in_order =
            results.windows(2).all(|two| (two[0].kind, &two[0].name) < (two[1].kind, &two[1].name));
        if !in_order || (form == Form::Hints && results.iter().any(|covered| covered.decoded.is_some())) {
            return Err(Field("results"));
        }
        let is_too_long = |name: &str| name.len() > LONGEST_NAME;
        if [&message.namespace, &message.task_run].iter().any(|name| name.is_empty() || is_too_long(name)) {
            return Err(Field("run"));
        }
        if message.step_index >= message.step_count {
            return Err(Field("step"));
        }
        if message
            .started
            .checked_add(message.duration)
            .and_then(|t| t.checked_add(message.delay))
            .is_none_or(
                // Integers in the statement must survive any JSON reader (RFC 8785 section 3.2.2.3).
                |end| end > (1 << 53),
            )
        {
            return Err(Field("times"));
        }
        if message.intermediates.len() > MOST_INTERMEDIATES {
            return Err(Field("intermediates"));
        }
        let is_usual = |name: &str| name.strip_suffix("-pod") == Some(message.task_run.as_str());
        if message.pod_name.as_deref().is_some_and(|name| is_usual(name) || is_too_long(name)) {
            return Err(Field("pod_name"));
        }
        if message.leaf.is_empty() || message.signature.is_empty() {
            return Err(Field("signature"));
        }
        let (declared, program) = message.declared.split_first_chunk().ok_or(Field("declared"))?;
        Ok(Self {
            namespace: message.namespace,
            task_run: message.task_run,
            task_run_uid: absent_or(&message.task_run_uid, "task_run_uid")?,
            pod_uid: absent_or(&message.pod_uid, "pod_uid")?,
            pod_name: match message.pod_name {
                None => PodName::Usual,
                Some(name) if name.is_empty() => PodName::Unknown,
                Some(name) => PodName::Named(name),
            },
            step_index: message.step_index,
            step_count: message.step_count,
            declared: *declared,
            program: absent_or(program, "declared")?,
            started: message.started,
            duration: message.duration,
            delay: message.delay,
            outcome,
            tep0089: message.outcome & TEP0089 != 0,
            results_from,
            form,
            set_hints,
            found_hints,
            results,
            step_artifacts: absent_or(&message.step_artifacts, "step_artifacts")?,
            task_artifacts: absent_or(&message.task_artifacts, "task_artifacts")?,
            leaf: message.leaf,
            intermediates: message.intermediates,
            signature: message.signature,
        })
    }

    /// When the step says it signed, in ms since the epoch.
    pub fn signed_at(&self) -> u64 {
        self.started + self.duration + self.delay
    }
}

fn covered(result: generated::Result) -> Result<Covered, AttestationError> {
    if !is_result_name(&result.name) || result.flags & !(STEP_RESULT | FOUND) != 0 {
        return Err(AttestationError::Field("results"));
    }
    Ok(Covered {
        kind: if result.flags & STEP_RESULT != 0 { ResultKind::Step } else { ResultKind::Task },
        name: result.name,
        set: result.flags & FOUND == 0,
        digest: result.digest.try_into().map_err(|_| AttestationError::Field("results"))?,
        decoded: absent_or(&result.decoded, "results")?,
    })
}

fn hints(bytes: &[u8]) -> Result<Vec<[u8; HINT]>, AttestationError> {
    let (hints, rest) = bytes.as_chunks::<HINT>();
    if !rest.is_empty() || !hints.is_sorted_by(|a, b| a < b) {
        return Err(AttestationError::Field("hints"));
    }
    Ok(hints.to_vec())
}

/// Whether two ascending lists have a hint in common.
fn share_one(one: &[[u8; HINT]], other: &[[u8; HINT]]) -> bool {
    let mut other = other.iter().peekable();
    one.iter().any(|hint| {
        while other.next_if(|next| *next < hint).is_some() {}
        other.peek() == Some(&hint)
    })
}

fn optional<const N: usize>(value: Option<[u8; N]>) -> Vec<u8> {
    value.map(Vec::from).unwrap_or_default()
}

fn absent_or<const N: usize>(bytes: &[u8], field: &'static str) -> Result<Option<[u8; N]>, AttestationError> {
    match bytes {
        [] => Ok(None),
        bytes => bytes.try_into().map(Some).map_err(|_| AttestationError::Field(field)),
    }
}

/// The digest of the names a step was told to collect (`-results`, `-step_results`): the first 12 bytes of SHA-256 over
/// the canonical JSON `{"results":[…],"stepResults":[…]}`, both lists sorted, without repetitions or empty names.
pub fn declared<'a>(
    results: impl IntoIterator<Item = &'a str>,
    step_results: impl IntoIterator<Item = &'a str>,
) -> [u8; DECLARED] {
    DeclaredNames::new(results).with_step_results(step_results)
}

/// The part of [`declared`] that all steps of a task have in common.
#[derive(Clone)]
pub(crate) struct DeclaredNames(Sha256);

impl DeclaredNames {
    pub(crate) fn new<'a>(results: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hashing = Sha256::default();
        hashing.update(b"{\"results\":");
        hashing.update(sorted(results).as_bytes());
        Self(hashing)
    }

    pub(crate) fn with_step_results<'a>(
        &self,
        step_results: impl IntoIterator<Item = &'a str>,
    ) -> [u8; DECLARED] {
        let Self(mut hashing) = self.clone();
        hashing.update(b",\"stepResults\":");
        hashing.update(sorted(step_results).as_bytes());
        hashing.update(b"}");
        let mut declared = [0; DECLARED];
        declared.copy_from_slice(&hashing.finish()[..DECLARED]);
        declared
    }
}

/// Names as a JSON list, sorted, without repetitions or empty ones.
fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let mut out = String::new();
    canonical::array(&mut out, &names, |out, name| canonical::string(out, name));
    out
}
