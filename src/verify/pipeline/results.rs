//! The results of a PipelineRun: each is what attested results make of it
//! (Tekton `pkg/reconciler/pipelinerun/resources/apply.go`, `ApplyTaskResultsToPipelineResults`).

use std::collections::HashMap;

use crate::{
    tekton::{
        pipelinerun::{
            Param, PipelineRun, PipelineSpec,
            references::{Part, ResultReference, expressions, replaced},
        },
        value::ResultValue,
    },
    verify::{
        Verdict,
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
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Vec<PipelineResult> {
    let mut found: HashMap<&str, (usize, &ResultValue)> = HashMap::new();
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
    for Param { name, value } in &spec.results {
        let there = found.remove(name.as_str());
        let expected = derived(value, values);
        let field = match there {
            Some((i, _)) => format!("status.results[{i}]"),
            None => "status.results".to_owned(),
        };
        match (expected, there) {
            (Ok(expected), Some((_, found))) if expected == *found => {
                let source = match value {
                    ResultValue::String(text) => text.clone(),
                    _ => value.canonical_json(),
                };
                proven.push(PipelineResult { name: name.clone(), source, value: expected });
            }
            (Ok(expected), Some((_, found))) => {
                let problem = format!("result {name} of the PipelineRun is not what its tasks produced");
                findings.push(differs(
                    Detail::PIPELINE_RESULT,
                    problem,
                    field,
                    (Some(&expected), Some(found)),
                ));
            }
            (Ok(expected), None) => match object.succeeded() {
                Some("True") => {
                    let problem = format!("result {name} of the PipelineRun is missing");
                    findings.push(differs(Detail::PIPELINE_RESULT, problem, field, (Some(&expected), None)));
                }
                _ => notes.push(format!("result {name} is missing, as may be in a PipelineRun that failed")),
            },
            (Err(_), Some((_, found))) if is_from_nothing(value, values) => {
                let problem =
                    format!("result {name} of the PipelineRun comes from a result that no task produced");
                findings.push(differs(Detail::PIPELINE_RESULT, problem, field, (None, Some(found))));
            }
            (Err(expression), Some(_)) => {
                let problem = format!(
                    "result {name} of the PipelineRun cannot be derived: $({expression}) is not known"
                );
                findings.push(fault(Verdict::Unchecked, Detail::NOT_DERIVED, problem));
            }
            // It comes from a task that was skipped or failed.
            (Err(_), None) => {}
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

/// What attested results make of it. `Err`: an expression from which Tekton makes nothing, or not what it says: a list or an object
/// without `[*]` becomes its first item or stays.
pub(super) fn derived(value: &ResultValue, values: &Values<'_>) -> Result<ResultValue, String> {
    let expressions = expressions(value);
    let is_usual = |expression: &&str| {
        let reference = ResultReference::parse(expression);
        reference.is_some_and(|reference| match (values.result(&reference), reference.part) {
            (TaskResult::Value(ResultValue::String(_)), Part::Whole) => true,
            (TaskResult::Value(_), Part::Whole) => false,
            (TaskResult::Value(_), Part::Star | Part::Item(_) | Part::Member(_)) => true,
            (TaskResult::None | TaskResult::Unknown, _) => false,
        })
    };
    match expressions.iter().find(|expression| !is_usual(expression)) {
        Some(unusual) => Err((*unusual).to_owned()),
        None if expressions.is_empty() => Err("tasks.…".to_owned()),
        None => replaced(value, &|text| values.replacement(text)),
    }
}

fn is_from_nothing(value: &ResultValue, values: &Values<'_>) -> bool {
    expressions(value)
        .into_iter()
        .filter_map(ResultReference::parse)
        .any(|reference| matches!(values.result(&reference), TaskResult::None))
}
