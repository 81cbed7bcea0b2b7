//! The entries of a step's message, against what its attestation covers.

use crate::{
    evidence::{
        attestation::{self, Covered, Form},
        sha256,
    },
    tekton::{
        message::{ReadEntry, entry_type},
        result_kind::ResultKind,
        value,
    },
    verify::{
        collect::StepEvidence,
        facts::{Detail, ResultName},
        finding::Finding,
        findings::Findings,
        prove::step::ProvenStep,
        verdict::{ChangedResult, Thing},
    },
};

/// Compares the entries of the step's message with what its attestation covers.
pub(crate) fn compare_entries(proven: &ProvenStep, evidence: &StepEvidence<'_>) -> Findings {
    let mut findings = Findings::default();
    let Some(entries) = evidence.entries() else { return findings };
    let step = &proven.name;
    // Nothing that the results sidecar hands over is in the message.
    let in_message = evidence.entries_with_results(&proven.attestation).is_some();
    for covered in proven.covered.iter().filter(|_| in_message) {
        findings.extend(compare_result(proven, covered, evidence));
    }
    let own_key = attestation::key(step);
    let mut artifacts = [
        (entry_type::STEP_ARTIFACTS, proven.attestation.step_artifacts, "the step's artifacts"),
        (entry_type::TASK_ARTIFACTS, proven.attestation.task_artifacts, "the task's artifacts"),
    ];
    if !in_message {
        artifacts.iter_mut().for_each(|(_, digest, _)| *digest = None);
    }
    for entry in entries {
        let covered = match entry.kind {
            entry_type::TASK_RESULT if entry.key == own_key => true,
            entry_type::TASK_RESULT => {
                (in_message && proven.covers(ResultKind::Task, &entry.key))
                    || (proven.attestation.tep0089 && proven.is_tep0089_entry(&entry.key))
            }
            entry_type::STEP_RESULT => in_message && proven.covers(ResultKind::Step, &entry.key),
            kind => {
                let expected = artifacts.iter_mut().find(|(artifact, ..)| *artifact == kind);
                expected.is_some_and(|(_, digest, _)| digest.take() == Some(sha256(entry.value.as_bytes())))
            }
        };
        if !covered {
            let thing = added(entry).in_field(evidence.message_field());
            findings.push(Finding::ResultAdded { step: step.clone(), thing });
        }
    }
    for (_, digest, what) in artifacts {
        if let Some(digest) = digest {
            let thing = Thing::new(Detail::ARTIFACTS, what.to_owned()).with_signed(digest);
            let thing = thing.in_field(evidence.message_field());
            findings.push(Finding::ResultMissing { step: step.clone(), thing });
        }
    }
    findings
}

/// A result that the attestation covers, against the one in the message.
fn compare_result(proven: &ProvenStep, covered: &Covered, evidence: &StepEvidence<'_>) -> Option<Finding> {
    let step = &proven.name;
    let result = || ResultName { kind: covered.kind, name: covered.name.clone() };
    let changed = |signed, found| Finding::ResultChanged {
        step: step.clone(),
        changed: Box::new(ChangedResult {
            result: result(),
            detail: Detail::IN_MESSAGE,
            signed,
            found,
            field: evidence.message_field(),
        }),
    };
    match evidence.raw(covered.kind, &covered.name) {
        None => Some(Finding::ResultMissing {
            step: step.clone(),
            thing: Thing::new(Detail::IN_MESSAGE, result().to_string())
                .with_result(result())
                .with_signed(covered.digest)
                .in_field(evidence.message_field()),
        }),
        Some(raw) if sha256(raw.as_bytes()) != covered.digest => {
            Some(changed(Some(covered.digest), Some(sha256(raw.as_bytes()))))
        }
        Some(raw) => {
            let decoded = value::decoded_json(raw).map(|v| sha256(v.canonical_json().as_bytes()));
            let differs = proven.attestation.form == Form::Digests && decoded != covered.decoded;
            differs.then(|| changed(covered.decoded, decoded))
        }
    }
}

/// An entry that the attestation does not cover.
fn added(entry: &ReadEntry) -> Box<Thing> {
    let new = |text| Thing::new(Detail::IN_MESSAGE, text);
    let key = entry.key.as_str();
    match entry.kind {
        entry_type::TASK_RESULT => new(format!("the result {key}")).with_result(ResultName::task(key)),
        entry_type::STEP_RESULT => new(format!("the step result {key}")).with_result(ResultName::step(key)),
        entry_type::STEP_ARTIFACTS | entry_type::TASK_ARTIFACTS => {
            Thing::new(Detail::ARTIFACTS, "another list of artifacts".to_owned())
        }
        kind => new(format!("the entry {key} of type {kind}")),
    }
}
