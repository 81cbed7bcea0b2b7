//! Noting a verdict on the run that it is about, and on no other one of that name.

use serde_json::{Value, json};
use unixtime::UnixSeconds;

use crate::{
    controller::{
        judging::{
            annotation::ANNOTATION,
            ended::{CONDITION, EndedRun},
            run_id::RunId,
            verdict::Judged,
        },
        objects::Seen,
    },
    sources::{
        kubernetes::{
            PatchedPart,
            by_name::{Changed, RunsByName},
            error::KubernetesError,
        },
        run_name::RunName,
    },
};

/// What has become of it.
#[derive(Debug, PartialEq, Eq)]
pub enum NoteOutcome {
    /// The run has it, and is so now.
    Done(Box<EndedRun>),
    /// The run is gone, or has not ended any more.
    Gone,
    /// The run has changed since it was judged.
    Changed,
}

/// Notes a verdict: in the annotation, and as a condition if that is wanted.
pub fn note(
    runs: &mut RunsByName,
    id: &RunId,
    run: &RunName,
    judged: &Judged,
    with_condition: bool,
    now: UnixSeconds,
) -> Result<NoteOutcome, KubernetesError> {
    // By the UID, so that it never gets onto a run that was made again; other changes do not matter, since it says what it is about.
    let patch = json!({
        "metadata": {"uid": id.uid, "annotations": {ANNOTATION: judged.annotation(now)}},
    });
    let object = match runs.patch(&id.namespace, run, PatchedPart::Main, &patch.to_string())? {
        Changed::Done(bytes) => read(&bytes)?,
        // Another one of that name is found out when it is judged again; so is one that somebody else was changing at the same time.
        Changed::Other => return Ok(NoteOutcome::Changed),
        Changed::Gone => return Ok(NoteOutcome::Gone),
    };
    // What has changed since is not what was judged.
    let is_same =
        |object: &Value| Seen::of(object).ended.is_some_and(|ended| ended.evidence == judged.evidence);
    if !is_same(&object) {
        return Ok(NoteOutcome::Changed);
    }
    let object = match with_condition {
        false => object,
        true => {
            let patch = condition(&object, judged, now);
            match runs.patch(&id.namespace, run, PatchedPart::Status, &patch.to_string())? {
                Changed::Done(bytes) => read(&bytes)?,
                Changed::Other => return Ok(NoteOutcome::Changed),
                Changed::Gone => return Ok(NoteOutcome::Gone),
            }
        }
    };
    Ok(Seen::of(&object).ended.map_or(NoteOutcome::Gone, NoteOutcome::Done))
}

fn read(bytes: &[u8]) -> Result<Value, KubernetesError> {
    let odd = |_| KubernetesError::Odd { reason: "it is not an object of Kubernetes".to_owned() };
    serde_json::from_slice(bytes).map_err(odd)
}

/// The patch that puts the condition among the others, which it names, too: a merge patch replaces lists. So it must be of this version.
fn condition(object: &Value, judged: &Judged, now: UnixSeconds) -> Value {
    let all = object.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice);
    let is_ours = |condition: &&Value| condition.get("type").and_then(Value::as_str) == Some(CONDITION);
    let (ours, others): (Vec<&Value>, Vec<&Value>) = all.unwrap_or_default().iter().partition(is_ours);
    let pod = object.pointer("/status/podName").and_then(Value::as_str);
    let ours = judged.condition(pod, ours.first().copied(), now);
    let conditions: Vec<&Value> = others.into_iter().chain([&ours]).collect();
    json!({
        "metadata": {
            "uid": object.pointer("/metadata/uid"), "resourceVersion": object.pointer("/metadata/resourceVersion"),
        },
        "status": {"conditions": conditions},
    })
}
