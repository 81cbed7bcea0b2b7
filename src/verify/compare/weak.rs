//! Task results of the status against the values that entries of Tekton's own form sign.

use std::collections::HashMap;

use crate::{
    evidence::sha256,
    verify::{
        VerifiedResult,
        bind::attempt::Attempt,
        compare::value,
        facts::{Detail, ResultName},
        finding::Finding,
        prove::tep0089::{self, SignedValue},
    },
};

/// The results of the status, all of which are signed and all of which are there. What has no signature is left out, with a note.
pub(crate) fn compare(
    attempt: &Attempt<'_>,
    signed: &[SignedValue],
    notes: &mut Vec<String>,
) -> Result<Vec<VerifiedResult>, Finding> {
    // Of several with one name the last.
    let mut lost: HashMap<&str, &SignedValue> =
        signed.iter().map(|signed| (signed.name.as_str(), signed)).collect();
    let last = lost.clone();
    let mut results = Vec::new();
    for result in &attempt.task_run.status.results {
        let Some(last) = last.get(result.name.as_str()) else {
            if !tep0089::is_evidence_key(&result.name) {
                notes.push(format!("result {} has no signature; it is left out", result.name));
            }
            continue;
        };
        lost.remove(result.name.as_str());
        let declared = attempt.declared_result(&result.name).map(|declared| declared.declared_type());
        let expected = value::decode_as(&last.raw, declared);
        if result.decoded().as_ref() != Some(&expected) {
            let reason = format!("result {} in status.results is not the one that it signed", result.name);
            return Err(wrong(last, reason));
        }
        results.push(VerifiedResult {
            name: result.name.clone(),
            value: expected,
            digest: sha256(last.raw.as_bytes()),
            step: last.step.clone(),
            step_result: None,
            set: false,
            name_is_claimed: false,
            type_is_claimed: true,
        });
    }
    match signed.iter().find(|signed| lost.contains_key(signed.name.as_str())) {
        None => Ok(results),
        Some(lost) => {
            Err(wrong(lost, format!("result {} that it signed is missing in status.results", lost.name)))
        }
    }
}

fn wrong(signed: &SignedValue, reason: String) -> Finding {
    Finding::Tep0089 {
        step: signed.step.clone(),
        reason,
        detail: Detail::IN_STATUS_RESULTS,
        result: Some(ResultName::task(&signed.name)),
    }
}
