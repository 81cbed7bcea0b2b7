//! The names that the controller gives to the runs of a PipelineRun (Tekton
//! `pkg/reconciler/pipelinerun/resources/pipelinerunresolution.go`, `getNewRunNames`).
//!
//! A TaskRun's name is attested by its steps' certificates, so a child cannot stand for another task of the pipeline.

use crate::tekton::names::{LONGEST, child, may_be_child};

/// The names of the runs of one task, of which there are `count`.
pub(crate) fn of_runs(pipeline_run: &str, task: &str, count: usize) -> Vec<String> {
    of_first_runs(pipeline_run, task, count, count)
}

/// The first of those names.
pub(crate) fn of_first_runs(pipeline_run: &str, task: &str, count: usize, first: usize) -> Vec<String> {
    if count == 1 {
        return vec![child(pipeline_run, &format!("-{task}"))];
    }
    let of_one = |number: usize| {
        let suffix = format!("-{number}");
        let name = child(pipeline_run, &format!("-{task}{suffix}"));
        if name.ends_with(&suffix) {
            return name;
        }
        let name = child(pipeline_run, &format!("-{task}"));
        let room = LONGEST.saturating_sub(format!("-{count}").len()).min(name.len());
        // Names of Kubernetes objects are ASCII; what is not has no such name.
        name.get(..room).unwrap_or_default().to_owned() + &suffix
    };
    (0..first.min(count)).map(of_one).collect()
}

/// Whether the controller may have given a run of this PipelineRun that name, whatever its task is called.
pub(crate) fn may_be_of(pipeline_run: &str, run: &str) -> bool {
    may_be_child(pipeline_run, run)
}
