//! What the task declares, in the status and inline, against what the steps were told to collect.

use std::collections::HashSet;

use crate::evidence::attestation::{self, Kind, step_name};

use super::{
    facts::Detail,
    step::ProvenStep,
    taskrun::{DeclaredResult, TaskRun, TaskSpec},
    verdict::Finding,
};

/// Where a TaskRun holds its task inline.
const INLINE: &str = "spec.taskSpec";

/// The names that each step was told to collect are those that the task declares, in the status and inline.
pub(super) fn declared_names(object: &TaskRun, proven: &[ProvenStep]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let specs = [(INLINE, &object.spec.task_spec), ("status.taskSpec", &object.status.task_spec)];
    for (field, spec) in specs.into_iter().filter_map(|(field, spec)| Some((field, spec.as_ref()?))) {
        findings.extend(declared_in(field, spec, proven));
    }
    // An archive that keeps results alone does not keep the task either: then what it declares is claimed at most.
    if object.status.task_spec.is_none() && !object.is_partial() {
        let reason =
            "status.taskSpec is missing: what the task declares cannot be compared with what was signed";
        findings.push(Finding::undecided(Detail::NO_TASK_SPEC, None, reason));
    }
    findings
}

fn declared_in(field: &str, spec: &TaskSpec, proven: &[ProvenStep]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wrong = |field: String, detail, problem: String| {
        findings.push(Finding::Status { field, problem, detail });
    };
    let mut seen = HashSet::with_capacity(spec.results.len());
    for (i, result) in spec.results.iter().enumerate() {
        let name = result.name.as_str();
        if !attestation::is_result_name(name) || attestation::is_reserved(name) {
            wrong(
                format!("{field}.results[{i}]"),
                Detail::RESULT_NAME,
                format!("{name:?} is no name of a result"),
            );
        }
        if !seen.insert(name) {
            wrong(
                format!("{field}.results[{i}]"),
                Detail::DECLARED_TWICE,
                format!("the result {name} is declared twice"),
            );
        }
        // A name that is collected from a file is never mapped: the value would be replaced.
        let collected = proven.iter().any(|step| step.covers(Kind::Task, name));
        if result.value.is_some() && collected {
            wrong(
                format!("{field}.results[{i}]"),
                Detail::DECLARED_ELSEWHERE,
                format!("the signed result {name} is declared as another step's"),
            );
        }
    }
    let names = |results: &[DeclaredResult]| {
        let collected = results.iter().filter(|result| result.value.is_none());
        collected.map(|result| result.name.clone()).collect::<Vec<_>>()
    };
    let collected = names(&spec.results);
    if let Some(step) = proven.first()
        && usize::try_from(step.attestation.step_count).ok() != Some(spec.steps.len())
    {
        let signed = step.attestation.step_count;
        wrong(
            format!("{field}.steps"),
            Detail::STEP_COUNT,
            format!("it declares {} steps, but signed are {signed}", spec.steps.len()),
        );
    }
    for step in proven {
        let index = step.attestation.step_index as usize;
        let declared_step = spec.steps.get(index).filter(|declared| {
            step_name(&format!("step-{}", declared.name)) == step.name
                || (declared.name.is_empty() && step.name == format!("unnamed-{index}"))
        });
        let Some(declared_step) = declared_step else {
            wrong(
                format!("{field}.steps[{index}]"),
                Detail::STEP_NOT_DECLARED,
                format!("the signed step {} is not there", step.name),
            );
            continue;
        };
        // The inline task of a StepAction does not say what that declares.
        if field == INLINE && declared_step.step_action.is_some() && declared_step.results.is_empty() {
            continue;
        }
        let mut seen = HashSet::with_capacity(declared_step.results.len());
        for (i, result) in declared_step.results.iter().enumerate() {
            if !seen.insert(result.name.as_str()) {
                wrong(
                    format!("{field}.steps[{index}].results[{i}]"),
                    Detail::DECLARED_TWICE,
                    format!("the result {} is declared twice", result.name),
                );
            }
        }
        let of_step: Vec<&str> = declared_step.results.iter().map(|result| result.name.as_str()).collect();
        let collected = collected.iter().map(String::as_str);
        if attestation::declared(collected, of_step) != step.attestation.declared {
            let problem =
                format!("its declared results are not those that step {} was told to collect", step.name);
            wrong(field.to_owned(), Detail::DECLARED_RESULTS, problem);
        }
    }
    findings
}
