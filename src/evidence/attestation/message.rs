//! An attestation as a protobuf message, and what of a message is none (docs/evidence.md 2).

use std::time::Duration;

use unixtime::{UnixMillis, whole_milliseconds};

use super::{
    Attestation, AttestationError, Covered, Ended, Form, HINT, MOST_INTERMEDIATES, PodName, ResultsFrom,
    SignedOutcome, is_result_name,
};
use crate::{evidence::generated, tekton::result_kind::ResultKind};

/// The longest name of Kubernetes, bytes.
const LONGEST_NAME: usize = 253;
const CONTINUED: u32 = 1;
const TEP0089: u32 = 2;
const HINTS: u32 = 4;
const SIDECAR_LOGS: u32 = 1 << 14;
const STEP_RESULT: u32 = 1;
const FOUND: u32 = 2;

impl Attestation {
    pub(super) fn to_message(&self) -> generated::Attestation {
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
            started: self.started.get(),
            duration: whole_milliseconds(self.duration),
            delay: whole_milliseconds(self.delay),
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

    pub(super) fn from_message(mut message: generated::Attestation) -> Result<Self, AttestationError> {
        let outcome = read_outcome(message.outcome)?;
        let results_from = results_from(&message)?;
        let form = if message.outcome & HINTS != 0 { Form::Hints } else { Form::Digests };
        let (set_hints, found_hints) = (read_hints(&message.set_hints)?, read_hints(&message.found_hints)?);
        let count = set_hints.len() + found_hints.len();
        if (form == Form::Digests && count > 0) || share_one(&set_hints, &found_hints) {
            return Err(AttestationError::Field("hints"));
        }
        let results = read_results(std::mem::take(&mut message.results), form)?;
        check_plain_fields(&message)?;
        let (declared, program) =
            message.declared.split_first_chunk().ok_or(AttestationError::Field("declared"))?;
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
            started: UnixMillis::new(message.started),
            duration: Duration::from_millis(message.duration),
            delay: Duration::from_millis(message.delay),
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
}

fn read_outcome(bits: u32) -> Result<SignedOutcome, AttestationError> {
    let impossible = AttestationError::Field("outcome");
    let Ok(code) = u8::try_from((bits & !SIDECAR_LOGS) >> 6) else { return Err(impossible) };
    let ended = match (bits >> 3 & 7, code) {
        (0, code) => Ended::Exited(code),
        (1, 0) => Ended::Timeout,
        (2, 0) => Ended::Cancelled,
        (3, 1..) => Ended::Signal(code),
        (4, 0) => Ended::Skipped,
        (5, 0) => Ended::NotStarted,
        _ => return Err(impossible),
    };
    let outcome = SignedOutcome { ended, continued: bits & CONTINUED != 0 };
    if outcome.continued && !matches!(ended, Ended::Exited(1..) | Ended::Signal(_)) {
        return Err(impossible);
    }
    Ok(outcome)
}

fn results_from(message: &generated::Attestation) -> Result<ResultsFrom, AttestationError> {
    match message.outcome & SIDECAR_LOGS {
        0 => Ok(ResultsFrom::TerminationMessage),
        // TEP-0089 entries are made of values in the message.
        _ if message.outcome & TEP0089 != 0 => Err(AttestationError::Field("outcome")),
        _ if !message.task_artifacts.is_empty() => Err(AttestationError::Field("task_artifacts")),
        _ => Ok(ResultsFrom::SidecarLogs),
    }
}

fn read_results(results: Vec<generated::Result>, form: Form) -> Result<Vec<Covered>, AttestationError> {
    let results = results.into_iter().map(covered).collect::<Result<Vec<_>, _>>()?;
    let in_order = results.windows(2).all(|two| (two[0].kind, &two[0].name) < (two[1].kind, &two[1].name));
    if !in_order || (form == Form::Hints && results.iter().any(|covered| covered.decoded.is_some())) {
        return Err(AttestationError::Field("results"));
    }
    Ok(results)
}

/// What is carried as it is: that each has a value that a step may have.
fn check_plain_fields(message: &generated::Attestation) -> Result<(), AttestationError> {
    use AttestationError::Field;
    let is_too_long = |name: &str| name.len() > LONGEST_NAME;
    if [&message.namespace, &message.task_run].iter().any(|name| name.is_empty() || is_too_long(name)) {
        return Err(Field("run"));
    }
    if message.step_index >= message.step_count {
        return Err(Field("step"));
    }
    let signed_at = message.started.checked_add(message.duration).and_then(|t| t.checked_add(message.delay));
    // Integers in the statement must survive any JSON reader (RFC 8785 section 3.2.2.3).
    if signed_at.is_none_or(|end| end > (1 << 53)) {
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
    Ok(())
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

fn read_hints(bytes: &[u8]) -> Result<Vec<[u8; HINT]>, AttestationError> {
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
