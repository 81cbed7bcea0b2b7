//! One task of a pipeline in one PipelineRun: what the status says became of it, and its runs in the source.

use serde_json::Value;
use unixtime::UnixMillis;

use crate::{
    tekton::{
        pipelinerun::{ChildReference, Matrix, PipelineTask, SkippedTask, references},
        taskrun::DeclaredWhen,
        value::ResultValue,
    },
    verify::pipeline::child::Child,
};

/// A task, what the status says of it, and what the source holds of that.
pub(crate) struct Task<'a> {
    pub(crate) task: &'a PipelineTask,
    pub(crate) is_finally: bool,
    /// In the order of a matrix' combinations.
    pub(crate) references: Vec<&'a ChildReference>,
    /// The name that the controller gives to each of them.
    pub(crate) names: Vec<String>,
    /// Whether it is known how many runs there were to be, which their names depend on: not of a matrix that cannot be derived.
    pub(crate) is_counted: bool,
    /// A run for each reference; `None`: the source does not hold it.
    pub(crate) runs: Vec<Option<&'a Child>>,
    pub(crate) skipped: Option<&'a SkippedTask>,
    /// What the status states of its when expressions, and where.
    pub(crate) stated: Vec<(String, &'a [DeclaredWhen])>,
}

impl Task<'_> {
    /// Whether it ended well, if that is known of each run: a verified one cannot say that it did if a step signed a failure.
    pub(crate) fn outcome(&self) -> Option<bool> {
        let outcomes: Option<Vec<bool>> = self.runs.iter().map(|run| run.as_ref()?.succeeded).collect();
        outcomes.filter(|outcomes| !outcomes.is_empty()).map(|outcomes| outcomes.iter().all(|good| *good))
    }

    /// Whether its PipelineRun may succeed although it failed.
    pub(crate) fn may_fail(&self) -> bool {
        self.task.on_error == "continue"
    }

    /// Whether it is not known of a run that is there how it ended: its attestation does not carry that.
    pub(crate) fn lacks_outcome(&self) -> bool {
        self.runs.iter().flatten().any(|run| run.succeeded.is_none())
    }

    /// Whether a run of it is from an attestation that may leave results out.
    pub(crate) fn is_partial(&self) -> bool {
        self.runs.iter().flatten().any(|run| run.is_partial)
    }

    /// Every expression in what the task is given, and in what decides whether it runs.
    pub(crate) fn expressions(&self) -> Vec<&str> {
        let in_matrix = self.task.matrix.iter().flat_map(Matrix::all_params);
        let params = self.task.params.iter().chain(in_matrix);
        let mut all: Vec<&str> = params.flat_map(|param| references::expressions(&param.value)).collect();
        all.extend(references::in_when(&self.task.when));
        all
    }

    /// Every text of its inline steps and sidecars with an expression in it: results are put in there, too, and make it depend on their
    /// tasks (Tekton `pkg/apis/pipeline/v1/resultref.go`, `PipelineTaskResultRefs`).
    pub(crate) fn step_expressions(&self) -> Vec<&str> {
        let mut expressions = Vec::new();
        let mut rest: Vec<&Value> = Vec::new();
        if let Some(task) = &self.task.task_spec {
            rest.extend(task.steps.iter().chain(&task.sidecars));
        }
        while let Some(value) = rest.pop() {
            match value {
                Value::String(text) => expressions.extend(references::in_one(text)),
                Value::Array(items) => rest.extend(items),
                Value::Object(members) => rest.extend(members.values()),
                _ => {}
            }
        }
        expressions
    }

    /// Names of the tasks that must have ended before it starts (Tekton `pkg/apis/pipeline/v1/pipeline_types.go`, `Deps`).
    pub(crate) fn parents(&self) -> Vec<&str> {
        let expressions = self.expressions().into_iter().chain(self.step_expressions());
        let by_result = expressions.filter_map(|expression| {
            references::TaskResultReference::parse(expression).map(|reference| reference.task)
        });
        let mut parents: Vec<&str> =
            self.task.run_after.iter().map(String::as_str).chain(by_result).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// From the start of its first step to its last signature, if every run has both.
    pub(crate) fn span(&self) -> Option<(UnixMillis, UnixMillis)> {
        let spans: Option<Vec<(UnixMillis, UnixMillis)>> =
            self.runs.iter().map(|run| run.as_ref()?.proven.as_ref()?.span).collect();
        let spans = spans?;
        let start = spans.iter().map(|(start, _)| *start).min()?;
        let end = spans.iter().map(|(_, end)| *end).max()?;
        Some((start, end))
    }

    /// Whether a value of its comes from a result.
    pub(crate) fn is_from_result(value: &ResultValue) -> bool {
        references::expressions(value)
            .into_iter()
            .any(|text| references::TaskResultReference::parse(text).is_some())
    }
}
