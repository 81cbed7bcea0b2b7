//! What an attestation does not carry, by the caller's word.

use std::str::FromStr;

use super::ChainsError;
use crate::tekton::{
    names::may_be_child,
    object_name::{is_namespace, is_object_name},
    taskrun::StatusResult,
};

/// Whose results an attestation holds, where its format does not say; where something does say, it must be the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// The namespace.
    pub namespace: Option<String>,
    /// Names of TaskRuns.
    pub task_runs: Vec<StatedTaskRun>,
    /// Names of PipelineRuns.
    pub pipeline_runs: Vec<StatedPipelineRun>,
}

/// Namespace and name of a TaskRun by the word of the first evidence among results.
pub(crate) type Claim = fn(&[StatusResult]) -> Option<(String, String)>;

impl Stated {
    /// The name of the TaskRun of a task of a pipeline, or of the only one. Of several that are stated, the one that its own evidence
    /// claims, if it is among them.
    pub(super) fn task_run(&self, task: Option<&str>, claimed: Option<&str>) -> Option<&str> {
        let mut names = self.task_runs.iter().filter(|stated| stated.task.as_deref() == task);
        let mut all = names.clone().map(|stated| stated.name.as_str());
        names
            .find(|stated| Some(stated.name.as_str()) == claimed)
            .map(|stated| stated.name.as_str())
            .or(all.next())
    }

    /// The name of the PipelineRun that has these TaskRuns: one from which the controller makes their names. Of several that are stated
    /// the longest. `Err`: none of them fits.
    pub(super) fn pipeline_run(&self, task_runs: &[String]) -> Result<Option<&str>, ChainsError> {
        let is_of = |name: &&str| task_runs.iter().any(|task_run| may_be_child(name, task_run));
        let stated = || self.pipeline_runs.iter().map(StatedPipelineRun::as_str);
        let Some(first) = task_runs.first() else {
            let one = stated().next().filter(|_| self.pipeline_runs.len() == 1);
            return Ok(one);
        };
        match stated().filter(is_of).max_by_key(|name| name.len()) {
            None if !self.pipeline_runs.is_empty() => Err(ChainsError::OtherPipelineRun {
                task_run: first.clone(),
                stated: self.pipeline_run_arguments(),
            }),
            found => Ok(found),
        }
    }

    /// What is stated of a PipelineRun and is not so, such as `--pipelinerun release-7`.
    pub(crate) fn contradicted_of_pipeline_run(&self, namespace: &str, name: &str) -> Option<String> {
        let is_stated = |stated: &StatedPipelineRun| stated.as_str() == name;
        self.contradicted(namespace, None).or_else(|| {
            let is_other = !self.pipeline_runs.is_empty() && !self.pipeline_runs.iter().any(is_stated);
            is_other.then(|| self.pipeline_run_arguments())
        })
    }

    /// Such as `--pipelinerun release-7`.
    fn pipeline_run_arguments(&self) -> String {
        let all = self.pipeline_runs.iter().map(|stated| format!("--pipelinerun {}", stated.as_str()));
        all.collect::<Vec<_>>().join(" ")
    }

    /// What is stated of a run and is not so, such as `--namespace team-a`. `task_run`: its name, if it is a TaskRun.
    pub(crate) fn contradicted(&self, namespace: &str, task_run: Option<&str>) -> Option<String> {
        let other = self.namespace.as_ref().filter(|stated| *stated != namespace);
        let is_stated = |name: &str| self.task_runs.iter().any(|stated| stated.name == name);
        match (other, task_run) {
            (Some(other), _) => Some(format!("--namespace {other}")),
            (None, Some(name)) if !self.task_runs.is_empty() && !is_stated(name) => {
                let names: Vec<String> =
                    self.task_runs.iter().map(|stated| format!("--taskrun {}", stated.name)).collect();
                Some(names.join(" "))
            }
            _ => None,
        }
    }
}

/// The name of a PipelineRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedPipelineRun(String);

/// Why a text is not the name of a PipelineRun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a PipelineRun; it looks like release-7")]
pub struct StatedPipelineRunError(String);

impl StatedPipelineRun {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StatedPipelineRun {
    type Err = StatedPipelineRunError;

    fn from_str(text: &str) -> Result<Self, StatedPipelineRunError> {
        match is_object_name(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(StatedPipelineRunError(text.to_owned())),
        }
    }
}

/// The name of a TaskRun: `NAME`, or `TASK=NAME` for the one of a pipeline's task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedTaskRun {
    /// The task, as the pipeline calls it.
    pub task: Option<String>,
    /// The TaskRun.
    pub name: String,
}

/// Why a text is not the name of a TaskRun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a TaskRun; it looks like build-7, or build=pipe-build for the task build of a pipeline"
)]
pub struct StatedTaskRunError(String);

impl FromStr for StatedTaskRun {
    type Err = StatedTaskRunError;

    fn from_str(text: &str) -> Result<Self, StatedTaskRunError> {
        let (task, name) = match text.split_once('=') {
            Some((task, name)) => (Some(task), name),
            None => (None, text),
        };
        // A pipeline calls its tasks by names of DNS, too (Tekton `pkg/apis/pipeline/v1/pipeline_types.go`, `ValidateName`).
        if !is_object_name(name) || task.is_some_and(|task| !is_namespace(task)) {
            return Err(StatedTaskRunError(text.to_owned()));
        }
        Ok(Self { task: task.map(str::to_owned), name: name.to_owned() })
    }
}
