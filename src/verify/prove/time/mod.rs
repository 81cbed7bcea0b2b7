//! When was it signed (docs/verify.md "Time")? Certificates that are valid now answer it; else a time-stamp token of the
//! attestation may (RFC 3161), or the operator's word.

mod error;
mod proof;
mod stamped;
mod stamps;
mod window;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

pub use error::TimeStampTokenError;
pub use proof::TimeProof;
pub use stamped::attestations;
pub use stamps::{TimeStamps, TsaFileError, read_annotation};
pub(in crate::verify) use window::Window;
pub use window::{OutOfWindow, ToStamp};
use x509::{
    Validity,
    time_stamp::{TimeStamp, Token},
};

use crate::{
    tekton::taskrun::{ANNOTATION, TaskRun},
    verify::{facts::Detail, finding::Finding, findings::Findings, prove::step::ProvenStep, trust::Trust},
};

/// How the time of one step's signature is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// The strongest proof there is.
    pub proof: TimeProof,
    /// A good token, also where the proof needs none.
    pub stamp: Option<TimeStamp>,
}

/// How the times of all steps are known.
pub(in crate::verify) struct Times {
    /// One a step, in their order.
    pub(in crate::verify) steps: Vec<StepTime>,
    /// The weakest of them.
    pub(in crate::verify) weakest: TimeProof,
    /// For every step whose time is not proven.
    pub(in crate::verify) weaknesses: Findings,
}

/// What a token does for a step.
enum Worth {
    /// The attestation was there while every certificate was valid.
    Proves(TimeStamp),
    /// The attestation was there before it says it was signed.
    Contradicts(TimeStamp),
    /// Nothing.
    None(String),
}

/// How the time of every step is known. A good token that contradicts a step is an error; one that is of no use is noted.
pub(in crate::verify) fn prove_times(
    task_run: &TaskRun,
    proven: &[ProvenStep],
    trust: &Trust,
    stamps: &TimeStamps,
    notes: &mut Vec<String>,
) -> Result<Times, Findings> {
    let annotated = read_tokens_by_step(task_run, proven, stamps, notes);
    let mut times =
        Times { steps: Vec::new(), weakest: TimeProof::ValidNow, weaknesses: Findings::default() };
    let mut contradictions = Findings::default();
    for step in proven {
        let mut good: Vec<TimeStamp> = Vec::new();
        let mut useless = Vec::new();
        for token in find_tokens(step, annotated.get(&step.name), stamps) {
            let worth = match token {
                Ok(token) => judge_token(&token, step, trust, stamps),
                Err(error) => Worth::None(error.to_string()),
            };
            match worth {
                Worth::Proves(stamp) => good.push(stamp),
                Worth::None(reason) => useless.push(reason),
                Worth::Contradicts(stamp) => contradictions.push(Finding::Time {
                    step: step.name.clone(),
                    signed: step.signed_at,
                    relation: format!("after its time stamp ({})", stamp.gen_time),
                    detail: Detail::AFTER_TIME_STAMP,
                    limit: stamp.gen_time.to_string(),
                }),
            }
        }
        let stamp = good.into_iter().min_by_key(|stamp| stamp.gen_time);
        let proof = prove_time(step, trust, stamp);
        if proof == TimeProof::Unproven {
            times.weaknesses.push(unproven(step, trust, useless));
        } else if !stamps.tsas().is_empty() {
            let note = |reason| format!("step {}: a time stamp does not help: {reason}", step.name);
            notes.extend(useless.iter().map(note));
        }
        times.weakest = times.weakest.weaker(proof);
        times.steps.push(StepTime { proof, stamp });
    }
    if contradictions.is_empty() { Ok(times) } else { Err(contradictions) }
}

/// The annotation's tokens by step. Nobody signs it, so what is wrong with it is noted and no more.
fn read_tokens_by_step(
    task_run: &TaskRun,
    proven: &[ProvenStep],
    stamps: &TimeStamps,
    notes: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let Some(annotation) = &task_run.metadata.annotations.timestamps else { return BTreeMap::new() };
    let Some(by_step) = stamps::read_annotation(annotation) else {
        notes.push(format!(
            "the annotation {ANNOTATION} is not a JSON object from step names to base64; it is left out"
        ));
        return BTreeMap::new();
    };
    if !stamps.tsas().is_empty() {
        let signed: HashSet<&str> = proven.iter().map(|step| step.name.as_str()).collect();
        let unknown = by_step.keys().filter(|name| !signed.contains(name.as_str()));
        notes.extend(unknown.map(|name| {
            format!("the annotation {ANNOTATION} has a time stamp for step {name}, which did not sign")
        }));
    }
    by_step
}

/// Every token there may be for a step. Without a TSA that counts none is read.
fn find_tokens<'a>(
    step: &ProvenStep,
    annotated: Option<&String>,
    stamps: &'a TimeStamps,
) -> Vec<Result<Cow<'a, Token>, TimeStampTokenError>> {
    match (stamps.tsas().is_empty(), annotated) {
        (true, None) => Vec::new(),
        (true, Some(_)) => vec![Err(x509::time_stamp::TokenError::NoAuthority.into())],
        (false, annotated) => {
            let attestation = step.attestation.to_bytes();
            let given = stamps.of(&attestation).map(|token| Ok(Cow::Borrowed(token)));
            let beside = annotated.map(|text| match stamps::from_base64(text)? {
                token if token.imprint().is_of(&attestation) => Ok(Cow::Owned(token)),
                _ => Err(x509::time_stamp::TokenError::OtherData.into()),
            });
            given.chain(beside).collect()
        }
    }
}

/// What a token that is of this step's attestation does for it.
fn judge_token(token: &Token, step: &ProvenStep, trust: &Trust, stamps: &TimeStamps) -> Worth {
    let stamp = match token.verify(stamps.tsas()) {
        Ok(stamp) => stamp,
        Err(error) => return Worth::None(TimeStampTokenError::from(error).to_string()),
    };
    match Window::of(step).place(token.gen_time(), trust.now, trust.clock_skew) {
        Ok(()) => Worth::Proves(stamp),
        Err(OutOfWindow::BeforeSigning { .. }) => Worth::Contradicts(stamp),
        Err(other) => Worth::None(other.to_string()),
    }
}

/// The strongest proof: valid now, else by a token, else at the time that the operator asserts.
fn prove_time(step: &ProvenStep, trust: &Trust, stamp: Option<TimeStamp>) -> TimeProof {
    let at = trust.at.unwrap_or(trust.now);
    let meanwhile = Validity::from_on(at, trust.clock_skew);
    let path = step.path.validity();
    let valid = !step.leaf.validity().and(meanwhile).is_empty()
        && (path.contains(meanwhile.not_before) || path.contains(meanwhile.not_after));
    match (valid, trust.at, stamp) {
        (true, None, _) => TimeProof::ValidNow,
        (_, _, Some(stamp)) => TimeProof::ValidThen(stamp),
        (true, Some(at), None) => TimeProof::Asserted(at),
        (false, _, None) => TimeProof::Unproven,
    }
}

fn unproven(step: &ProvenStep, trust: &Trust, useless: Vec<String>) -> Finding {
    let leaf = step.leaf.validity();
    Finding::TimeUnproven {
        step: step.name.clone(),
        at: trust.at.unwrap_or(trust.now),
        is_now: trust.at.is_none(),
        not_before: leaf.not_before,
        not_after: leaf.and(step.path.validity()).not_after,
        stamps: useless,
    }
}
