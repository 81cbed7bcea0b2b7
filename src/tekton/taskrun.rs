//! The part of a Tekton TaskRun that verification looks at (`tekton.dev/v1` and `v1beta1`).

#[cfg(test)]
mod fields;
mod members;
mod metadata;
mod spec;
mod status;

use serde::Deserialize;
use serde_json::Value;

use self::members::present;
pub(crate) use self::{members::result_value, metadata::reads_annotation};
pub use self::{
    metadata::{ANNOTATION, Annotations, Labels, Metadata, OwnerReference},
    spec::{
        DeclaredResult, DeclaredStep, DeclaredWhen, HoldsReference, Params, StepTemplate, TaskRunSpec,
        TaskSpec, Variable,
    },
    status::{Condition, NotInV1, StatusResult, StepState, TaskRunStatus, Terminated},
};
pub(crate) use crate::tekton::object_name::{is_namespace, is_object_name};
use crate::tekton::{
    chains::Origin,
    null::null_is_default,
    strict::{
        self,
        node::{Content, Misfit, Node},
        parser_words::plain,
    },
    unsuitable::Unsuitable,
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
    pub spec: TaskRunSpec,
    /// What Tekton's controller wrote.
    pub status: TaskRunStatus,
    /// Whether it is of `tekton.dev/v1beta1`, whose status knows no artifacts of the task.
    pub is_v1beta1: bool,
    /// Which of its attempts this is, from 0, if it was taken out of `status.retriesStatus`.
    pub earlier_attempt: Option<usize>,
    /// The attestation of Tekton Chains that it was made of, if it was.
    pub chains: Option<Box<Origin>>,
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
    spec: TaskRunSpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: TaskRunStatus,
}

/// Whether a TaskRun has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// It has.
    Ended,
    /// Not yet.
    Running,
    /// Nothing is in its status.
    NotStarted,
    /// The condition `Succeeded` is there more than once.
    Contradictory,
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
        Some(Self { metadata, spec, status, is_v1beta1: false, earlier_attempt: None, chains: None })
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
        Ok(Self { metadata, spec, status, is_v1beta1, earlier_attempt: None, chains: None })
    }

    /// The TaskRun before any of its attempts: for [`TaskRun::become_attempt`].
    pub(crate) fn without_status(&self) -> Self {
        let (metadata, spec, status) = (self.metadata.clone(), self.spec.clone(), TaskRunStatus::default());
        let chains = self.chains.clone();
        Self { metadata, spec, status, is_v1beta1: self.is_v1beta1, earlier_attempt: None, chains }
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

    /// Whether it has ended, by its own account.
    pub(crate) fn end(&self) -> RunEnd {
        let status = &self.status;
        let said = status.conditions.iter().filter(|condition| condition.kind == "Succeeded").count();
        let is_empty = status.conditions.is_empty()
            && status.results.is_empty()
            && status.retries_status.is_empty()
            && status.completion_time.is_none();
        match self.succeeded() {
            _ if said > 1 => RunEnd::Contradictory,
            _ if self.is_partial() && is_empty => RunEnd::NotStarted,
            Some("True" | "False") => RunEnd::Ended,
            // An archive of results alone: there are none before the end, and each step signs how it ended.
            None if self.is_partial() && status.conditions.is_empty() => RunEnd::Ended,
            _ => RunEnd::Running,
        }
    }

    /// Whether the object holds results without the steps that they come from.
    pub fn is_partial(&self) -> bool {
        self.status.steps.is_none()
    }

    /// Whether it was made of results that an attestation of Tekton Chains holds.
    pub(crate) fn is_from_results_of_chains(&self) -> bool {
        self.chains.as_ref().is_some_and(|origin| !origin.is_whole)
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
