//! The part of a Tekton TaskRun that verification looks at (`tekton.dev/v1` and `v1beta1`).

#[cfg(test)]
mod fields;

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::tekton::{
    strict::{
        self,
        node::{Content, Misfit, Node},
        parser_words::plain,
    },
    unsuitable::Unsuitable,
    value::ResultValue,
};

/// Why a document is no TaskRun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskRunError {
    /// Something else, or it does not say that it is a TaskRun.
    #[error("{0}")]
    Unsuitable(Unsuitable),
    /// A field has another type than Tekton gives it, or is missing.
    #[error("it is not a TaskRun as Tekton writes it: {}", plain(.0))]
    Shape(String),
}

/// A TaskRun.
#[derive(Debug, Clone)]
pub struct TaskRun {
    /// Name, namespace, UID, time of creation.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: Spec,
    /// What Tekton's controller wrote.
    pub status: Status,
    /// Whether it is of `tekton.dev/v1beta1`, whose status knows no artifacts of the task.
    pub is_v1beta1: bool,
    /// Which of its attempts this is, from 0, if it was taken out of `status.retriesStatus`.
    pub earlier_attempt: Option<usize>,
}

/// What an item of a list may leave out, as its list says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inherited {
    /// Whether the list is a TaskRunList.
    pub(crate) is_task_run: bool,
    /// The list's version, if it comes before the item.
    pub(crate) api_version: Option<String>,
}

/// A TaskRun with what says that it is one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default, deserialize_with = "present")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "present")]
    api_version: Option<String>,
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: Status,
}

/// `metadata`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name of the TaskRun.
    #[serde(deserialize_with = "subdomain")]
    pub name: String,
    /// Its namespace.
    #[serde(deserialize_with = "label")]
    pub namespace: String,
    /// Its UID.
    #[serde(default)]
    pub uid: String,
    /// When it was created; a status writer cannot change it.
    pub creation_timestamp: Option<String>,
    /// Annotations, of which only one counts.
    #[serde(default, deserialize_with = "null_is_default")]
    pub annotations: Annotations,
    /// Labels, of which one counts.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: Labels,
    /// What it belongs to.
    #[serde(default, deserialize_with = "null_is_default")]
    pub owner_references: Vec<OwnerReference>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct OwnerReference {
    /// Such as `PipelineRun`.
    #[serde(default)]
    pub kind: String,
    /// UID of the owner.
    #[serde(default)]
    pub uid: String,
}

/// The part of `metadata.labels` that verification looks at. Nobody signs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// UID of the PipelineRun that it belongs to.
    pub pipeline_run_uid: Option<String>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut labels = Self::default();
        deserializer.deserialize_map(EachText(|key: String, value: String| {
            if key == "tekton.dev/pipelineRunUID" {
                labels.pipeline_run_uid = Some(value);
            }
        }))?;
        Ok(labels)
    }
}

/// The part of `metadata.annotations` that verification looks at. Nobody signs it: what is in it must prove itself.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    /// Time-stamp tokens: a JSON object from step names to base64, as text.
    pub timestamps: Option<Value>,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut timestamps = None;
        deserializer.deserialize_map(EachText(|key: String, value: String| {
            if key == ANNOTATION {
                timestamps = Some(Value::String(value));
            }
        }))?;
        Ok(Self { timestamps })
    }
}

/// Hands on the members of an object of texts.
struct EachText<F>(F);

impl<'de, F: FnMut(String, String)> Visitor<'de> for EachText<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((key, value)) = members.next_entry()? {
            self.0(key, value);
        }
        Ok(())
    }
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
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

    /// Step and step result of the first `$(steps.<step>.results.<result>)` in its `value`
    /// (Tekton `pkg/apis/pipeline/v1/result_validation.go`, `ExtractStepResultName`).
    pub fn mapping(&self) -> Option<(&str, &str)> {
        // Neither part may span lines, and the result's name ends at the first bracket. What does not fit after the first
        // `$(steps.` of a line does not fit after a later one of it.
        self.value.as_ref()?.as_str()?.split('\n').find_map(|line| {
            let (_, reference) = line.split_once("$(steps.")?;
            let (step, rest) = reference.split_once(".results.")?;
            Some((step, rest.split_once(')')?.0))
        })
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

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
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

impl Status {
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

/// Inputs and outputs (Tekton `pkg/apis/pipeline/v1/artifact_types.go`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Artifacts {
    /// What was used.
    #[serde(default, deserialize_with = "null_is_default")]
    pub inputs: Vec<Artifact>,
    /// What was made.
    #[serde(default, deserialize_with = "null_is_default")]
    pub outputs: Vec<Artifact>,
}

/// One artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Where it is.
    #[serde(default, deserialize_with = "null_is_default")]
    pub values: Vec<ArtifactValue>,
    /// Whether it is what the task is for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub build_output: bool,
}

/// One place and its digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ArtifactValue {
    /// Digests by algorithm.
    #[serde(default, deserialize_with = "null_is_default")]
    pub digest: BTreeMap<String, String>,
    /// Its address.
    #[serde(default, deserialize_with = "null_is_default")]
    pub uri: String,
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

impl TaskRun {
    /// Reads a TaskRun of `tekton.dev/v1` from the bytes of one JSON document, in one pass. `None` says nothing but that:
    /// [`TaskRun::from_value`] reads what this does not, or says what is wrong. Both take the same documents for the same
    /// TaskRuns. `inherited` is what an item of a TaskRunList may leave out.
    pub(crate) fn from_json(document: &[u8], inherited: Option<&Inherited>) -> Option<Self> {
        let Document { kind, api_version, metadata, spec, status } = strict::from_slice(document)?;
        let inherited = inherited.filter(|list| list.is_task_run);
        let kind = kind.or_else(|| inherited.map(|_| "TaskRun".to_owned()))?;
        let api_version = api_version.or_else(|| inherited.and_then(|list| list.api_version.clone()))?;
        if kind != "TaskRun" || api_version != "tekton.dev/v1" {
            return None;
        }
        Some(Self { metadata, spec, status, is_v1beta1: false, earlier_attempt: None })
    }

    /// Reads a TaskRun from a document.
    pub fn from_value(value: Value) -> Result<Self, TaskRunError> {
        Self::from_node(Node::from(value), None)
    }

    /// Reads a TaskRun from a document. `inherited` is what an item of a TaskRunList may leave out.
    pub(crate) fn from_node(mut node: Node, inherited: Option<&Inherited>) -> Result<Self, TaskRunError> {
        let inherited = inherited.filter(|list| list.is_task_run);
        let member = |name: &str, inherited: Option<&str>| match node.get(name) {
            Some(value) => value.text().unwrap_or_default().to_owned(),
            None => inherited.unwrap_or_default().to_owned(),
        };
        let kind = member("kind", inherited.map(|_| "TaskRun"));
        let api_version = member("apiVersion", inherited.and_then(|list| list.api_version.as_deref()));
        if kind != "TaskRun" || !matches!(api_version.as_str(), "tekton.dev/v1" | "tekton.dev/v1beta1") {
            return Err(TaskRunError::Unsuitable(Unsuitable::of_value(&node.into())));
        }
        let is_v1beta1 = api_version == "tekton.dev/v1beta1";
        if is_v1beta1 && let Content::Object(members) = &mut node.content {
            let status = members.iter_mut().find(|member| member.key == "status");
            status.map_or(Ok(()), |status| results_as_in_v1(&mut status.value))?;
        }
        let Document { metadata, spec, status, .. } = node.read()?;
        Ok(Self { metadata, spec, status, is_v1beta1, earlier_attempt: None })
    }

    /// The TaskRun before any of its attempts: for [`TaskRun::become_attempt`].
    pub(crate) fn without_status(&self) -> Self {
        let (metadata, spec, status) = (self.metadata.clone(), self.spec.clone(), Status::default());
        Self { metadata, spec, status, is_v1beta1: self.is_v1beta1, earlier_attempt: None }
    }

    /// Makes it what it was when its attempt `number` had ended, from 0 (Tekton `pkg/reconciler/taskrun`, `retryTaskRun`).
    pub(crate) fn become_attempt(&mut self, number: usize, status: &Value) -> Result<(), TaskRunError> {
        let mut status = Node::from(status.clone());
        if self.is_v1beta1 {
            results_as_in_v1(&mut status)?;
        }
        self.status = status.read()?;
        self.earlier_attempt = Some(number);
        Ok(())
    }

    /// The number of this attempt, from 0, as the object tells it. One without steps may lack the earlier attempts, too.
    pub fn attempt_number(&self) -> Option<usize> {
        match (self.earlier_attempt, self.status.retries_status.len()) {
            (Some(number), _) => Some(number),
            (None, 0) if self.is_partial() => None,
            (None, earlier) => Some(earlier),
        }
    }

    /// Whether the object holds results without the steps that they come from.
    pub fn is_partial(&self) -> bool {
        self.status.steps.is_none()
    }

    /// Whether nothing in the object says what its task declares.
    pub fn is_without_task(&self) -> bool {
        self.spec.task_spec.is_none() && self.status.task_spec.is_none()
    }

    /// The `status` of the condition `Succeeded`: `True`, `False`, or anything else while it runs.
    pub fn succeeded(&self) -> Option<&str> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.kind == "Succeeded")
            .map(|c| c.status.as_str())
    }

    /// Declared results as the controller looks them up: those of `spec.taskSpec`, then those of `status.taskSpec`, the
    /// last of a name wins (Tekton `pkg/pod/status.go`, `specResults`).
    pub fn declared_result(&self, name: &str) -> Option<&DeclaredResult> {
        let specs = [&self.spec.task_spec, &self.status.task_spec];
        specs.into_iter().flatten().flat_map(|spec| &spec.results).rfind(|result| result.name == name)
    }
}

impl From<Misfit> for TaskRunError {
    fn from(misfit: Misfit) -> Self {
        Self::Shape(misfit.to_string())
    }
}

/// `taskResults` of a v1beta1 status by the name that v1 gives them.
fn results_as_in_v1(status: &mut Node) -> Result<(), TaskRunError> {
    let Content::Object(members) = &mut status.content else { return Ok(()) };
    if members.iter().any(|member| member.key == "results") {
        return Err(TaskRunError::Shape(
            "v1beta1 has no field status.results (there it is status.taskResults)".to_owned(),
        ));
    }
    if let Some(results) = members.iter_mut().find(|member| member.key == "taskResults") {
        results.key = "results".to_owned();
    }
    Ok(())
}

/// A name of an object (Kubernetes, `IsDNS1123Subdomain`).
fn subdomain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match is_object_name(&name) {
        true => Ok(name),
        false => Err(D::Error::custom(format_args!(
            "{name:?} is not the name of a Kubernetes object: up to 253 small letters, digits, hyphens and dots, each part \
             beginning and ending with a letter or digit"
        ))),
    }
}

/// A name of a namespace (Kubernetes, `IsDNS1123Label`).
fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match is_namespace(&name) {
        true => Ok(name),
        false => Err(D::Error::custom(format_args!(
            "{name:?} is not the name of a Kubernetes namespace: up to 63 small letters, digits and hyphens, beginning and \
             ending with a letter or digit"
        ))),
    }
}

/// Whether an object may be called so (Kubernetes, `IsDNS1123Subdomain`).
pub(crate) fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether a namespace may be called so (Kubernetes, `IsDNS1123Label`).
pub(crate) fn is_namespace(name: &str) -> bool {
    name.len() <= 63 && is_label(name)
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A text, a list of texts or an object of texts, as Tekton writes the value of a result.
pub(crate) fn result_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text, a list of texts or an object of texts")
        }

        fn visit_str<E>(self, text: &str) -> Result<Value, E> {
            Ok(text.into())
        }

        fn visit_string<E>(self, text: String) -> Result<Value, E> {
            Ok(text.into())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element::<String>()? {
                list.push(item.into());
            }
            Ok(Value::Array(list))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
            let mut object = Map::new();
            while let Some((key, value)) = members.next_entry::<String, String>()? {
                object.insert(key, value.into());
            }
            Ok(Value::Object(object))
        }
    }
    deserializer.deserialize_any(Texts)
}

/// The same, where it may be missing.
fn optional_result_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    struct Maybe;
    impl<'de> Visitor<'de> for Maybe {
        type Value = Option<Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text, a list of texts or an object of texts")
        }

        fn visit_none<E>(self) -> Result<Option<Value>, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Option<Value>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
            result_value(deserializer).map(Some)
        }
    }
    deserializer.deserialize_option(Maybe)
}

/// Go writes an empty list as `null` where a field has no `omitempty`, and reads `null` as nothing.
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Where it stands it is a text: `null` is not the same as nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// Longer than a time with nanoseconds and an offset.
const LONGEST_TIME: usize = 64;

/// Unix seconds of an RFC 3339 time as Kubernetes writes it.
pub fn parse_time(text: &str) -> Option<i64> {
    // Each step looks at the times of its run, and as many digits of a second as one likes would do.
    let text = Some(text).filter(|text| text.len() <= LONGEST_TIME)?;
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// Where time-stamp tokens may be beside the TaskRun.
pub const ANNOTATION: &str = "svidence.dev/timestamps";
