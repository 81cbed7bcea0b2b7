//! The part of a Tekton PipelineRun that verification looks at (`tekton.dev/v1`, and `v1beta1`, which is converted).
//!
//! * [`names`]: the names that the controller gives to children; [`references`]: `$(tasks.…)` in a pipeline and what takes its place;
//!   [`matrix`]: into which combinations a matrix fans out; [`packed`]: one that is kept for later; [`v1beta1`]: the older version.

pub(crate) mod matrix;
pub(crate) mod names;
pub(crate) mod packed;
pub(crate) mod references;
mod v1beta1;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use self::packed::Packed;
use crate::tekton::{
    chains::PipelineRunOrigin,
    null::null_is_default,
    strict::{
        node::{Misfit, Node},
        parser_words::plain,
    },
    taskrun::{Condition, DeclaredWhen, Metadata, NotInV1, result_value},
    value::ResultValue,
};

/// Why a document is not a PipelineRun that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineRunError {
    /// Neither v1 nor v1beta1.
    #[error(
        "it is a PipelineRun of {0}, and only those of tekton.dev/v1 and v1beta1 are read: kubectl get pipelineruns.v1.tekton.dev NAME -o json"
    )]
    Version(String),
    /// One of v1beta1 that has no counterpart in v1.
    #[error(
        "it is a PipelineRun of tekton.dev/v1beta1 that cannot be read as one of v1: {0}. If a cluster still has it: \
         kubectl get pipelineruns.v1.tekton.dev NAME -o json"
    )]
    NotConverted(String),
    /// A field has another type than Tekton gives it, or is missing.
    #[error("it is not a PipelineRun as Tekton writes it: {}", plain(.0))]
    Shape(String),
}

impl From<Misfit> for PipelineRunError {
    fn from(misfit: Misfit) -> Self {
        Self::Shape(misfit.to_string())
    }
}

/// A PipelineRun.
#[derive(Debug, Clone, Deserialize)]
pub struct PipelineRun {
    /// Name, namespace, UID, time of creation.
    pub metadata: Metadata,
    /// What was asked for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub spec: PipelineRunSpec,
    /// What Tekton's controller wrote.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: PipelineRunStatus,
    /// All of it as it was read.
    #[serde(skip)]
    pub(crate) packed: Packed,
    /// Where it was made of an attestation of Tekton Chains.
    #[serde(skip)]
    pub chains: Option<Box<PipelineRunOrigin>>,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRunSpec {
    /// The pipeline, where it is given inline.
    pub pipeline_spec: Option<PipelineSpec>,
    /// Values of parameters.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<Param>,
}

/// `spec.pipelineSpec` and `status.pipelineSpec`; in the latter, parameters and contexts have been put in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PipelineSpec {
    /// Parameters that it declares.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<DeclaredParam>,
    /// Tasks, in any order.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tasks: Vec<PipelineTask>,
    /// Those that run when all others have ended.
    #[serde(default, deserialize_with = "null_is_default")]
    pub finally: Vec<PipelineTask>,
    /// Results of the PipelineRun.
    #[serde(default, deserialize_with = "null_is_default")]
    pub results: Vec<Param>,
}

impl PipelineSpec {
    /// All tasks, and whether each is one of `finally`.
    pub(crate) fn all_tasks(&self) -> impl Iterator<Item = (&PipelineTask, bool)> {
        self.tasks.iter().map(|task| (task, false)).chain(self.finally.iter().map(|task| (task, true)))
    }
}

/// A task of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineTask {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it is given.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<Param>,
    /// What it fans out over.
    pub matrix: Option<Matrix>,
    /// What must hold for it to run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub when: Vec<DeclaredWhen>,
    /// Tasks that must have ended before it starts, besides those whose results it uses.
    #[serde(default, deserialize_with = "null_is_default")]
    pub run_after: Vec<String>,
    /// The task that it runs, by reference.
    pub task_ref: Option<TaskReference>,
    /// The task that it runs, inline.
    pub task_spec: Option<EmbeddedTask>,
    /// The pipeline that it runs, by reference.
    pub pipeline_ref: Option<Value>,
    /// The pipeline that it runs, inline.
    pub pipeline_spec: Option<Value>,
    /// `continue`: its failure does not fail the run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub on_error: String,
    /// How often a run that failed is tried again.
    #[serde(default, deserialize_with = "null_is_default")]
    pub retries: i64,
}

impl PipelineTask {
    /// Whether a controller other than Tekton's own runs it (Tekton `pkg/apis/pipeline/v1/taskref_types.go`, `IsCustomTask`).
    pub(crate) fn is_custom(&self) -> bool {
        let is_custom = |version: &str, kind: &str| {
            !version.is_empty() && !kind.is_empty() && !version.starts_with("tekton.dev/")
        };
        self.task_ref.as_ref().is_some_and(|task| is_custom(&task.api_version, &task.kind))
            || self.task_spec.as_ref().is_some_and(|task| is_custom(&task.api_version, &task.kind))
    }

    /// The kind of its runs.
    pub(crate) fn kind_of_runs(&self) -> &'static str {
        match (self.is_pipeline(), self.is_custom()) {
            (true, _) => "PipelineRun",
            (false, true) => "CustomRun",
            (false, false) => "TaskRun",
        }
    }

    /// Whether it runs another pipeline.
    pub(crate) fn is_pipeline(&self) -> bool {
        self.pipeline_ref.is_some() || self.pipeline_spec.is_some()
    }
}

/// A task by reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskReference {
    /// Name of the task, unless a resolver finds it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Who finds it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub resolver: String,
    /// Version, given for custom tasks.
    #[serde(default, deserialize_with = "null_is_default")]
    pub api_version: String,
    /// Kind, given for custom tasks.
    #[serde(default, deserialize_with = "null_is_default")]
    pub kind: String,
    /// The image that holds it, in v1beta1; v1 has a resolver for that.
    #[serde(default, deserialize_with = "null_is_default")]
    pub bundle: String,
}

/// A task that is given inline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedTask {
    /// Version, given for custom tasks.
    #[serde(default, deserialize_with = "null_is_default")]
    pub api_version: String,
    /// Kind, given for custom tasks.
    #[serde(default, deserialize_with = "null_is_default")]
    pub kind: String,
    /// Its steps: results may be put into any text of them.
    #[serde(default, deserialize_with = "null_is_default")]
    pub steps: Vec<Value>,
    /// Its sidecars, likewise.
    #[serde(default, deserialize_with = "null_is_default")]
    pub sidecars: Vec<Value>,
}

/// A name and a value: a parameter, or a result of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "param_value")]
    pub value: ResultValue,
}

/// A parameter that a pipeline declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeclaredParam {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value where none is given.
    #[serde(default, deserialize_with = "default_value")]
    pub default: Option<ResultValue>,
}

/// `matrix` of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Matrix {
    /// Lists, of which every combination is run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<Param>,
    /// More combinations.
    #[serde(default, deserialize_with = "null_is_default")]
    pub include: Vec<Include>,
}

impl Matrix {
    /// Those of the lists, then those that are included.
    pub(crate) fn all_params(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().chain(self.include.iter().flat_map(|include| &include.params))
    }
}

/// One combination that is given explicitly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Include {
    /// Its parameters.
    #[serde(default, deserialize_with = "null_is_default")]
    pub params: Vec<Param>,
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRunStatus {
    /// Conditions, among them `Succeeded`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// The runs that it made.
    #[serde(default, deserialize_with = "null_is_default")]
    pub child_references: Vec<ChildReference>,
    /// Tasks that were not run, and why.
    #[serde(default, deserialize_with = "null_is_default")]
    pub skipped_tasks: Vec<SkippedTask>,
    /// Results.
    #[serde(default, deserialize_with = "null_is_default")]
    pub results: Vec<Param>,
    /// The pipeline as it was run.
    pub pipeline_spec: Option<PipelineSpec>,
    /// Where v1beta1 has its results; in v1 a second list that some readers might take for them.
    #[serde(default)]
    pub pipeline_results: NotInV1,
    /// Where old versions of v1beta1 keep the status of children.
    #[serde(default)]
    pub task_runs: NotInV1,
    /// The same for custom runs.
    #[serde(default)]
    pub runs: NotInV1,
}

/// A run that a PipelineRun made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildReference {
    /// `TaskRun`, `PipelineRun` or `CustomRun`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub kind: String,
    /// Its name; it is in the same namespace.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// The task of the pipeline.
    #[serde(default, deserialize_with = "null_is_default")]
    pub pipeline_task_name: String,
    /// The task's when expressions, with results put in.
    #[serde(default, deserialize_with = "null_is_default")]
    pub when_expressions: Vec<DeclaredWhen>,
}

/// A task that was not run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedTask {
    /// Its name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// One of Tekton's reasons (`pkg/apis/pipeline/v1/pipelinerun_types.go`, `SkippingReason`).
    #[serde(default, deserialize_with = "null_is_default")]
    pub reason: String,
    /// Its when expressions, with results put in.
    #[serde(default, deserialize_with = "null_is_default")]
    pub when_expressions: Vec<DeclaredWhen>,
}

impl PipelineRun {
    /// Reads a PipelineRun whose document says that it is one.
    pub(crate) fn from_node(mut node: Node, api_version: &str) -> Result<Self, PipelineRunError> {
        match api_version {
            "tekton.dev/v1" => {}
            "tekton.dev/v1beta1" => v1beta1::as_in_v1(&mut node)?,
            _ => return Err(PipelineRunError::Version(api_version.to_owned())),
        }
        if node.is_deeper_than(Packed::DEEPEST) {
            let problem = format!("something in it is more than {} levels deep", Packed::DEEPEST);
            return Err(PipelineRunError::Shape(problem));
        }
        let packed = Packed::of(&node);
        let read: Self = node.read()?;
        Ok(Self { packed, ..read })
    }

    /// Whether it was made of an attestation that holds TaskRuns as well.
    pub(crate) fn has_attested_task_runs(&self) -> bool {
        self.chains.as_ref().is_some_and(|origin| !origin.task_runs.is_empty())
    }

    /// Of one that was made of an attestation, which does not name its children: names of the runs of pipelines in its inline pipeline.
    pub(crate) fn attested_pipelines(&self) -> Vec<String> {
        let inline = self.spec.pipeline_spec.as_ref().filter(|_| self.chains.is_some());
        let tasks = inline.into_iter().flat_map(PipelineSpec::all_tasks).map(|(task, _)| task);
        let nested = tasks.filter(|task| task.is_pipeline());
        nested.flat_map(|task| names::of_runs(&self.metadata.name, &task.name, 1)).collect()
    }

    /// `<namespace>/<name>`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    /// The `status` of the condition `Succeeded`: `True`, `False`, or anything else while it runs. `None`: there is none, or two differ.
    pub(crate) fn succeeded(&self) -> Option<&str> {
        let mut conditions = self.status.conditions.iter().filter(|condition| condition.kind == "Succeeded");
        let first = conditions.next()?.status.as_str();
        conditions.all(|condition| condition.status == first).then_some(first)
    }
}

/// What is no value of a parameter is none: it would only be put in.
fn default_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ResultValue>, D::Error> {
    Ok(ResultValue::from_json(&Value::deserialize(deserializer)?))
}

fn param_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResultValue, D::Error> {
    let value = ResultValue::from_json(&result_value(deserializer)?);
    value.ok_or_else(|| de::Error::custom("text, a list of texts or an object of texts is expected"))
}
