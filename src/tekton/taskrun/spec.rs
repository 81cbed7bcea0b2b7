//! `spec`, and the task as it is declared there and in the status.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::members::optional_result_value;
use crate::tekton::{null::null_is_default, references};

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunSpec {
    /// The task, where it is given inline.
    pub task_spec: Option<TaskSpec>,
    /// Values of parameters.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Params,
}

/// `spec.params`: a list of names and values. Nobody signs them; a PipelineRun's say what they must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Params(pub Value);

impl Params {
    /// Whether any text of a value holds `$(` or ends where one may begin.
    pub(crate) fn hold_reference(&self) -> bool {
        holds_reference(&self.0)
    }
}

/// Whether any text of a value holds `$(` or ends where one may begin, which is all that is needed of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HoldsReference(pub bool);

impl<'de> Deserialize<'de> for HoldsReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(holds_reference(&value)))
    }
}

fn holds_reference(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("$(") || text.ends_with('$'),
        Value::Array(items) => items.iter().any(holds_reference),
        Value::Object(members) => members.values().any(holds_reference),
        _ => false,
    }
}

/// `spec.taskSpec` and `status.taskSpec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// Declared parameters with their defaults.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: HoldsReference,
    /// What its steps have in common.
    pub step_template: Option<StepTemplate>,
    /// Declared results.
    #[serde(default, deserialize_with = "null_is_default")]
    pub results: Vec<DeclaredResult>,
    /// Steps.
    #[serde(default, deserialize_with = "null_is_default")]
    pub steps: Vec<DeclaredStep>,
}

/// A declared result.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeclaredResult {
    /// Its name.
    pub name: String,
    /// `string`, `array` or `object`; `string` if absent.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The step result it is taken from.
    #[serde(default, deserialize_with = "optional_result_value")]
    pub value: Option<Value>,
}

impl DeclaredResult {
    /// The declared type, with Tekton's default.
    pub fn declared_type(&self) -> &str {
        if self.kind.is_empty() { "string" } else { &self.kind }
    }

    /// Step and step result that it is taken from.
    pub fn mapping(&self) -> Option<(&str, &str)> {
        references::taken_from(self.value.as_ref()?.as_str()?)
    }
}

/// `stepTemplate` of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepTemplate {
    /// The command of steps without one.
    #[serde(default, deserialize_with = "null_is_default")]
    pub command: Vec<String>,
    /// The arguments of steps without any.
    #[serde(default, deserialize_with = "null_is_default")]
    pub args: Vec<String>,
    /// Variables.
    #[serde(default, deserialize_with = "null_is_default")]
    pub env: Vec<Variable>,
    /// Variables from elsewhere.
    #[serde(default, deserialize_with = "null_is_default")]
    pub env_from: Vec<Value>,
}

/// An environment variable; nobody needs its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Variable {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// One when expression of a step; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct DeclaredWhen {
    /// A CEL expression.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cel: String,
    /// What is looked for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub input: String,
    /// `in` or `notin`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub operator: String,
    /// Where it is looked for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub values: Vec<String>,
}

/// A declared step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredStep {
    /// Its name; empty for an unnamed one.
    #[serde(default)]
    pub name: String,
    /// Results it declares.
    #[serde(default, deserialize_with = "null_is_default")]
    pub results: Vec<DeclaredResult>,
    /// The StepAction it is taken from, which then declares the results; the status has them resolved.
    #[serde(rename = "ref")]
    pub step_action: Option<Value>,
    /// Its parameters, which a StepAction has.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: HoldsReference,
    /// The script; empty if it has none.
    #[serde(default, deserialize_with = "null_is_default")]
    pub script: String,
    /// The command; empty: the image's.
    #[serde(default, deserialize_with = "null_is_default")]
    pub command: Vec<String>,
    /// The arguments.
    #[serde(default, deserialize_with = "null_is_default")]
    pub args: Vec<String>,
    /// `continue`, `stopAndFail` or empty.
    #[serde(default, deserialize_with = "null_is_default")]
    pub on_error: String,
    /// How long it may run, as Go writes durations.
    pub timeout: Option<String>,
    /// What must hold for it to run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub when: Vec<DeclaredWhen>,
    /// Variables.
    #[serde(default, deserialize_with = "null_is_default")]
    pub env: Vec<Variable>,
    /// Variables from elsewhere.
    #[serde(default, deserialize_with = "null_is_default")]
    pub env_from: Vec<Value>,
}
