//! The tree of a PipelineRun as reports show it.

use crate::{tekton::value::ResultValue, verify::verdict::Verdict};

/// The tree of a PipelineRun, and what follows from it.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// Its tasks, as the pipeline lists them.
    pub tasks: Vec<TaskNode>,
    /// Its results that follow from attested ones; only of one that counts as verified.
    pub results: Vec<PipelineResult>,
    /// Whether it failed, by its own word. Attestations do not say it: `None` of one that is made of an attestation, unless a task that must
    /// not fail did, and of one that says that it succeeded, if of such a task only an attestation that does not say how it ended is there.
    pub failed: Option<bool>,
    /// The key of Tekton Chains that signed an attestation of it, where that was checked.
    pub chains_signed_by: Option<String>,
}

/// A result of a PipelineRun.
#[derive(Debug, Clone)]
pub struct PipelineResult {
    /// Its name, which nobody signs.
    pub name: String,
    /// What it is made of, such as `$(tasks.build.results.digest)`; nobody signs that either.
    pub source: String,
    /// What attested results make of that.
    pub value: ResultValue,
}

/// A task of a pipeline.
#[derive(Debug, Clone)]
pub struct TaskNode {
    /// Its name in the pipeline.
    pub name: String,
    /// Whether it is one of `finally`.
    pub is_finally: bool,
    /// Why it was not run.
    pub skipped: Option<String>,
    /// Its runs.
    pub runs: Vec<RunNode>,
}

/// A run of a task.
#[derive(Debug, Clone)]
pub struct RunNode {
    /// Name of the TaskRun.
    pub name: String,
    /// Its verdict; `None`: the source does not hold it.
    pub verdict: Option<Verdict>,
    /// What it was given.
    pub params: Vec<ParamNode>,
}

/// A parameter of a run.
#[derive(Debug, Clone)]
pub struct ParamNode {
    /// Its name.
    pub name: String,
    /// Whether its value comes from results of other tasks, and is what they attest.
    pub is_from_results: bool,
    /// Whether its value is in the text of a step whose program is attested.
    pub is_in_program: bool,
}
