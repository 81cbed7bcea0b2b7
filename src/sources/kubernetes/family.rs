//! Runs that were asked for by name, with those that belong to them: a PipelineRun is judged by its TaskRuns.

use std::collections::{BTreeSet, VecDeque};

use serde::Deserialize;

use crate::sources::run_name::{RunKind, RunName};

/// What is looked at of an object before it is judged: only what else is to be asked for depends on it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    pub(super) metadata: Metadata,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    #[serde(rename = "resourceVersion")]
    pub(super) resource_version: String,
    #[serde(rename = "ownerReferences")]
    owners: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    conditions: Vec<Condition>,
    child_references: Vec<ChildReference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ChildReference {
    kind: String,
    name: String,
}

impl Head {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether it says that it belongs to a PipelineRun.
    pub(super) fn is_of_pipeline_run(&self) -> bool {
        self.metadata.owners.iter().any(|owner| owner.kind == "PipelineRun")
    }

    /// Whether Tekton says that it has ended.
    pub(super) fn has_finished(&self) -> bool {
        let ends = |condition: &Condition| matches!(condition.status.as_str(), "True" | "False");
        self.status.conditions.iter().any(|condition| condition.kind == "Succeeded" && ends(condition))
    }
}

/// What is still to be read of one namespace, and what was.
#[derive(Default)]
pub(super) struct Family {
    waiting: VecDeque<RunName>,
    read: BTreeSet<RunName>,
}

impl Family {
    /// Asks for one that was named.
    pub(super) fn ask(&mut self, run: RunName) {
        self.waiting.push_back(run);
    }

    /// One that was not read yet.
    pub(super) fn next(&mut self) -> Option<RunName> {
        loop {
            let run = self.waiting.pop_front()?;
            if self.read.insert(run.clone()) {
                return Some(run);
            }
        }
    }

    /// Whether a TaskRun of a list is to be handed on: it was not yet.
    pub(super) fn is_unread(&mut self, head: &Head) -> bool {
        let run = head.metadata.name.parse().map(|name| RunName { kind: RunKind::TaskRun, name });
        // What has no name was not asked for by one.
        run.map_or(true, |run| self.read.insert(run))
    }

    /// The children that a PipelineRun names, besides those that were read.
    pub(super) fn add(&mut self, pipeline_run: Head) {
        for ChildReference { kind, name } in pipeline_run.status.child_references {
            let kind = match kind.as_str() {
                "TaskRun" => RunKind::TaskRun,
                "PipelineRun" => RunKind::PipelineRun,
                // A CustomRun has no steps.
                _ => continue,
            };
            // What is not a name is nobody's.
            if let Ok(name) = name.parse() {
                self.waiting.push_back(RunName { kind, name });
            }
        }
    }
}
