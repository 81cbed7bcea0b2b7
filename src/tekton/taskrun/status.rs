//! `status`: what Tekton's controller wrote of a run.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use super::{members::result_value, spec::TaskSpec};
use crate::tekton::{
    artifacts::{Artifact, Artifacts},
    null::null_is_default,
    value::ResultValue,
};

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunStatus {
    /// The pod's name.
    #[serde(default)]
    pub pod_name: String,
    /// When the run started.
    pub start_time: Option<String>,
    /// When it ended.
    pub completion_time: Option<String>,
    /// Conditions, among them `Succeeded`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// Task results; they are called `taskResults` in v1beta1.
    #[serde(default, deserialize_with = "null_is_default")]
    pub results: Vec<StatusResult>,
    /// Where v1beta1 has its results; in v1 a second list that some readers might take for them.
    #[serde(default)]
    pub task_results: NotInV1,
    /// Steps, in order; `None` if the object has no such field, as an archive that keeps results alone.
    pub steps: Option<Vec<StepState>>,
    /// The task as it was run.
    pub task_spec: Option<TaskSpec>,
    /// The task's artifacts.
    #[serde(default)]
    pub artifacts: Option<Artifacts>,
    /// Earlier attempts.
    #[serde(default, deserialize_with = "null_is_default")]
    pub retries_status: Vec<Value>,
}

/// The absence of a field that v1 does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotInV1;

impl<'de> Deserialize<'de> for NotInV1 {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("it is a field of v1beta1, not of v1"))
    }
}

impl TaskRunStatus {
    /// The state of a step.
    pub fn step(&self, name: &str) -> Option<&StepState> {
        self.steps.iter().flatten().find(|state| state.name == name)
    }

    /// The state of a step, with its place in `status.steps`.
    pub fn indexed_step(&self, name: &str) -> Option<(usize, &StepState)> {
        self.steps.iter().flatten().enumerate().find(|(_, state)| state.name == name)
    }
}

/// A condition.
#[derive(Debug, Clone, Deserialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in a word.
    #[serde(default, deserialize_with = "null_is_default")]
    pub reason: String,
}

/// A result in the status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusResult {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its value: a text, a list of texts or an object of texts.
    #[serde(deserialize_with = "result_value")]
    pub value: Value,
}

impl StatusResult {
    /// The value, if it is of one of Tekton's three types and the type says so.
    pub fn decoded(&self) -> Option<ResultValue> {
        let value = ResultValue::from_json(&self.value)?;
        (self.kind == value.type_name()).then_some(value)
    }
}

/// A step in the status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepState {
    /// Its name without `step-`.
    #[serde(default)]
    pub name: String,
    /// Its container's name.
    #[serde(default)]
    pub container: String,
    /// The image that its container ran in, as the runtime names it; empty if the object does not say.
    #[serde(default, rename = "imageID", deserialize_with = "null_is_default")]
    pub image_id: String,
    /// How its container ended.
    pub terminated: Option<Terminated>,
    /// Step results.
    #[serde(default, deserialize_with = "null_is_default")]
    pub results: Vec<StatusResult>,
    /// Artifacts that the step used.
    #[serde(default, deserialize_with = "null_is_default")]
    pub inputs: Vec<Artifact>,
    /// Artifacts that the step made.
    #[serde(default, deserialize_with = "null_is_default")]
    pub outputs: Vec<Artifact>,
    /// `Skipped`, `Cancelled`, `TimeoutExceeded`, `Continued`, or the container's own reason.
    #[serde(default)]
    pub termination_reason: String,
}

/// `terminated` of a step.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terminated {
    /// The exit code, or the value of the `ExitCode` entry.
    #[serde(default)]
    pub exit_code: i64,
    /// The termination message without internal entries.
    #[serde(default)]
    pub message: String,
}
