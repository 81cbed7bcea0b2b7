//! What `$(tasks.…)` stands for in one PipelineRun, by what its TaskRuns prove.

use std::{collections::HashMap, fmt};

use crate::{
    tekton::{
        chains::leaves_out,
        pipelinerun::{
            PipelineRun,
            references::{self, Replacement, TaskResultReference, is_of_task},
        },
        value::ResultValue,
    },
    verify::{
        Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            allowance::Allowance,
            cel::Evaluated,
            child::{Child, Proven},
            fault,
            spec::is_put_in_before,
            task::Task,
        },
    },
};

/// The tasks of a pipeline by name, with the runs that the source holds of them.
pub(crate) struct Values<'a> {
    pub(crate) tasks: &'a HashMap<&'a str, Task<'a>>,
    /// What its expressions in CEL come to.
    pub(crate) cel: Evaluated,
    /// What all of that may take. Once it is used up, nothing is known any more.
    pub(crate) allowance: &'a Allowance,
    /// Whether runs may be missing that there were, and parameters may not be put in: it is from an attestation.
    pub(crate) is_partial: bool,
}

/// A task's result, or why there is none.
pub(crate) enum TaskResult {
    /// As attested.
    Value(ResultValue),
    /// Everything about the task is known, and it has no such result.
    None,
    /// Not everything is known.
    Unknown,
}

/// Why something cannot be derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Underived {
    reason: String,
    /// Whether that is because attestations do not carry what it takes; the objects themselves do.
    pub(crate) is_not_carried: bool,
}

impl fmt::Display for Underived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<String> for Underived {
    fn from(reason: String) -> Self {
        Self { reason, is_not_carried: false }
    }
}

impl Underived {
    /// Puts a problem among what is not carried, or among the findings.
    pub(crate) fn report(&self, problem: String, findings: &mut Findings, lacks: &mut Vec<String>) {
        match self.is_not_carried {
            true => lacks.push(problem),
            false => findings.push(fault(Verdict::Unchecked, Detail::NOT_DERIVED, problem)),
        }
    }
}

impl<'a> Values<'a> {
    pub(crate) fn new(tasks: &'a HashMap<&'a str, Task<'a>>, allowance: &'a Allowance) -> Self {
        Self { tasks, cel: Evaluated::default(), allowance, is_partial: false }
    }

    /// Of a PipelineRun that may be made of an attestation.
    pub(crate) fn of(
        object: &PipelineRun,
        tasks: &'a HashMap<&'a str, Task<'a>>,
        allowance: &'a Allowance,
    ) -> Self {
        Self { is_partial: object.chains.is_some(), ..Self::new(tasks, allowance) }
    }

    /// Whether nothing is known of a task's runs, not even that there are none.
    pub(crate) fn is_not_carried(&self, task: &Task<'_>) -> bool {
        self.is_partial && task.references.is_empty()
    }

    /// Why an expression that is not known is not.
    pub(crate) fn unknown(&self, expression: &str) -> Underived {
        let is_not_carried = self.is_partial && !self.allowance.is_used_up() && self.lacks(expression);
        Underived { reason: format!("$({expression}) is not known"), is_not_carried }
    }

    /// Whether attestations do not carry what an expression stands for.
    fn lacks(&self, expression: &str) -> bool {
        if let Some(reference) = TaskResultReference::parse(expression) {
            let is_left_out = |task: &Task<'_>| {
                let is_proven = |run: &Option<&Child>| run.is_some_and(|run| run.proven.is_some());
                task.is_partial() && leaves_out(reference.result) && task.runs.iter().all(is_proven)
            };
            let task = self.tasks.get(reference.task);
            // A run that does not count is a finding of its own, and worse than what follows from it.
            let is_said = |task: &Task<'_>| task.runs.iter().flatten().any(|run| !run.accepted);
            let is_lacking =
                task.is_some_and(|task| self.is_not_carried(task) || is_left_out(task) || is_said(task));
            return is_lacking && matches!(self.result(&reference), TaskResult::Unknown);
        }
        let lacks_outcome = |task: &Task<'_>| self.is_not_carried(task) || task.lacks_outcome();
        match expression.split('.').collect::<Vec<_>>().as_slice() {
            ["tasks", task, "status" | "reason"] => self.tasks.get(task).is_some_and(lacks_outcome),
            ["tasks", "status"] => self.tasks.values().filter(|task| !task.is_finally).any(lacks_outcome),
            // Those of the PipelineRun itself were put in, as far as they are known.
            ["context", of, ..] => ["pipeline", "pipelineRun"].contains(of),
            _ => is_put_in_before(expression),
        }
    }

    /// What takes the place of an expression in a when expression.
    pub(crate) fn in_when(&self, expression: &str) -> Replacement {
        match is_of_task(expression) {
            true => Replacement::Stays,
            false => self.replacement(expression),
        }
    }

    /// What takes the place of an expression.
    pub(crate) fn replacement(&self, expression: &str) -> Replacement {
        if !expression.starts_with("tasks.") && !expression.starts_with("finally.") {
            let is_unknown =
                expression.starts_with("context.") || self.is_partial && is_put_in_before(expression);
            return match is_unknown {
                true => Replacement::Unknown,
                false => Replacement::Stays,
            };
        }
        if let Some(reference) = TaskResultReference::parse(expression) {
            return match self.result(&reference) {
                // The controller puts results in several times, so what one brings in may be replaced, too.
                TaskResult::Value(value) if holds_reference(&value) => Replacement::Unknown,
                // What Tekton makes of a part of something that has no such parts depends on where it is.
                TaskResult::Value(value) => {
                    reference.part.of(&value).map_or(Replacement::Unknown, Replacement::Value)
                }
                TaskResult::None | TaskResult::Unknown => Replacement::Unknown,
            };
        }
        match expression.split('.').collect::<Vec<_>>().as_slice() {
            ["tasks", task, "status"] => self.status(task),
            ["tasks", task, "reason"] => self.reason(task),
            ["tasks", "status"] => self.status_of_all(),
            _ => Replacement::Unknown,
        }
    }

    /// A result as the producer's steps attest it.
    pub(crate) fn result(&self, reference: &TaskResultReference<'_>) -> TaskResult {
        let Some(task) = self.tasks.get(reference.task) else { return TaskResult::None };
        if task.skipped.is_some() && task.references.is_empty() {
            return TaskResult::None;
        }
        if self.is_not_carried(task) {
            return TaskResult::Unknown;
        }
        if !self.allowance.take_looks(task.runs.len()) {
            return TaskResult::Unknown;
        }
        let mut proven: Vec<&Proven> = Vec::with_capacity(task.runs.len());
        for run in &task.runs {
            match run.and_then(|child| child.proven.as_ref()) {
                Some(known) => proven.push(known),
                None => return TaskResult::Unknown,
            }
        }
        if !self.allowance.take_looks(proven.iter().map(|proven| proven.results.len()).sum()) {
            return TaskResult::Unknown;
        }
        if task.task.matrix.is_none() {
            return match proven.first().map(|first| first.result(reference.result)) {
                Some(Some(value)) if self.allowance.take_copies(1, value) => TaskResult::Value(value.clone()),
                Some(None) if task.is_partial() => TaskResult::Unknown,
                Some(None) => TaskResult::None,
                Some(Some(_)) | None => TaskResult::Unknown,
            };
        }
        // Sorted by the name of the TaskRun (`createResultsCacheMatrixedTaskRuns`).
        let mut named: Vec<_> = task.references.iter().map(|child| child.name.as_str()).zip(proven).collect();
        named.sort_by_key(|(name, _)| *name);
        let text = |value: &ResultValue| match value {
            ResultValue::String(text) => text.clone(),
            _ => String::new(),
        };
        let values: Vec<_> = named.iter().filter_map(|(_, proven)| proven.result(reference.result)).collect();
        if !values.iter().all(|value| self.allowance.take_copies(1, value)) {
            return TaskResult::Unknown;
        }
        let items: Vec<String> = values.into_iter().map(text).collect();
        match items.is_empty() {
            _ if items.len() < task.runs.len() && task.is_partial() => TaskResult::Unknown,
            true => TaskResult::None,
            false => TaskResult::Value(ResultValue::Array(items)),
        }
    }

    /// Whether the producer is a pipeline in the pipeline, whose results Tekton up to v1.15 does not pass on
    /// (`pipelinerunstate.go`, `GetTaskRunsResults`).
    pub(crate) fn is_of_pipeline(&self, reference: &TaskResultReference<'_>) -> bool {
        self.tasks.get(reference.task).is_some_and(|task| task.task.is_pipeline())
    }

    /// `$(tasks.<task>.status)` (Tekton `pipelinerunstate.go`, `GetPipelineTaskStatus`): as the TaskRuns say. A verified one cannot say that
    /// it succeeded if a step signed a failure; that it failed nobody need have signed.
    fn status(&self, task: &str) -> Replacement {
        let text = |text: &str| Replacement::Value(ResultValue::String(text.to_owned()));
        match self.tasks.get(task) {
            Some(task) if !self.allowance.take_looks(task.runs.len()) => Replacement::Unknown,
            Some(task) if self.is_not_carried(task) => Replacement::Unknown,
            Some(task) if task.runs.is_empty() => text("None"),
            Some(task) => match task.outcome() {
                Some(true) => text("Succeeded"),
                Some(false) => text("Failed"),
                None => Replacement::Unknown,
            },
            None => Replacement::Stays,
        }
    }

    /// `$(tasks.status)`: of all tasks but those of finally, when all of them have ended or were skipped.
    fn status_of_all(&self) -> Replacement {
        let runs = self.tasks.values().map(|task| 1 + task.runs.len());
        if !self.allowance.take_looks(runs.sum()) {
            return Replacement::Unknown;
        }
        let mut status = "Succeeded";
        for task in self.tasks.values().filter(|task| !task.is_finally) {
            match (task.outcome(), task.skipped) {
                (Some(true), _) => {}
                (Some(false), _) => {
                    status = "Failed";
                    break;
                }
                (None, Some(_)) if task.references.is_empty() => status = "Completed",
                (None, _) => return Replacement::Unknown,
            }
        }
        Replacement::Value(ResultValue::String(status.to_owned()))
    }

    /// `$(tasks.<task>.reason)`: that of the first TaskRun that failed, or of the first one. Nobody signs it.
    fn reason(&self, task: &str) -> Replacement {
        let Some(task) = self.tasks.get(task) else { return Replacement::Stays };
        if self.is_not_carried(task) || !self.allowance.take_looks(task.runs.len()) {
            return Replacement::Unknown;
        }
        let runs: Option<Vec<&Child>> = task.runs.iter().copied().collect();
        let Some(runs) = runs else { return Replacement::Unknown };
        let failed = runs.iter().find(|run| run.succeeded != Some(true));
        let reason = failed.or_else(|| runs.first()).map(|run| run.reason.clone()).unwrap_or_default();
        Replacement::Value(ResultValue::String(reason))
    }
}

fn holds_reference(value: &ResultValue) -> bool {
    let is_one = |expression: &&str| {
        ["tasks.", "finally.", "context."].iter().any(|start| expression.starts_with(start))
    };
    references::expressions(value).iter().any(is_one)
}
