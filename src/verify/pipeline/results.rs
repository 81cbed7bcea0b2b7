//! The results of a PipelineRun: each is what attested results make of it
//! (Tekton `pkg/reconciler/pipelinerun/resources/apply.go`, `ApplyTaskResultsToPipelineResults`).

use std::collections::HashMap;

use crate::{
    tekton::{
        pipelinerun::{
            Param, PipelineRun, PipelineSpec,
            references::{TaskResultPart, TaskResultReference, expressions, replaced},
        },
        value::ResultValue,
    },
    verify::{
        Finding, Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            PipelineResult, differs, fault,
            values::{TaskResult, Values},
        },
    },
};

/// Compares `status.results`; gives those that follow from attested results.
pub(crate) fn check(
    object: &PipelineRun,
    spec: &PipelineSpec,
    values: &Values<'_>,
    (findings, notes, lacks): (&mut Findings, &mut Vec<String>, &mut Vec<String>),
) -> Vec<PipelineResult> {
    let mut found: HashMap<&str, Stated<'_>> = HashMap::new();
    for (i, Param { name, value }) in object.status.results.iter().enumerate() {
        if found.insert(name, (i, value)).is_some() {
            let problem = format!("status.results holds {name} twice");
            findings.push(differs(
                Detail::PIPELINE_RESULT,
                problem,
                format!("status.results[{i}]"),
                (None, None),
            ));
        }
    }
    let mut proven = Vec::new();
    for result in &spec.results {
        match check_declared(object, result, found.remove(result.name.as_str()), values) {
            Ok(Outcome::Proven(result)) => proven.push(result),
            Ok(Outcome::Note(note)) => notes.push(note),
            Ok(Outcome::NotCarried(problem)) => lacks.push(problem),
            Ok(Outcome::Nothing) => {}
            Err(finding) => findings.push(finding),
        }
    }
    let mut added: Vec<_> = found.into_iter().collect();
    added.sort_unstable_by_key(|(_, (i, _))| *i);
    for (name, (i, value)) in added {
        let problem = format!("the pipeline declares no result {name}");
        findings.push(differs(
            Detail::PIPELINE_RESULT,
            problem,
            format!("status.results[{i}]"),
            (None, Some(value)),
        ));
    }
    proven
}

/// A result that the status states: its place, and its value.
type Stated<'a> = (usize, &'a ResultValue);

/// What there is to say of a declared result that nothing is wrong with.
enum Outcome {
    Proven(PipelineResult),
    Note(String),
    NotCarried(String),
    Nothing,
}

/// A result that the pipeline declares, against the one that the status states.
fn check_declared(
    object: &PipelineRun,
    Param { name, value }: &Param,
    stated: Option<Stated<'_>>,
    values: &Values<'_>,
) -> Result<Outcome, Finding> {
    let field = match stated {
        Some((i, _)) => format!("status.results[{i}]"),
        None => "status.results".to_owned(),
    };
    let wrong = |problem, sides| differs(Detail::PIPELINE_RESULT, problem, field, sides);
    match (derive(value, values), stated) {
        (Ok(expected), Some((_, found))) if expected == *found => {
            let source = match value {
                ResultValue::String(text) => text.clone(),
                _ => value.canonical_json(),
            };
            Ok(Outcome::Proven(PipelineResult { name: name.clone(), source, value: expected }))
        }
        (Ok(expected), Some((_, found))) => {
            let problem = format!("result {name} of the PipelineRun is not what its tasks produced");
            Err(wrong(problem, (Some(&expected), Some(found))))
        }
        // Of a pipeline in it that failed Tekton up to v1.15 leaves results out; where one succeeded, it fails the PipelineRun instead.
        (Ok(_), None) if is_from_failed_pipeline(value, values) => Ok(Outcome::Note(format!(
            "result {name} is missing, as may be where a pipeline in the pipeline failed"
        ))),
        // Chains leaves some out, and of one that failed it may be missing.
        (Ok(_), None) if object.chains.is_some() => {
            Ok(Outcome::NotCarried(format!("result {name} of the PipelineRun is not in it")))
        }
        (Ok(expected), None) if object.succeeded() == Some("True") => {
            let problem = format!("result {name} of the PipelineRun is missing");
            Err(wrong(problem, (Some(&expected), None)))
        }
        (Ok(_), None) => {
            Ok(Outcome::Note(format!("result {name} is missing, as may be in a PipelineRun that failed")))
        }
        (Err(_), Some((_, found))) if is_from_nothing(value, values) => {
            let problem =
                format!("result {name} of the PipelineRun comes from a result that no task produced");
            Err(wrong(problem, (None, Some(found))))
        }
        (Err(expression), Some(_)) => {
            let reason = values.unknown(&expression);
            let problem = format!("result {name} of the PipelineRun cannot be derived: {reason}");
            match reason.is_not_carried {
                true => Ok(Outcome::NotCarried(problem)),
                false => Err(fault(Verdict::Unchecked, Detail::NOT_DERIVED, problem)),
            }
        }
        // It comes from a task that was skipped or failed.
        (Err(_), None) => Ok(Outcome::Nothing),
    }
}

/// What attested results make of it. `Err`: an expression from which Tekton makes nothing, or not what it says: a list or an object
/// without `[*]` becomes its first item or stays.
pub(super) fn derive(value: &ResultValue, values: &Values<'_>) -> Result<ResultValue, String> {
    let expressions = expressions(value);
    let is_usual = |expression: &&str| {
        let reference = TaskResultReference::parse(expression);
        reference.is_some_and(|reference| match (values.result(&reference), reference.part) {
            (TaskResult::Value(ResultValue::String(_)), TaskResultPart::Whole) => true,
            (TaskResult::Value(_), TaskResultPart::Whole) => false,
            (
                TaskResult::Value(_),
                TaskResultPart::Star | TaskResultPart::Item(_) | TaskResultPart::Member(_),
            ) => true,
            (TaskResult::None | TaskResult::Unknown, _) => false,
        })
    };
    match expressions.iter().find(|expression| !is_usual(expression)) {
        Some(unusual) => Err((*unusual).to_owned()),
        None if expressions.is_empty() => Err("tasks.…".to_owned()),
        None => replaced(value, &|text| values.replacement(text)),
    }
}

fn is_from_failed_pipeline(value: &ResultValue, values: &Values<'_>) -> bool {
    let has_failed = |reference: TaskResultReference<'_>| {
        let task = values.tasks.get(reference.task);
        task.is_some_and(|task| task.task.is_pipeline() && task.outcome() != Some(true))
    };
    expressions(value).into_iter().filter_map(TaskResultReference::parse).any(has_failed)
}

fn is_from_nothing(value: &ResultValue, values: &Values<'_>) -> bool {
    expressions(value)
        .into_iter()
        .filter_map(TaskResultReference::parse)
        .any(|reference| matches!(values.result(&reference), TaskResult::None))
}
