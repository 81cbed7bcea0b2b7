//! A TaskRun of what an attestation keeps of one: without steps, so that it is judged as any other object that holds results alone.

use super::{ChainsError, ChainsFormat, Origin, Stated, Unnamed, stated::Claim};
use crate::tekton::{
    object_name::{is_namespace, is_object_name},
    strict::node::{Content, Member, Node},
    taskrun::{StatusResult, TaskRun},
};

/// What an attestation keeps of a TaskRun.
pub(super) struct Kept {
    /// Its name, where it is carried.
    pub(super) name: Option<String>,
    /// The task of the pipeline that it is of, where the name is not carried.
    pub(super) task: Option<String>,
    /// Its UID, where it is carried.
    pub(super) uid: String,
    /// UID of the PipelineRun that it belongs to, where it is carried.
    pub(super) pipeline_run_uid: Option<String>,
    /// `spec`, where it is carried.
    pub(super) spec: Option<Node>,
    /// No later than its start, RFC 3339.
    pub(super) started: Option<String>,
    /// No earlier than its end, RFC 3339.
    pub(super) finished: Option<String>,
    /// Whether it succeeded, where that is carried.
    pub(super) succeeded: Option<bool>,
    /// `status.results`.
    pub(super) results: Vec<StatusResult>,
    /// Results of steps, without the steps.
    pub(super) step_results: Vec<StatusResult>,
}

impl Kept {
    /// The TaskRun, with what the caller says where nothing is carried.
    pub(super) fn task_run(
        self,
        format: ChainsFormat,
        stated: &Stated,
        claim: Claim,
    ) -> Result<TaskRun, ChainsError> {
        if self.task.as_ref().is_some_and(|task| !is_namespace(task)) {
            return Err(ChainsError::Shape(
                "a task of the pipeline has no name as Tekton gives them".to_owned(),
            ));
        }
        // It becomes part of a command that somebody may paste.
        let claimed = claim(&self.results);
        let claimed = claimed.filter(|(namespace, name)| is_namespace(namespace) && is_object_name(name));
        let claimed_name = claimed.as_ref().map(|(_, name)| name.as_str());
        let stated_name = || stated.task_run(self.task.as_deref(), claimed_name).map(str::to_owned);
        let name = self.name.clone().or_else(stated_name);
        let (Some(namespace), Some(name)) = (stated.namespace.clone(), name.clone()) else {
            return Err(ChainsError::Unnamed(Box::new(Unnamed {
                format,
                namespace: stated.namespace.is_none(),
                name: name.is_none(),
                task: self.task,
                claimed,
            })));
        };
        let what = format!("the TaskRun {name} in it");
        let labels = self.pipeline_run_uid.map(|uid| object([("tekton.dev/pipelineRunUID", text(uid))]));
        let condition = |succeeded| {
            let status = if succeeded { "True" } else { "False" };
            list([object([("type", text("Succeeded")), ("status", text(status))])])
        };
        let status = object(
            [
                ("startTime", self.started.map(text)),
                ("completionTime", self.finished.map(text)),
                ("conditions", self.succeeded.map(condition)),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?))),
        );
        let metadata =
            [("name", text(name)), ("namespace", text(namespace)), ("uid", text(self.uid))].into_iter();
        let node = object([
            ("apiVersion", text("tekton.dev/v1")),
            ("kind", text("TaskRun")),
            ("metadata", object(metadata.chain(labels.map(|labels| ("labels", labels))))),
            ("spec", self.spec.unwrap_or_else(|| object([]))),
            ("status", status),
        ]);
        let mut task_run =
            TaskRun::from_node(node, None).map_err(|error| ChainsError::TaskRun { what, error })?;
        task_run.status.results = self.results;
        let origin = Origin {
            format,
            envelope: None,
            step_results: self.step_results,
            is_whole: false,
            is_of_unnamed: false,
        };
        task_run.chains = Some(Box::new(origin));
        Ok(task_run)
    }
}

fn node(content: Content) -> Node {
    Node { line: 0, content }
}

pub(super) fn text(text: impl Into<String>) -> Node {
    node(Content::Text(text.into()))
}

pub(super) fn list(items: impl IntoIterator<Item = Node>) -> Node {
    node(Content::List(items.into_iter().collect()))
}

pub(super) fn object(members: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    let member = |(key, value): (&str, Node)| Member { key: key.to_owned(), line: 0, value };
    node(Content::Object(members.into_iter().map(member).collect()))
}
