//! The attestation that Chains' storage `tekton` keeps in a PipelineRun's annotations (Chains `pkg/chains/storage/tekton`): signed, about
//! this very run, and not against what its status says and its TaskRuns prove.

use std::collections::HashMap;

use crate::{
    tekton::{
        chains::{self, AttestedPipelineRun, Stated, StatedTaskRun},
        pipelinerun::PipelineRun,
        taskrun::{StatusResult, TaskRun},
        value::ResultValue,
    },
    verify::{
        Finding, Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{differs, fault, task::Task},
        prove::chains::{
            annotation::{Annotation, find_signed},
            key::ChainsKeys,
            of_pipeline_run,
        },
    },
};

/// The key that signed an attestation of the PipelineRun, if that was checked: the one that it was made of, or the one in its
/// annotations.
pub(crate) fn signed_by(
    object: &PipelineRun,
    tasks: &HashMap<&str, Task<'_>>,
    keys: &ChainsKeys,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Option<String> {
    let signed = match &object.chains {
        Some(origin) => of_pipeline_run(origin, keys).map(|signature| signature.keyid().map(str::to_owned)),
        None => check(object, tasks, keys),
    };
    let keyid = signed.unwrap_or_else(|finding| {
        findings.push(finding);
        None
    })?;
    notes.push(format!("Chains signed an attestation of it ({keyid})"));
    Some(keyid)
}

/// Checks the attestation in the annotations; gives the key that signed it. Without keys nothing in it can be believed.
fn check(
    object: &PipelineRun,
    tasks: &HashMap<&str, Task<'_>>,
    keys: &ChainsKeys,
) -> Result<Option<String>, Finding> {
    if keys.is_empty() {
        return Ok(None);
    }
    let unchecked = |problem: String| fault(Verdict::Unchecked, Detail::CHAINS_ANNOTATION, problem);
    let found = find_signed(&object.metadata, "pipelinerun", keys, unchecked)?;
    let Some(Annotation { field, envelope, keyid }) = found else { return Ok(None) };
    let unread = |error: &dyn std::fmt::Display| unchecked(format!("{field}: {error}"));
    let attested = chains::pipeline_run(&envelope.payload).map_err(|error| unread(&error))?;
    // Of a format that holds no TaskRuns there is nothing more to compare, and of one that it does not name neither.
    let task_runs =
        chains::of_payload(&envelope.payload, &read_stated(object, tasks), |_| None).unwrap_or_default();
    let problem = compare_run(object, &attested)
        .and_then(|()| compare_results(object, &attested))
        .and_then(|()| task_runs.iter().flatten().try_for_each(|task_run| compare_proven(task_run, tasks)));
    match problem {
        Ok(()) => Ok(Some(keyid)),
        Err(problem) => {
            let problem = format!("{field}: {problem}");
            Err(differs(Detail::CHAINS_ANNOTATION, problem, field, (None, None)))
        }
    }
}

/// Names of TaskRuns where Chains' format has only those of tasks. A matrix has several, in no order that it says.
fn read_stated(object: &PipelineRun, tasks: &HashMap<&str, Task<'_>>) -> Stated {
    let name = |(task, runs): (&&str, &Task<'_>)| match runs.references.as_slice() {
        [one] => Some(StatedTaskRun { task: Some((*task).to_owned()), name: one.name.clone() }),
        _ => None,
    };
    Stated {
        namespace: Some(object.metadata.namespace.clone()),
        task_runs: tasks.iter().filter_map(name).collect(),
        pipeline_runs: Vec::new(),
    }
}

fn compare_run(object: &PipelineRun, attested: &AttestedPipelineRun) -> Result<(), String> {
    let (uid, name) = (&object.metadata.uid, &object.metadata.name);
    let other_name =
        attested.results.iter().filter_map(|result| result.pipeline_run.as_ref()).find(|of| *of != name);
    match (attested.uids.iter().find(|found| *found != uid), other_name) {
        (Some(other), _) => {
            Err(format!("Chains attested the run of the UID {other:?}, and this one has {uid:?}"))
        }
        (None, Some(other)) => {
            Err(format!("Chains attested the PipelineRun {other:?}, and this one is {name:?}"))
        }
        (None, None) => Ok(()),
    }
}

/// Each result that Chains attested of the PipelineRun itself is in its status. Chains leaves some out.
fn compare_results(object: &PipelineRun, attested: &AttestedPipelineRun) -> Result<(), String> {
    let is_here = |name: &str, value: &Option<ResultValue>| {
        object.status.results.iter().any(|found| found.name == name && Some(&found.value) == value.as_ref())
    };
    match attested.results.iter().find(|result| !is_here(&result.name, &result.value)) {
        Some(result) => Err(format!("Chains attested a result {} that is not here, or not so", result.name)),
        None => Ok(()),
    }
}

/// What Chains attested of a TaskRun is not against what its steps' evidence proves.
fn compare_proven(attested: &TaskRun, tasks: &HashMap<&str, Task<'_>>) -> Result<(), String> {
    let name = &attested.metadata.name;
    let runs = tasks.values().flat_map(|task| task.references.iter().zip(&task.runs));
    let run = runs.filter(|(reference, _)| reference.name == *name).find_map(|(_, run)| run.as_ref());
    let Some(proven) = run.and_then(|run| run.proven.as_ref()) else { return Ok(()) };
    let is_against = |result: &&StatusResult| {
        let value = ResultValue::from_json(&result.value);
        proven.result(&result.name).is_some_and(|known| value.as_ref() != Some(known))
    };
    match attested.status.results.iter().find(is_against) {
        Some(result) => Err(format!(
            "Chains attested another value of the result {} of {name} than its steps signed",
            result.name
        )),
        None => Ok(()),
    }
}
