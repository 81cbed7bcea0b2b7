//! What the task declares, in the status and inline, against what the steps were told to collect.

use std::collections::BTreeSet;

use crate::{
    evidence::attestation::step_name,
    tekton::result_kind::ResultKind,
    verify::{
        bind::{
            attempt::Attempt,
            declared_task::{DeclaredTask, INLINE},
        },
        facts::Detail,
        finding::Finding,
        findings::Findings,
        prove::step::ProvenStep,
    },
};

/// The names that each step was told to collect are those that the task declares, in the status and inline.
pub(crate) fn compare_declared_names(attempt: &Attempt<'_>) -> Findings {
    let mut findings = Findings::default();
    for task in attempt.tasks() {
        findings.append(compare_declared_in(task, attempt.proven));
    }
    // An archive that keeps results alone does not keep the task either: then what it declares is claimed at most.
    if attempt.task_run.status.task_spec.is_none() && !attempt.task_run.is_partial() {
        let reason =
            "status.taskSpec is missing: what the task declares cannot be compared with what was signed";
        findings.push(Finding::undecided(Detail::NO_TASK_SPEC, None, reason));
    }
    findings
}

fn compare_declared_in(task: &DeclaredTask<'_>, proven: &[ProvenStep]) -> Findings {
    let mut findings = task.own_findings().clone();
    let field = task.field;
    // A name that is collected from a file is never mapped: the value would be replaced.
    let collected =
        proven.iter().flat_map(|step| &step.covered).filter(|covered| covered.kind == ResultKind::Task);
    let elsewhere: BTreeSet<usize> = collected
        .filter_map(|covered| task.results.places(&covered.name))
        .flat_map(|(first, last)| [first, last])
        .filter(|&place| task.spec.results[place].value.is_some())
        .collect();
    for place in elsewhere {
        let name = &task.spec.results[place].name;
        let problem = format!("the signed result {name} is declared as another step's");
        findings.push(Finding::status(
            format!("{field}.results[{place}]"),
            Detail::DECLARED_ELSEWHERE,
            problem,
        ));
    }
    let steps = task.spec.steps.len();
    if let Some(step) = proven.first()
        && usize::try_from(step.attestation.step_count).ok() != Some(steps)
    {
        let problem = format!("it declares {steps} steps, but signed are {}", step.attestation.step_count);
        findings.push(Finding::status(format!("{field}.steps"), Detail::STEP_COUNT, problem));
    }
    for step in proven {
        let place = step.attestation.place();
        let declared_step = task.spec.steps.get(place).filter(|declared| {
            step_name(&format!("step-{}", declared.name)) == step.name
                || (declared.name.is_empty() && step.name == format!("unnamed-{place}"))
        });
        let Some(declared_step) = declared_step else {
            let problem = format!("the signed step {} is not there", step.name);
            findings.push(Finding::status(
                format!("{field}.steps[{place}]"),
                Detail::STEP_NOT_DECLARED,
                problem,
            ));
            continue;
        };
        // The inline task of a StepAction does not say what that declares.
        if field == INLINE && declared_step.step_action.is_some() && declared_step.results.is_empty() {
            continue;
        }
        findings.append(task.repeated(place));
        if task.digest(place, declared_step) != step.attestation.declared {
            let problem =
                format!("its declared results are not those that step {} was told to collect", step.name);
            findings.push(Finding::status(field.to_owned(), Detail::DECLARED_RESULTS, problem));
        }
    }
    findings
}
