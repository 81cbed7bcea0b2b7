//! The names that the controller gives to the runs of a PipelineRun (Tekton
//! `pkg/reconciler/pipelinerun/resources/pipelinerunresolution.go`, `getNewRunNames`).
//!
//! A TaskRun's name is attested by its steps' certificates, so a child cannot stand for another task of the pipeline.

use crate::tekton::names::{LONGEST, child};

/// The names of the runs of one task, of which there are `count`.
pub(crate) fn of_runs(pipeline_run: &str, task: &str, count: usize) -> Vec<String> {
    of_first_runs(pipeline_run, task, count, count)
}

/// The first of those names.
pub(crate) fn of_first_runs(pipeline_run: &str, task: &str, count: usize, first: usize) -> Vec<String> {
    if count == 1 {
        return vec![child(pipeline_run, &format!("-{task}"))];
    }
    (0..first.min(count)).map(|number| of_one(pipeline_run, task, count, number)).collect()
}

/// The name of one of several runs, counted from 0.
fn of_one(pipeline_run: &str, task: &str, count: usize, number: usize) -> String {
    let suffix = format!("-{number}");
    let name = child(pipeline_run, &format!("-{task}{suffix}"));
    if name.ends_with(&suffix) {
        return name;
    }
    let name = child(pipeline_run, &format!("-{task}"));
    let room = LONGEST.saturating_sub(format!("-{count}").len()).min(name.len());
    // Names of Kubernetes objects are ASCII; what is not has no such name.
    name.get(..room).unwrap_or_default().to_owned() + &suffix
}

/// Digits that a matrix' count may have more than the number of one of its runs, of those that are looked for.
const MORE_DIGITS: u32 = 3;

/// Whether it is the name of one of several runs of a task, however many there are.
pub(crate) fn is_of_several(pipeline_run: &str, task: &str, run: &str) -> bool {
    let number = || {
        let (_, digits) = run.rsplit_once('-')?;
        let number: usize = digits.parse().ok()?;
        Some((number, u32::try_from(digits.len()).ok()?))
    };
    let Some((number, digits)) = number() else { return false };
    let counts = (digits..=digits + MORE_DIGITS).filter_map(|digits| 10_usize.checked_pow(digits));
    counts.into_iter().any(|count| of_one(pipeline_run, task, count - 1, number) == run)
}
