//! Which tasks ran and which were skipped, by their when expressions and the reason that the status states
//! (Tekton `pkg/reconciler/pipelinerun/resources/pipelinerunresolution.go`, `skip` and `IsFinallySkipped`).

use crate::{
    tekton::{
        pipelinerun::{
            Param, PipelineRun, SkippedTask,
            references::{TaskResultReference, in_list, in_text},
        },
        taskrun::DeclaredWhen,
        value::ResultValue,
    },
    verify::{
        Finding, Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            fault, given, stated,
            task::Task,
            values::{TaskResult, Underived, Values},
        },
    },
};

/// Why tasks do not run when a PipelineRun ends before its time.
const STOPPING: [&str; 6] = [
    "PipelineRun was stopping",
    "PipelineRun was gracefully cancelled",
    "PipelineRun was gracefully stopped",
    "PipelineRun timeout has been reached",
    "PipelineRun Tasks timeout has been reached",
    "PipelineRun Finally timeout has been reached",
];

/// That a task ran if and only if what decides about that says so.
pub(crate) fn check(
    object: &PipelineRun,
    task: &Task<'_>,
    values: &Values<'_>,
    (findings, notes, lacks): (&mut Findings, &mut Vec<String>, &mut Vec<String>),
) {
    stated::check(task, values, findings);
    if !task.references.is_empty() {
        return check_ran(object, task, values, (findings, lacks));
    }
    let Some(SkippedTask { reason, .. }) = task.skipped else { return };
    let name = &task.task.name;
    match is_reason(object, task, reason, values) {
        Ok(true) if STOPPING.contains(&reason.as_str()) => {
            notes.push(format!("task {name} did not run: {reason}"));
        }
        Ok(true) => {}
        Ok(false) => {
            let problem = format!("task {name} is said to be skipped ({reason}), and that is not so");
            findings.push(fault(Verdict::Invalid, Detail::SKIPPED, problem));
        }
        Err(finding) => findings.push(finding),
    }
}

/// That a task that ran was not skipped, and that its when expressions allowed it.
fn check_ran(
    object: &PipelineRun,
    task: &Task<'_>,
    values: &Values<'_>,
    (findings, lacks): (&mut Findings, &mut Vec<String>),
) {
    let name = &task.task.name;
    // Of a pipeline that runs in it, Tekton says so too when the PipelineRun stops meanwhile (`isScheduled` looks at other runs).
    let is_stopping = |reason: &str| object.succeeded() == Some("False") && STOPPING.contains(&reason);
    if let Some(skipped) = task.skipped
        && !(task.task.is_pipeline() && is_stopping(&skipped.reason))
    {
        let problem = format!("task {name} is said to be skipped, and ran");
        findings.push(fault(Verdict::Invalid, Detail::SKIPPED, problem));
    }
    match allows(&task.task.when, values) {
        Ok(true) => {}
        Ok(false) => {
            let problem =
                format!("task {name} ran although its when expressions are false for the attested results");
            findings.push(fault(Verdict::Invalid, Detail::WHEN, problem));
        }
        Err(reason) => reason.report(undecided_text(name, &reason), findings, lacks),
    }
}

/// Whether a task is skipped for the reason that the status states.
fn is_reason(
    object: &PipelineRun,
    task: &Task<'_>,
    reason: &str,
    values: &Values<'_>,
) -> Result<bool, Finding> {
    let name = &task.task.name;
    Ok(match reason {
        "When Expressions evaluated to false" => {
            !allows(&task.task.when, values).map_err(|reason| undecided(name, &reason))?
        }
        "Parent Tasks were skipped" => task.parents().iter().any(|parent| {
            values
                .tasks
                .get(parent)
                .and_then(|parent| parent.skipped)
                .is_some_and(|parent| parent.reason != "When Expressions evaluated to false")
        }),
        "Results were missing" => {
            let expressions = task.expressions().into_iter().chain(task.step_expressions());
            let references: Vec<_> = expressions.filter_map(TaskResultReference::parse).collect();
            let is_there = |reference: &&TaskResultReference<'_>| {
                matches!(values.result(reference), TaskResult::Value(_))
            };
            // Of one that is not known another finding says so.
            let is_missing = !references.iter().all(|reference| is_there(&reference));
            // Whether Tekton passes on what a pipeline in the pipeline produced depends on its version.
            if !is_missing && references.iter().any(|reference| values.is_of_pipeline(reference)) {
                let problem = format!(
                    "task {name} is said to be skipped since results were missing, but what a pipeline in the pipeline produced is there: \
                     whether this version of Tekton hands it on is not known"
                );
                return Err(fault(Verdict::Unchecked, Detail::SKIPPED, problem));
            }
            is_missing
        }
        "Matrix Parameters have an empty array" => match &task.task.matrix {
            None => false,
            Some(matrix) => {
                let matrix =
                    given::with_results(matrix, values).map_err(|reason| undecided(name, &reason))?;
                let is_empty =
                    |param: &Param| matches!(&param.value, ResultValue::Array(items) if items.is_empty());
                matrix.params.iter().any(is_empty)
            }
        },
        reason if STOPPING.contains(&reason) => object.succeeded() == Some("False"),
        reason => {
            let problem = format!("task {name} is skipped for a reason that is not known here: {reason:?}");
            return Err(fault(Verdict::Unchecked, Detail::SKIPPED, problem));
        }
    })
}

fn undecided(name: &str, reason: &Underived) -> Finding {
    fault(Verdict::Unchecked, Detail::NOT_DERIVED, undecided_text(name, reason))
}

fn undecided_text(name: &str, reason: &Underived) -> String {
    format!("task {name}: whether its when expressions let it run cannot be decided: {reason}")
}

/// Whether all expressions hold, with results put in (Tekton `pkg/apis/pipeline/v1/when_types.go`, `AllowsExecution`).
///
/// One that is false decides, also where it is not carried what another one looks at.
pub(super) fn allows(when: &[DeclaredWhen], values: &Values<'_>) -> Result<bool, Underived> {
    let mut not_carried = None;
    let mut allowed = true;
    for expression in when {
        match holds(expression, values) {
            Ok(holds) => allowed &= holds,
            Err(reason) if reason.is_not_carried => not_carried = not_carried.or(Some(reason)),
            Err(reason) => return Err(reason),
        }
    }
    match not_carried {
        Some(reason) if allowed => Err(reason),
        _ => Ok(allowed),
    }
}

/// Whether one expression holds.
fn holds(expression: &DeclaredWhen, values: &Values<'_>) -> Result<bool, Underived> {
    let of = |text: &str| values.in_when(text);
    let unknown = |expression: String| values.unknown(&expression);
    // A whole list as input becomes its JSON.
    let input = match expression.input.contains("[*])") {
        true => {
            let list = in_list(std::slice::from_ref(&expression.input), &of).map_err(unknown)?;
            stated::as_json(&list)
        }
        false => in_text(&expression.input, &of).map_err(unknown)?,
    };
    let looked_in = in_list(&expression.values, &of).map_err(unknown)?;
    let mut holds = looked_in.contains(&input) == (expression.operator == "in");
    if !expression.cel.is_empty() {
        let text = in_text(&expression.cel, &of).map_err(unknown)?;
        holds &= values.cel.is_true(&text, values.allowance)?;
    }
    Ok(holds)
}
