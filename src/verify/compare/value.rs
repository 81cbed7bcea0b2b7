//! Result values: what the status must hold of what a step wrote.

use crate::{
    evidence::{
        attestation::{Form, ResultsFrom},
        sha256,
    },
    tekton::{
        taskrun::StatusResult,
        value::{self, ResultValue},
    },
    verify::{facts::Detail, finding::Finding},
};

/// A result of the status that follows from a signed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedResult {
    /// Name in `status.results`.
    pub name: String,
    /// Its value.
    pub value: ResultValue,
    /// SHA-256 of the text that the step wrote for it.
    pub digest: [u8; 32],
    /// The step that set it, or if none did, the last one that found it so.
    pub step: String,
    /// The step result it is taken from, if the task maps one.
    pub step_result: Option<String>,
    /// Whether that step set it.
    pub set: bool,
    /// Whether its name, of a mapped result, rests on `status.taskSpec` alone, which nobody signs.
    pub name_is_claimed: bool,
    /// Whether its type does, of a value that may be read in more than one way.
    pub type_is_claimed: bool,
}

/// The type by which the controller reads a value.
pub(crate) enum DeclaredType<'a> {
    /// As the object's task declares it; `None`: it does not.
    As(Option<&'a str>),
    /// The object holds no task.
    Unknown,
}

/// One candidate for a task result, in the order in which Tekton's controller meets them.
pub(crate) struct Derived<'a> {
    pub(crate) name: &'a str,
    pub(crate) step: &'a str,
    pub(crate) step_result: Option<&'a str>,
    pub(crate) digest: [u8; 32],
    pub(crate) decoded: Option<[u8; 32]>,
    pub(crate) raw: Option<&'a str>,
    pub(crate) form: Form,
    pub(crate) results_from: ResultsFrom,
    pub(crate) set: bool,
}

impl Derived<'_> {
    /// What a message calls it.
    pub(crate) fn label(&self) -> String {
        match self.step_result {
            Some(step_result) => format!("task/{} (step result {step_result})", self.name),
            None => format!("task/{}", self.name),
        }
    }
}

/// Whether a value that fits its digest may be read in more than one way.
pub(crate) fn may_be_decoded(value: &ResultValue, raw: Option<&str>, digest: [u8; 32]) -> bool {
    match (raw, value) {
        (Some(raw), _) => value::decoded_json(raw).is_some(),
        (None, ResultValue::String(text)) if sha256(text.as_bytes()) == digest => {
            value::decoded_json(text).is_some()
        }
        (None, _) => true,
    }
}

/// A value of the status against a signed raw value: `None` if that cannot be said without the step's message.
pub(crate) fn fits(
    found: &StatusResult,
    raw: Option<&str>,
    digest: [u8; 32],
    decoded: Option<[u8; 32]>,
    form: Form,
    declared: &DeclaredType<'_>,
) -> Option<bool> {
    let Some(value) = found.decoded() else { return Some(false) };
    let reads_as_value = |raw: &str| match declared {
        DeclaredType::As(kind) => decode_as(raw, *kind) == value,
        DeclaredType::Unknown => [None, Some("string")].iter().any(|kind| decode_as(raw, *kind) == value),
    };
    if let Some(raw) = raw {
        return Some(sha256(raw.as_bytes()) == digest && reads_as_value(raw));
    }
    if let ResultValue::String(text) = &value
        && sha256(text.as_bytes()) == digest
    {
        // It is the raw value, so its type decides as if the message were there.
        return Some(reads_as_value(text));
    }
    // What is declared as a string keeps its raw text; else the controller keeps the decoded value, if there is one.
    if matches!(declared, DeclaredType::As(Some("string"))) {
        return Some(false);
    }
    // The raw text may have been canonical, too.
    let canonical = Some(sha256(value.canonical_json().as_bytes()));
    let fits = canonical == decoded || canonical == Some(digest);
    // With hints the digest of the decoded value is not carried, and the raw text is gone with the message.
    if fits || form == Form::Digests { Some(fits) } else { None }
}

pub(crate) fn undecided(step: &str, result: &str) -> Finding {
    let reason = format!(
        "step {step}: result {result} cannot be compared: no termination message with it is in the object, and the step's \
         attestation is in the short form; get the object with its steps' messages, if they ever held results (not with \
         results-from: sidecar-logs)"
    );
    Finding::undecided(Detail::MESSAGE_NOT_CARRIED, Some(step), reason)
}

/// A raw result value as the controller writes it to the status under its declared type.
pub(crate) fn decode_as(raw: &str, declared: Option<&str>) -> ResultValue {
    match declared {
        Some("string") => ResultValue::String(raw.to_owned()),
        _ => value::decode(raw),
    }
}
